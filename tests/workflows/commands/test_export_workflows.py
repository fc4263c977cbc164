"""``manage.py export_workflows``: stable output and small diffs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError

from tests.conftest import Scenario
from tests.factories import RecordTypeFactory, WorkflowFactory, call, form, line, save_line
from tests.workflows.files import changed_lines, data_of, exported, titled
from workflows import editing
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


def titles(text: str) -> list[str]:
    return [row["title"] for row in data_of(text)["workflows"]]


def test_export_includes_callees_and_types(scenario: Scenario) -> None:
    WorkflowFactory(title="Another")
    data = data_of(exported("Workflow 4"))
    assert [row["title"] for row in data["workflows"]] == ["Workflow 3", "Workflow 4"]
    kind = scenario.limitation
    assert data["finding_types"] == [
        {"cuid": kind.cuid, "name": "Model Limitation", "description": ""}
    ]
    caller = titled(data, "Workflow 4")
    assert caller["entity_name_type"] == {"name": "Model Limitation", "cuid": kind.cuid}
    node = next(row for row in caller["nodes"] if row["type"] == "run_workflow")
    assert node["data"]["workflow"] == {"title": "Workflow 3", "cuid": scenario.callee.cuid}
    assert titles(exported(scenario.callee.cuid)) == ["Workflow 3"]


def test_export_without_names_leaves_out_retired_workflows(scenario: Scenario) -> None:
    WorkflowFactory(title="Old", state=Workflow.State.RETIRED)
    WorkflowFactory(title="New", state=Workflow.State.DRAFT)
    assert titles(exported()) == ["Workflow 3", "Workflow 4", "New"]
    assert titles(exported(all=True)) == ["Workflow 3", "Workflow 4", "Old", "New"]


def test_export_of_a_retired_caller_includes_its_callee(scenario: Scenario) -> None:
    editing.retire(scenario.caller)
    editing.retire(scenario.callee)
    assert titles(exported("Workflow 4")) == ["Workflow 3", "Workflow 4"]


def test_export_workflows_twice_gives_the_same_bytes(scenario: Scenario, tmp_path: Path) -> None:
    text = exported()
    assert exported() == text
    path = tmp_path / "workflows.yaml"
    assert exported("--output", str(path)) == ""
    assert path.read_bytes() == text.encode()
    assert exported("Workflow 4", scenario.caller.cuid, "Workflow 3") == text


def test_json_has_the_same_content(scenario: Scenario, tmp_path: Path) -> None:
    data = data_of(exported())
    path = tmp_path / "workflows.JSON"
    exported("--output", str(path))
    for text in (exported("--json"), exported("--format", "json"), path.read_text()):
        assert json.loads(text) == data
    exported("--output", str(path), "--format", "yaml")
    assert path.read_text() == exported()


class TestSmallDiffs:
    """Pairs of numbers: removed lines, added lines."""

    def test_new_title_changes_one_line(self, scenario: Scenario) -> None:
        before = exported()
        scenario.caller.title = "A name that would stand first"
        scenario.caller.save()
        assert changed_lines(before, exported()) == (1, 1)

    def test_moved_node_changes_one_line(self, scenario: Scenario) -> None:
        source = line({**form(), "position": {"x": 1, "y": 2}}, call(scenario.callee))
        editing.save_graph(scenario.caller, source, based_on=1)
        before = exported()
        source["nodes"][1]["position"]["x"] = 5
        editing.save_graph(scenario.caller, source, based_on=1)
        assert changed_lines(before, exported()) == (1, 1)

    def test_optional_field_changes_one_line(self, scenario: Scenario) -> None:
        before = exported()
        answered_form = {"name": "note", "type": "text", "required": False}
        save_line(scenario.caller, form("form", answered_form), call(scenario.callee))
        assert changed_lines(before, exported()) == (1, 1)

    def test_new_call_moves_no_workflow(self, scenario: Scenario) -> None:
        late = WorkflowFactory(title="Zero", entity_name_type=scenario.limitation)
        save_line(scenario.callee, form())
        before = exported()
        save_line(scenario.callee, form(), call(late))
        # The node, of six lines, and an edge.
        assert changed_lines(before, exported()) == (0, 8)

    def test_changed_text_line_changes_one_line(self, scenario: Scenario) -> None:
        scenario.caller.description = "One.\nTwo.\nThree.\n"
        scenario.caller.save()
        before = exported()
        assert "  description: |\n    One.\n    Two.\n    Three.\n" in before
        scenario.caller.description = "One.\n2.\nThree.\n"
        scenario.caller.save()
        assert changed_lines(before, exported()) == (1, 1)

    def test_export_ignores_executions_and_equal_versions(self, scenario: Scenario) -> None:
        before = exported()
        scenario.start()
        save_line(scenario.caller, form(), call(scenario.callee))
        assert scenario.caller.latest_version.number == 2
        assert exported() == before


def test_export_includes_record_types(scenario: Scenario) -> None:
    kind = RecordTypeFactory(name="Model", description="What is listed")
    WorkflowFactory(
        title="On models",
        entity_name="InventoryModel",
        entity_name_type=None,
        primary_record_type=kind,
    )
    data = data_of(exported("On models"))
    assert data["finding_types"] == []
    assert data["record_types"] == [
        {"cuid": kind.cuid, "name": "Model", "description": "What is listed"}
    ]
    assert data["workflows"][0]["primary_record_type"] == {"name": "Model", "cuid": kind.cuid}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Nothing"], "No workflow has the cuid or title 'Nothing'."),
        (["Twice"], "Several records have the title 'Twice'. Use a cuid"),
        (["--output", "/nowhere/at/all.yaml"], "Cannot write /nowhere/at/all.yaml: No such"),
    ],
)
def test_unknown_name_or_path_is_an_error(
    scenario: Scenario, arguments: list[str], said: str
) -> None:
    WorkflowFactory.create_batch(2, title="Twice")
    with pytest.raises(CommandError, match=said) as refused:
        exported(*arguments)
    assert refused.value.returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [["--format", "xml"], ["--all", "Workflow 4"], ["--json", "--format", "yaml"], ["--nonsense"]],
)
def test_wrong_usage_is_an_error(scenario: Scenario, arguments: list[str]) -> None:
    with pytest.raises(CommandError, match=r"^Error: |not allowed|invalid choice|unrecognized"):
        exported(*arguments)


def test_export_of_an_empty_database() -> None:
    assert data_of(exported())["workflows"] == []
