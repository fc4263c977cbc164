"""``docs/explanation/ARCHITECTURE.md`` names functions in the order in which they are entered."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from django.conf import settings
from django.test import TestCase
from django.utils import timezone

from executions import services
from executions.engine import closures
from executions.models import Job, Status
from executions.worker.rounds import run_due
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    UserFactory,
    WorkflowFactory,
    form,
    save_line,
)
from workflows.editing import save_graph

ROOT = Path(settings.BASE_DIR)
PAGE = ROOT / "docs" / "explanation" / "ARCHITECTURE.md"
ROW = re.compile(r"^\| \d+ \| .*? \| `(?P<file>[^`]+)` \| `(?P<function>[^`]+)` \|$", re.MULTILINE)
PATH = re.compile(r"`((?:workflows(?:_project)?|executions|tests|benchmarks)/[\w/]*(?:\.py)?)`")


SOURCES = tuple(f"{ROOT}/{app}/" for app in ("workflows", "executions", "workflows_project"))

UNNAMED = {"migrations", "templatetags"}

Entered = list[tuple[str, str]]


def journey(title: str) -> Entered:
    """Return the files and functions of the table below a heading."""
    text = PAGE.read_text().partition(f"\n### {title}\n")[2].partition("\n### ")[0]
    rows = [(row["file"], row["function"]) for row in ROW.finditer(text)]
    assert rows, f"The page has no table for “{title}”."
    return rows


def trace(act: Callable[[], object]) -> Entered:
    """Return the functions of the project that ``act`` enters, in the order of their entry."""
    entered: Entered = []

    def record_entry(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(SOURCES):
            entered.append((code.co_filename.removeprefix(f"{ROOT}/"), code.co_qualname))

    sys.setprofile(record_entry)
    try:
        act()
    finally:
        sys.setprofile(None)
    return entered


class JourneyTests(TestCase):
    """Each journey of the page, taken once."""

    def setUp(self) -> None:
        self.workflow = WorkflowFactory()
        self.finding = FindingFactory(entity_name_type=self.workflow.entity_name_type)
        wait = {"id": "wait", "type": "wait", "data": {"interval": "PT1H"}}
        save_line(self.workflow, form(), wait)
        self.user = UserFactory()
        self.user.is_superuser = True
        closures.forget_closure(self.workflow.pk)

    def assert_enters(self, title: str, act: Callable[[], object]) -> None:
        entered = trace(act)
        position = -1
        for row in journey(title):
            assert row in entered, f"{row[1]} in {row[0]} was not entered. Correct {PAGE}."
            later = [index for index, found in enumerate(entered) if found == row]
            assert later[-1] > position, f"{row[1]} is entered earlier than {PAGE} says."
            position = next(index for index in later if index > position)

    def test_save_of_settings_enters_the_listed_functions(self) -> None:
        def save() -> None:
            self.workflow.entity_name_type = FindingTypeFactory()
            self.workflow.full_clean()
            self.workflow.save()

        self.assert_enters("Save the settings of a workflow", save)

    def test_save_of_a_graph_enters_the_listed_functions(self) -> None:
        latest = self.workflow.latest_version
        self.assert_enters(
            "Save a graph",
            lambda: save_graph(self.workflow, latest.source, based_on=latest.number),
        )

    def test_start_enters_the_listed_functions(self) -> None:
        self.assert_enters(
            "Start an execution", lambda: services.start(self.workflow, self.finding)
        )

    def test_submit_enters_the_listed_functions(self) -> None:
        execution = services.start(self.workflow, self.finding)
        self.assert_enters(
            "Submit a form",
            lambda: services.submit(execution, node="form", data={"note": "n"}, by=self.user),
        )

    def test_timer_enters_the_listed_functions(self) -> None:
        execution = services.start(self.workflow, self.finding)
        services.submit(execution, node="form", data={"note": "n"})
        Job.objects.update(due_at=timezone.now() - timedelta(hours=1))
        self.assert_enters("Pass a timer", run_due)
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED


@pytest.mark.parametrize("page", sorted(PAGE.parent.glob("*.md")), ids=lambda page: page.name)
def test_files_and_folders_that_a_page_names_exist(page: Path) -> None:
    missing = [path for path in PATH.findall(page.read_text()) if not (ROOT / path).exists()]
    assert missing == [], f"Correct the paths in {page}."


def test_page_names_every_package() -> None:
    text = PAGE.read_text()
    packages = (
        path.parent
        for app in ("workflows", "executions")
        for path in ROOT.glob(f"{app}/*/__init__.py")
    )
    named = {f"{path.relative_to(ROOT)}/" for path in packages if path.name not in UNNAMED}
    assert {package for package in named if f"`{package}`" not in text} == set()


def test_tests_that_the_page_about_changes_names_exist() -> None:
    text = (PAGE.parent / "changing.md").read_text()
    files = set(re.findall(r"tests/[\w/]+\.py", text))
    assert [path for path in sorted(files) if not (ROOT / path).exists()] == []
    missing = [
        f"{file}::{test}"
        for file, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
        if f"def {test}(" not in (ROOT / file).read_text()
    ]
    assert missing == []
