"""The fifteen tasks of operators, with and without JavaScript, each from the home page.

The names of the tests have the number of clicks. Moving executions to a corrected graph and
drawing a graph are in modules of their own.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from executions import services
from executions.demo import CALLEE, CALLER, FINDING
from executions.models import Execution
from tests.browser.accessibility import find_overflow
from tests.factories import FindingFactory, form, line, save_line, user_in
from workflows import editing
from workflows.models import PendingChange, Workflow

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

SELECT = "Select this object for an action -"
SCRIPTS = pytest.mark.parametrize("operator", [True, False], indirect=True, ids=["js", "no_js"])


def status(execution: Execution) -> str:
    execution.refresh_from_db()
    return execution.status


def to_list(operator: Any, name: str, model: str) -> None:
    operator.click("link", name, within=operator.page.locator(f".model-{model} th"))


def to_workflows(operator: Any, title: str) -> None:
    to_list(operator, "Workflows", "workflow")
    operator.click("link", title)


def panel(operator: Any, name: str) -> Any:
    """Return a panel of the home page."""
    return operator.page.locator(f".panel-{name}")


@pytest.fixture
def waiting(played: Any) -> Execution:
    """Return an execution that waits at the caller's form."""
    return services.start(played.caller, played.finding)


@SCRIPTS
def test_start_an_execution_in_3_clicks(operator: Any) -> None:
    to_list(operator, "Findings", "finding")
    operator.click("link", FINDING)
    operator.click("button", f"Start “{CALLER}”")
    assert operator.sees("The execution is waiting.")
    assert Execution.objects.live().count() == 1


@SCRIPTS
def test_fill_in_the_form_of_a_step_in_4_clicks(waiting: Execution, operator: Any) -> None:
    operator.click("link", "Review", within=panel(operator, "tasks"))
    operator.write("Comment:", "The scenario is added.")
    operator.choose("Severity:", "high")
    operator.click("button", "Submit review")
    assert operator.sees("Completed")
    assert status(waiting) == "completed"


@pytest.fixture
def at_a_vote(played: Any) -> Execution:
    """Return an execution that waits for the vote of ada or bo."""
    user_in("administrator", username="ada", is_staff=True)
    user_in("participant", username="bo")
    source = line({"id": "agree", "type": "approval", "data": {"users": ["ada", "bo"]}})
    source["nodes"].append({"id": "no", "type": "fail", "data": {"message": "Rejected."}})
    source["edges"][-1]["sourceHandle"] = "approved"
    source["edges"].append({"source": "agree", "target": "no", "sourceHandle": "rejected"})
    editing.save_graph(played.callee, source, based_on=1)
    return services.start(played.callee, played.finding)


@SCRIPTS
def test_vote_on_an_approval_in_2_clicks(at_a_vote: Execution, operator: Any) -> None:
    operator.click("link", "agree", within=panel(operator, "tasks"))
    operator.click("button", "Approve")
    assert operator.sees("Completed")
    assert status(at_a_vote) == "completed"


@SCRIPTS
def test_find_who_approved_in_2_clicks(at_a_vote: Execution, operator: Any) -> None:
    bo = get_user_model().objects.get(username="bo")
    services.vote(at_a_vote, node="agree", approves=True, by=bo)
    to_list(operator, "Executions", "execution")
    operator.click("link", f"{at_a_vote.workflow} v{at_a_vote.version.number}")
    history = operator.page.locator("#history").inner_text()
    assert "bo" in history and "approved" in history.lower()


@SCRIPTS
def test_find_why_a_finding_type_is_locked_in_3_clicks(waiting: Execution, operator: Any) -> None:
    to_workflows(operator, CALLEE)
    assert operator.sees("workflows referencing this one have active executions")
    operator.click("link", f"{waiting.workflow} on “{waiting.entity}”")
    assert operator.sees("Current steps")
    assert "Execution |" in operator.page.title()


@pytest.fixture
def incidents(played: Any) -> list[Execution]:
    """Return ten executions with the same incident: a date is a word."""
    save_line(played.callee, {"id": "nap", "type": "wait", "data": {"at_field": "review"}})
    entities = FindingFactory.create_batch(
        10, entity_name_type=played.limitation, fields={"review": "soon"}
    )
    return [services.start(played.callee, entity) for entity in entities]


@SCRIPTS
def test_fix_an_incident_in_3_clicks(incidents: list[Execution], operator: Any) -> None:
    operator.click("link", "nap", within=panel(operator, "incidents"))
    assert operator.sees("which is not a date")
    operator.click("link", "Retry…")
    operator.write("Fields of the entity:", '{"review": "2020-01-01"}')
    operator.write("Reason:", "The date was a word.")
    operator.click("button", "Retry")
    assert operator.sees("Completed")
    assert status(incidents[-1]) == "completed"


@SCRIPTS
def test_retry_ten_incidents_in_3_clicks(incidents: list[Execution], operator: Any) -> None:
    for execution in incidents:
        execution.entity.fields = {"review": "2020-01-01"}
        execution.entity.save()
    operator.click("link", "nap", within=panel(operator, "incidents"))
    operator.click("button", "Retry all 10 with this cause…")
    operator.write("Reason:", "The dates were corrected.")
    operator.click("button", "Retry executions (10)")
    assert operator.sees("10 of 10")
    assert {status(row) for row in incidents} == {"completed"}


