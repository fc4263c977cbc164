"""Callees that are retired before, during and after an execution of the caller."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from executions import guards, services
from executions.models import Execution, Status
from tests.conftest import Scenario
from tests.factories import call, form, save_line
from workflows import editing
from workflows.guards import HasCallers
from workflows.models import Workflow
from workflows.refusals import Refusal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


@pytest.fixture
def calling(scenario: Scenario) -> Scenario:
    """Give the caller a form before and after its call, and the callee one form."""
    save_line(scenario.callee, form("inner"))
    save_line(scenario.caller, form("before"), call(scenario.callee), form("after"))
    return scenario


def retire(scenario: Scenario) -> None:
    """Remove the call from the caller's latest graph, and retire the callee."""
    with pytest.raises(HasCallers):
        editing.retire(scenario.callee)
    save_line(scenario.caller, form("instead"))
    editing.retire(scenario.callee)
    scenario.callee.refresh_from_db()
    assert scenario.callee.state == Workflow.State.RETIRED
    with pytest.raises(guards.NotStartable):
        services.start(scenario.callee, scenario.finding)


def submit(execution: Execution, node: str) -> Status:
    return Status(services.submit(execution, node=node, data={"note": "n"}).status)


MOMENTS = ("waits before the call", "child runs", "child has an incident", "after the call")


@pytest.mark.parametrize("moment", MOMENTS)
def test_execution_completes_when_callee_is_retired(calling: Scenario, moment: str) -> None:
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


def test_new_execution_runs_graph_without_retired_callee(calling: Scenario) -> None:
    retire(calling)
    execution = calling.start()
    assert not execution.pins.exists()
    assert submit(execution, "instead") == Status.COMPLETED


def test_scheduled_execution_has_pinned_retired_callee(calling: Scenario) -> None:
    at = timezone.now() + timedelta(hours=1)
    execution = services.start(calling.caller, calling.finding, scheduled_for=at)
    retire(calling)
    services.wake(execution, node="start")
    submit(execution, "before")
    submit(execution.children.get(), "inner")
    assert submit(execution, "after") == Status.COMPLETED


def test_restart_runs_latest_graph_without_retired_callee(calling: Scenario) -> None:
    execution = calling.start()
    retire(calling)
    again = services.restart(execution)
    assert submit(again, "instead") == Status.COMPLETED


def test_execution_of_retired_caller_continues_and_start_is_refused(calling: Scenario) -> None:
    execution = calling.start()
    editing.retire(calling.caller)
    # A retired caller does not prevent the retirement of its callee.
    editing.retire(calling.callee)
    with pytest.raises(guards.NotStartable):
        calling.start()
    submit(execution, "before")
    submit(execution.children.get(), "inner")
    assert submit(execution, "after") == Status.COMPLETED


def test_context_change_is_refused_while_pinned_version_runs(calling: Scenario) -> None:
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
