"""The tables of ``docs/reference`` have a row for everything that the code declares."""

from __future__ import annotations

import argparse
import os
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.core.management import load_command_class

from executions.api.execution_filters import ExecutionFilter
from tests.test_commands import find_examples, list_commands
from workflows.api.audit_entries import AuditEntrySerializer
from workflows.audit.log import Action
from workflows.graph import node_types
from workflows.models import Workflow

DOCS = Path(project.BASE_DIR) / "docs"
REFERENCE = DOCS / "reference"
GENERATE = runpy.run_path(str(DOCS / "generate.py"))
# Options of every Django command.
COMMON_OPTIONS = {
    *("-h", "--help", "--version", "-v", "--verbosity", "--settings", "--pythonpath"),
    *("--traceback", "--no-color", "--force-color", "--skip-checks"),
}


def section(page: str, heading: str) -> str:
    """Return the text below a heading of the second level."""
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_node_types_page_is_generated_from_the_schemas() -> None:
    page = (REFERENCE / "node-types.md").read_text()
    assert GENERATE["fill_page"](page) == page, "Run: DEBUG=1 python docs/generate.py"


def test_node_types_page_has_every_node_type() -> None:
    page = (REFERENCE / "node-types.md").read_text()
    assert sorted(GENERATE["documented_types"](page)) == sorted([*node_types(), "rule"])


def test_node_types_page_links_every_node_type() -> None:
    overview = (REFERENCE / "node-types.md").read_text().partition("\n## ")[0]
    links = re.findall(r"\[`(\w+)`\]\(#(\w+)\)", overview)
    assert {name for name, anchor in links if name == anchor} == set(node_types()), (
        "Add the type to the table at the top of docs/reference/node-types.md."
    )


@pytest.mark.parametrize(("app", "name"), list_commands())
def test_commands_page_lists_every_argument_and_option(app: str, name: str) -> None:
    parser = load_command_class(app, name).create_parser("manage.py", name)
    text = section((REFERENCE / "commands.md").read_text(), name)
    documented = set(re.findall(r"`(--[\w-]+|[A-Z_]+)\b", text.partition("\n|---")[2]))
    expected = {
        spelling
        for action in parser._actions
        if action.help != argparse.SUPPRESS
        for spelling in action.option_strings or [str(action.metavar or action.dest.upper())]
    } - COMMON_OPTIONS
    assert expected - documented == set(), f"Add rows to docs/reference/commands.md, {name}."
    unknown = {option for option in documented - expected if option.startswith("--")}
    assert unknown == set(), f"Remove them from docs/reference/commands.md, {name}."


@pytest.mark.parametrize(("app", "name"), list_commands())
def test_commands_page_has_examples_that_the_command_accepts(app: str, name: str) -> None:
    parser = load_command_class(app, name).create_parser("manage.py", name)
    text = section((REFERENCE / "commands.md").read_text(), name)
    for arguments in find_examples(text, name):
        parser.parse_args(arguments)


class RecordedEnvironment(dict[str, str]):
    """An empty environment that records the variables that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        """Record the name, and return the default."""
        self.read.add(key)
        return default


@pytest.fixture
def defaults(monkeypatch: pytest.MonkeyPatch) -> tuple[set[str], dict[str, Any]]:
    """Return the variables that the settings read, and the settings without any of them."""
    environment = RecordedEnvironment()
    monkeypatch.setattr("workflows_project.environment.problems", [])
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", environment)
        values = runpy.run_path(str(Path(project.BASE_DIR) / "workflows_project" / "settings.py"))
    return environment.read, values


def settings_rows() -> dict[str, str]:
    """Return the default of each variable in the table, by its name."""
    rows = re.findall(
        r"^\| `(\w+)` \| (.*?) \|", (REFERENCE / "settings.md").read_text(), re.MULTILINE
    )
    assert len(rows) == len(dict(rows)), "A variable has two rows."
    return dict(rows)


def test_settings_page_lists_every_variable(
    defaults: tuple[set[str], dict[str, Any]],
) -> None:
    assert sorted(settings_rows()) == sorted(defaults[0])


def test_settings_page_states_the_defaults(
    defaults: tuple[set[str], dict[str, Any]],
) -> None:
    _, values = defaults
    for name, default in settings_rows().items():
        if name in values and (stated := re.fullmatch(r"`(.*)`", default)):
            expected = values[name]
            assert stated[1] == ("off" if expected is False else str(expected)), name


def test_audit_log_page_lists_members_and_actions() -> None:
    page = (REFERENCE / "audit-log.md").read_text()
    assert first_cells(section(page, "Entries")) == set(AuditEntrySerializer.Meta.fields)
    assert first_cells(section(page, "Actions")) == set(Action.values)


def test_triggers_page_lists_every_trigger() -> None:
    assert first_cells((REFERENCE / "triggers.md").read_text()) == set(Workflow.Trigger.values)


def first_cells(text: str) -> set[str]:
    """Return the code spans of the first cell of each row of the tables in a text."""
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_api_page_lists_every_filter_of_executions() -> None:
    text = (REFERENCE / "api.md").read_text().partition("\n### Filters of executions\n")[2]
    assert first_cells(text.partition("\n### ")[0]) == set(ExecutionFilter.base_filters)


ENGINE_TESTS = Path(project.BASE_DIR) / "tests" / "executions" / "engine"


@pytest.mark.parametrize("page", ["how-to/patterns.md", "explanation/peer-models.md"])
def test_pages_about_models_name_existing_tests(page: str) -> None:
    tests = {path.name: path.read_text() for path in ENGINE_TESTS.parents[1].rglob("test_*.py")}
    defined = set(re.findall(r"def (test_\w+)\(", "\n".join(tests.values())))
    named = set(re.findall(r"`(?:\w+/)*(test_\w+(?:\.py)?)`", (DOCS / page).read_text()))
    assert named - defined - set(tests) == set()


def test_page_of_peer_models_names_each_test_of_a_model() -> None:
    page = (DOCS / "explanation" / "peer-models.md").read_text()
    for name in ("test_peer_models.py", "test_peer_processes.py"):
        defined = re.findall(r"^def (test_\w+)\(", (ENGINE_TESTS / name).read_text(), re.MULTILINE)
        assert [test for test in defined if f"`{test}`" not in page] == []
