"""Tasks of operators, with the number of clicks that each takes from the home page."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services
from executions.demo import CALLEE, CALLER, FINDING
from executions.models import Execution
from tests.browser.accessibility import find_overflow
from tests.factories import FindingFactory, form, line, save_line, user_in
from workflows import editing

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

SELECT = "Select this object for an action -"


def status(execution: Execution) -> str:
    execution.refresh_from_db()
    return execution.status


def to_workflows(operator: Any, title: str) -> None:
    operator.click("link", "Workflows", within=operator.page.locator(".model-workflow th"))
    operator.click("link", title)


def to_executions(operator: Any, execution: Execution) -> None:
    operator.click("link", "Executions", within=operator.page.locator(".model-execution th"))
    operator.click("link", f"{execution.workflow} v{execution.version.number}")


def test_start_an_execution_in_5_clicks(operator: Any) -> None:
    to_workflows(operator, CALLER)
    operator.click("link", "Start execution")
    operator.click("radio", FINDING)
    operator.click("button", "Start execution")
    assert operator.sees("The execution is waiting.")
    assert Execution.objects.live().count() == 1


def test_fill_in_the_form_of_a_step_in_5_clicks(operator: Any, waiting: Execution) -> None:
    to_executions(operator, waiting)
    operator.write("Comment:", "The scenario is added.")
    operator.choose("Severity:", "high")
    operator.click("button", "Submit review")
    assert operator.sees("Completed")
    assert status(waiting) == "completed"


def test_vote_on_an_approval_in_3_clicks(operator: Any, played: Any) -> None:
    approval = {"id": "agree", "type": "approval", "data": {"users": ["ada"]}}
    source = line(approval)
    source["nodes"].append({"id": "no", "type": "fail", "data": {"message": "Rejected."}})
    source["edges"][-1]["sourceHandle"] = "approved"
    source["edges"].append({"source": "agree", "target": "no", "sourceHandle": "rejected"})
    editing.save_graph(played.callee, source, based_on=1)
    execution = services.start(played.callee, played.finding)
    to_executions(operator, execution)
    operator.click("button", "Approve")
    assert operator.sees("Completed")
    assert status(execution) == "completed"


def test_find_why_a_finding_type_is_locked_in_3_clicks(operator: Any, waiting: Execution) -> None:
    to_workflows(operator, CALLEE)
    assert operator.sees("workflows referencing this one have active executions")
    operator.click("link", f"{waiting.workflow} on “{waiting.entity}”")
    assert operator.sees("Current steps")
    assert "Execution |" in operator.page.title()


def test_fix_an_incident_in_4_clicks(operator: Any, played: Any) -> None:
    save_line(played.callee, {"id": "nap", "type": "wait", "data": {"at_field": "review"}})
    played.finding.fields = {"review": "soon"}
    played.finding.save()
    execution = services.start(played.callee, played.finding)
    to_executions(operator, execution)
    assert operator.sees("which is not a date")
    operator.click("link", "Retry…")
    operator.write("Fields of the entity:", '{"review": "2020-01-01"}')
    operator.write("Reason:", "The date was a word.")
    operator.click("button", "Retry")
    assert operator.sees("Completed")
    assert status(execution) == "completed"


@pytest.mark.parametrize("scripts", [True, False])
def test_go_from_task_to_task_in_the_inbox(walking: Any, played: Any, scripts: bool) -> None:
    ada = user_in("participant", username="ada", is_staff=True)
    first, second = (
        services.start(played.caller, FindingFactory(entity_name_type=played.limitation))
        for _ in range(2)
    )
    walk = walking(ada, java_script_enabled=scripts)
    walk.click("link", "Inbox", within=walk.page.locator("#user-tools"))
    walk.page.get_by_role("link", name="Next task").wait_for()
    if scripts:
        # The box appears when the script listens.
        walk.page.get_by_role("checkbox", name="Keys: J next").wait_for()
        walk.page.keyboard.press("j")
        walk.page.wait_for_url("**open=*")
        walk.page.keyboard.press("k")
        walk.page.get_by_role("link", name="Next task").wait_for()
        # A key that is typed into a field is text.
        walk.write("Comment:", "j")
        walk.page.get_by_role("checkbox", name="Keys: J next").uncheck()
        walk.page.keyboard.press("j")
    walk.write("Comment:", "Reviewed.")
    walk.choose("Severity:", "low")
    walk.click("button", "Submit review")
    assert walk.sees(str(second.entity))
    assert (status(first), status(second)) == ("completed", "waiting")
    assert not find_overflow(walk.page)


def test_compare_two_versions_in_3_clicks(operator: Any, played: Any) -> None:
    services.start(played.callee, played.finding)
    save_line(played.callee, form("check", label="Check again"))
    to_workflows(operator, CALLEE)
    operator.click("link", "Compare versions")
    differences = operator.page.locator("#differences")
    assert "Check again" in differences.inner_text()


def test_cancel_twenty_executions_in_7_clicks(operator: Any, played: Any) -> None:
    entities = [FindingFactory(entity_name_type=played.caller.entity_name_type) for _ in range(22)]
    started = [services.start(played.caller, entity) for entity in entities]
    operator.click("link", "Executions", within=operator.page.locator(".model-execution th"))
    # Shift-click selects the range from the newest to the twentieth.
    operator.click("checkbox", f"{SELECT} {started[-1]}")
    operator.page.keyboard.down("Shift")
    operator.click("checkbox", f"{SELECT} {started[-20]}")
    operator.page.keyboard.up("Shift")
    operator.choose("Action:", "Cancel…")
    operator.click("button", "Go")
    assert operator.sees("of 20 executions can be changed")
    operator.write("Reason:", "The findings were recorded twice.")
    operator.click("button", "Cancel executions (20)")
    assert operator.sees("20 of 20")
    assert {status(row) for row in started[:2]} == {"waiting"}
    assert {status(row) for row in started[2:]} == {"cancelled"}


@pytest.fixture
def waiting(played: Any) -> Execution:
    """Return an execution that waits at the caller's form."""
    return services.start(played.caller, played.finding)
