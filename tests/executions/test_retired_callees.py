"""A callee that is retired at every moment of its caller's life."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from executions import guards, services
from executions.models import Execution, Status
from tests.conftest import Scenario
from tests.factories import call, drawn, form
from workflows import editing as drawing
from workflows.guards import Referenced
from workflows.models import Workflow
from workflows.refusals import Refusal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("laws")]


@pytest.fixture
def calling(scenario: Scenario) -> Scenario:
    """The caller has a form before its call and one after it; the callee has one."""
    drawn(scenario.callee, form("inner"))
    drawn(scenario.caller, form("before"), call(scenario.callee), form("after"))
    return scenario


def retire(scenario: Scenario) -> None:
    """It may retire once the caller's latest graph calls it no more."""
    with pytest.raises(Referenced):
        drawing.retire(scenario.callee)
    drawn(scenario.caller, form("instead"))
    drawing.retire(scenario.callee)
    scenario.callee.refresh_from_db()
    assert scenario.callee.state == Workflow.State.RETIRED
    with pytest.raises(guards.NotStartable):
        services.start(scenario.callee, scenario.finding)


def submit(execution: Execution, node: str) -> Status:
    return Status(services.submit(execution, node=node, data={"note": "n"}).status)


MOMENTS = ("waits before the call", "child runs", "child has an incident", "after the call")


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_was_started_before_goes_on_to_its_end(calling: Scenario, moment: str) -> None:
    execution = calling.start()
    reached = MOMENTS.index(moment)
    if reached == 0:
        retire(calling)
    submit(execution, "before")
    child = execution.children.get()
    if reached == 1:
        retire(calling)
    if reached == 2:
        services.cancel(child)
        retire(calling)
        services.retry(execution, node="call")
        pinned = child.version_id
        child = execution.children.live().get()
        assert child.version_id == pinned
    assert submit(child, "inner") == Status.COMPLETED
    if reached == 3:
        retire(calling)
    assert submit(execution, "after") == Status.COMPLETED


def test_before_the_start_the_new_graph_runs_without_it(calling: Scenario) -> None:
    retire(calling)
    execution = calling.start()
    assert not execution.pins.exists()
    assert submit(execution, "instead") == Status.COMPLETED


def test_a_scheduled_start_has_pinned_it_already(calling: Scenario) -> None:
    at = timezone.now() + timedelta(hours=1)
    execution = services.start(calling.caller, calling.finding, scheduled_for=at)
    retire(calling)
    services.wake(execution, node="start")
    submit(execution, "before")
    submit(execution.children.get(), "inner")
    assert submit(execution, "after") == Status.COMPLETED


def test_a_restart_runs_the_latest_graph_without_it(calling: Scenario) -> None:
    execution = calling.start()
    retire(calling)
    again = services.restart(execution)
    assert submit(again, "instead") == Status.COMPLETED


def test_a_retired_caller_goes_on_and_no_new_root_starts(calling: Scenario) -> None:
    execution = calling.start()
    drawing.retire(calling.caller)
    # A caller that is retired itself does not hold its callee back.
    drawing.retire(calling.callee)
    with pytest.raises(guards.NotStartable):
        calling.start()
    submit(execution, "before")
    submit(execution.children.get(), "inner")
    assert submit(execution, "after") == Status.COMPLETED


def test_what_a_pinned_run_holds_keeps_its_type_until_it_has_ended(calling: Scenario) -> None:
    execution = calling.start()
    retire(calling)
    calling.callee.entity_name_type = calling.exception
    with pytest.raises(Refusal):
        calling.callee.save()
    submit(execution, "before")
    submit(execution.children.get(), "inner")
    submit(execution, "after")
    calling.callee.refresh_from_db()
    calling.callee.entity_name_type = calling.exception
    calling.callee.save()