@SCRIPTS
def test_return_for_rework_in_2_clicks(played: Any, operator: Any) -> None:
    actions = [
        {"handle": "accept", "label": "Accept"},
        {"handle": "rework", "label": "Return for rework", "validates": False},
    ]
    source = line(form("write"), form("check", label="Check it", actions=actions))
    source["edges"][-1]["sourceHandle"] = "accept"
    source["edges"].append({"source": "check", "target": "write", "sourceHandle": "rework"})
    editing.save_graph(played.callee, source, based_on=1)
    execution = services.start(played.callee, played.finding)
    services.submit(execution, node="write", data={"note": "n"})
    operator.page.reload()
    operator.click("link", "Check it", within=panel(operator, "tasks"))
    operator.click("button", "Return for rework")
    assert operator.sees("write")
    assert execution.steps.open().get().node_id == "write"


@SCRIPTS
def test_reassign_in_3_clicks(waiting: Execution, operator: Any) -> None:
    Group.objects.create(name="risk managers").user_set.add(user_in("participant", username="bo"))
    operator.click("link", "Review", within=panel(operator, "tasks"))
    operator.click("link", "Reassign…")
    operator.page.get_by_role("combobox", name="Group").fill("risk managers")
    operator.write("Reason:", "They know the model.")
    operator.click("button", "Reassign")
    assert operator.sees("Assigned to group “risk managers”")


@SCRIPTS
def test_compare_two_versions_in_3_clicks(played: Any, operator: Any) -> None:
    services.start(played.callee, played.finding)
    save_line(played.callee, form("check", label="Check again"))
    to_workflows(operator, CALLEE)
    operator.click("link", "Compare versions")
    differences = operator.page.locator("#differences")
    assert "Check again" in differences.inner_text()


@SCRIPTS
def test_move_ten_executions_in_4_clicks(played: Any, operator: Any) -> None:
    save_line(played.callee, form("check"))
    entities = FindingFactory.create_batch(10, entity_name_type=played.limitation)
    moved = [services.start(played.callee, entity) for entity in entities]
    save_line(played.callee, form("check", label="Check again"))
    to_workflows(operator, CALLEE)
    operator.click("link", "Move to another version…")
    operator.write("Reason:", "The form has a clearer label.")
    operator.click("button", "Move (10)")
    assert operator.sees("10 of 10")
    assert {step.label for row in moved for step in row.steps.open()} == {"Check again"}


@pytest.fixture
def twenty_two(played: Any) -> list[Execution]:
    """Return 22 executions that wait, the oldest first."""
    entities = FindingFactory.create_batch(22, entity_name_type=played.limitation)
    return [services.start(played.caller, entity) for entity in entities]


def cancel_selected(operator: Any, started: list[Execution]) -> None:
    operator.choose("Action:", "Cancel…")
    operator.click("button", "Go")
    assert operator.sees("of 20 executions can be changed")
    operator.write("Reason:", "The findings were recorded twice.")
    operator.click("button", "Cancel executions (20)")
    assert operator.sees("20 of 20")
    assert {status(row) for row in started[:2]} == {"waiting"}
    assert {status(row) for row in started[2:]} == {"cancelled"}


def test_cancel_twenty_executions_in_7_clicks(twenty_two: list[Execution], operator: Any) -> None:
    to_list(operator, "Executions", "execution")
    # Shift-click selects the range from the newest to the twentieth.
    operator.click("checkbox", f"{SELECT} {twenty_two[-1]}")
    operator.page.keyboard.down("Shift")
    operator.click("checkbox", f"{SELECT} {twenty_two[-20]}")
    operator.page.keyboard.up("Shift")
    cancel_selected(operator, twenty_two)


@pytest.mark.parametrize("operator", [False], indirect=True, ids=["no_js"])
def test_cancel_twenty_executions_without_scripts_in_25_clicks(
    twenty_two: list[Execution], operator: Any
) -> None:
    to_list(operator, "Executions", "execution")
    for execution in twenty_two[2:]:
        operator.click("checkbox", f"{SELECT} {execution}")
    cancel_selected(operator, twenty_two)


def see_both_together(operator: Any) -> None:
    """Go from the page of the caller to the preview of a change of both workflows."""
    operator.click("link", "Change finding type")
    operator.choose("New type:", "Policy Exception")
    operator.click("button", "Preview the change")
    operator.click("link", "Select these 2 workflows")


@SCRIPTS
def test_change_a_caller_and_its_callee_together_in_8_clicks(operator: Any) -> None:
    to_workflows(operator, CALLER)
    see_both_together(operator)
    operator.write("Reason:", "Reclassified")
    operator.click("button", "Change 2 workflows")
    assert operator.sees("2 workflows changed")
    names = Workflow.objects.values_list("entity_name_type__name", flat=True)
    assert set(names) == {"Policy Exception"}


@SCRIPTS
def test_change_when_drained_in_8_clicks(waiting: Execution, operator: Any) -> None:
    to_workflows(operator, CALLER)
    see_both_together(operator)
    assert operator.sees("when the live execution has ended")
    operator.click("button", "Put the change on hold")
    assert operator.sees("Change on hold")
    services.cancel(waiting)
    assert PendingChange.objects.get().state == "applied"


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


def test_diagram_opens_at_the_current_step_on_a_phone(played: Any, walking: Any) -> None:
    save_line(played.callee, *(form(f"form{number}") for number in range(12)))
    execution = services.start(played.callee, played.finding)
    for number in range(10):
        services.submit(execution, node=f"form{number}", data={"note": "n"})
    ada = user_in("administrator", username="ada", is_staff=True)
    walk = walking(ada, viewport={"width": 390, "height": 844})
    walk.page.goto(f"/admin/executions/execution/{execution.pk}/change/")
    frame = walk.page.locator("#path .graph").bounding_box()
    node = walk.page.locator("#graph-current").bounding_box()
    assert frame["y"] <= node["y"] <= frame["y"] + frame["height"] - node["height"]
    assert not find_overflow(walk.page)
