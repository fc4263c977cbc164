"""Moves of an execution whose open step calls another system: its deadline."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from executions.models import Execution, Job, JobKind, Step
from tests.executions.moves import correct, move, start_at

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


def request(**data: Any) -> dict[str, Any]:
    return {"id": "ask", "type": "http_request", "data": {"url": "https://example.com", **data}}


def open_step(execution: Execution) -> Step:
    return execution.steps.open().get()


def due_times(step: Step) -> dict[str, datetime]:
    return dict(Job.objects.filter(step=step).values_list("kind", "due_at"))


@pytest.mark.parametrize("retime", [False, True])
def test_call_keeps_its_deadline_when_only_its_body_changes(retime: bool) -> None:
    execution = start_at(request(deadline="P1D"), name="n")
    step = open_step(execution)
    before = due_times(step)
    correct(execution, request(deadline="P1D", method="POST", body="{{name}}"))
    move(execution, retime=retime)
    moved = open_step(execution)
    assert (moved.due_at, due_times(moved)) == (step.due_at, before)
    assert moved.input == {"fields": {"name": "n"}}


@pytest.mark.parametrize(("retime", "days"), [(False, 1), (True, 3)])
def test_call_gets_another_deadline_only_with_retime(retime: bool, days: int) -> None:
    execution = start_at(request(deadline="P1D"))
    called_at = due_times(open_step(execution))[JobKind.CALL]
    correct(execution, request(deadline="P3D"))
    move(execution, retime=retime)
    step = open_step(execution)
    deadline = step.opened_at + timedelta(days=days)
    assert step.due_at == deadline
    assert due_times(step) == {JobKind.CALL: called_at, JobKind.DEADLINE: deadline}


def test_call_gets_the_first_deadline_of_its_node() -> None:
    execution = start_at(request())
    correct(execution, request(deadline="P3D"))
    move(execution)
    step = open_step(execution)
    assert due_times(step)[JobKind.DEADLINE] == step.due_at == step.opened_at + timedelta(days=3)


def test_call_loses_its_deadline_with_retime() -> None:
    execution = start_at(request(deadline="P1D"))
    correct(execution, request())
    move(execution, retime=True)
    assert list(due_times(open_step(execution))) == [JobKind.CALL]
