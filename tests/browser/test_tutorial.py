"""The tutorial for the admin, step by step in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from executions.demo import CALLEE, WAITING_FINDING
from executions.models import Execution
from tests.commands import run
from workflows.models import Workflow

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]


@pytest.fixture
def operator(transactional_db: None, walking: Callable[..., Any], settings: Any) -> Any:
    """The account of the quickstart, at the home page."""
    settings.DEBUG = True
    run("quickstart", no_serve=True, password="for the tutorial")
    settings.DEBUG = False
    return walking(get_user_model().objects.get(username="operator"))


def test_tutorial_submits_a_task_of_the_demo_data(operator: Any) -> None:
    operator.click("link", "Review")
    operator.write("Comment:", "The backtest is repeated.")
    operator.choose("Severity:", "low")
    operator.click("button", "Submit review")
    assert operator.sees("Completed") and operator.sees(CALLEE)
    assert Execution.objects.get(entity__title=WAITING_FINDING, parent=None).status == "completed"


def test_tutorial_creates_a_workflow_and_cannot_strand_its_execution(operator: Any) -> None:
    page = operator.page
    operator.click("link", "Add", within=page.locator(".model-findingtype"))
    operator.write("Name:", "Data gap")
    operator.click("button", "Save")
    operator.click("link", "Home")
    operator.click("link", "Add", within=page.locator(".model-workflow"))
    operator.write("Title:", "Close a data gap")
    operator.choose("State:", "Active")
    operator.choose("Finding type:", "Data gap")
    operator.click("button", "Save and continue editing")
    add_form(operator)
    operator.click("link", "Home")
    operator.click("link", "Add", within=page.locator(".model-finding"))
    operator.write("Title:", "No data before 2015")
    operator.choose("Finding type:", "Data gap")
    operator.click("button", "Save")
    open_workflow(operator)
    operator.click("link", "Start execution")
    operator.click("radio", "No data before 2015")
    operator.click("button", "Start execution")
    assert operator.sees("Waiting")
    open_workflow(operator)
    assert operator.sees("Why the type is locked")
    execution = Execution.objects.live().get(workflow__title="Close a data gap")
    operator.click("link", "Edit graph")
    add_step(operator, "Review the gap", "User action", "Confirm")
    operator.click("button", "Save")
    assert operator.sees("Version 2 was saved")
    assert execution.workflow.versions.count() == 2
    operator.click("link", "Inbox")
    task = page.locator(".desk-list li").filter(has_text="No data before 2015")
    task.get_by_role("link").click()
    operator.write("Verdict:", "Close it.")
    operator.click("button", "Submit")
    execution.refresh_from_db()
    assert (execution.status, execution.version.number) == ("completed", 1)


def open_workflow(operator: Any) -> None:
    operator.click("link", "Home")
    operator.click("link", "Workflows", within=operator.page.locator(".model-workflow th"))
    operator.click("link", "Close a data gap")


def add_form(operator: Any) -> None:
    """Put a form with one required field between the start and the end, and save the graph."""
    operator.click("link", "Edit graph")
    add_step(operator, "Start", "User action", "Review the gap")
    operator.click("button", "Add form field")
    operator.page.locator("[name='data/fields/0/name']").fill("verdict")
    operator.page.locator("[name='data/fields/0/required']").check()
    operator.click("button", "Apply")
    operator.click("button", "Save")
    assert operator.sees("Version 1 was replaced")
    assert Workflow.objects.get(title="Close a data gap").latest_version.source["nodes"][1:]


def add_step(operator: Any, after: str, node_type: str, label: str) -> None:
    operator.page.get_by_role("link", name=after).first.click()
    operator.page.locator("#label").fill(label)
    operator.click("button", node_type)
