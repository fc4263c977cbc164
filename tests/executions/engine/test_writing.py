"""The write of an advance, for any number of changed rows."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from executions.engine.store.write_statement import MOST_ROWS
from executions.models import Execution, Job, Status, Step
from tests.factories import FindingFactory, WorkflowFactory, call, form, line, save_line
from workflows import editing
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]

NUMBERS = pytest.mark.parametrize("number", [2, MOST_ROWS - 1, MOST_ROWS, MOST_ROWS + 3])


def forked(*branches: dict[str, Any]) -> dict[str, Any]:
    """Return a source with these nodes as parallel branches between a fork and a join."""
    source = line({"id": "fork", "type": "parallel"}, {"id": "join", "type": "join"})
    source["nodes"] += branches
    source["edges"] = [edge for edge in source["edges"] if edge["source"] != "fork"]
    for node in branches:
        source["edges"] += [
            {"source": "fork", "target": node["id"]},
            {"source": node["id"], "target": "join"},
        ]
    return source


def started(*branches: dict[str, Any], workflow: Workflow | None = None) -> Execution:
    workflow = workflow or WorkflowFactory()
    editing.save_graph(workflow, forked(*branches), based_on=1)
    return running.start(workflow, FindingFactory(entity_name_type=workflow.entity_name_type))


@NUMBERS
def test_cancel_closes_every_step_and_deletes_every_job(number: int) -> None:
    execution = started(
        *(form(f"form{place}", deadline="P1D") for place in range(number)),
    )
    assert Job.objects.count() == number
    running.cancel(execution, why="Enough.")
    steps = Step.objects.filter(node_id__startswith="form")
    assert [(step.state, step.closed_at is None) for step in steps] == [
        ("cancelled", False)
    ] * number
    assert not Job.objects.exists()


@NUMBERS
def test_cancel_ends_every_descendant(number: int) -> None:
    callee = WorkflowFactory()
    save_line(callee, form("inner"))
    caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
    root = started(*(call(callee, f"call{place}") for place in range(number)), workflow=caller)
    assert Execution.objects.live().count() == number + 1
    running.cancel(root, why="Enough.")
    ended = Execution.objects.values_list("status", "ended_at")
    assert {status for status, _ in ended} == {Status.CANCELLED}
    assert None not in {at for _, at in ended}
    messages = set(root.children.values_list("message", flat=True))
    assert messages == {"The execution that called it has ended."}
    assert not Step.objects.open().exists()


@NUMBERS
def test_each_job_of_a_start_belongs_to_its_step(number: int) -> None:
    started(
        *(form(f"form{place}", deadline=f"P{place + 1}D") for place in range(number)),
        {"id": "sleep", "type": "wait", "data": {"interval": "P1D"}},
    )
    jobs = {job.step.node_id: (job.kind, job.due_at) for job in Job.objects.select_related("step")}
    steps = Step.objects.open().filter(due_at__isnull=False)
    assert {name: due for name, (_, due) in jobs.items()} == {
        step.node_id: step.due_at for step in steps
    }
    assert len(jobs) == number + 1
    assert jobs["sleep"][0] == "timer"
    assert {kind for name, (kind, _) in jobs.items() if name != "sleep"} == {"deadline"}


def test_job_of_a_stored_step_belongs_to_that_step() -> None:
    workflow = WorkflowFactory()
    sleep = {"id": "sleep", "type": "wait", "data": {"at_field": "when"}}
    save_line(workflow, sleep, form())
    finding = FindingFactory(
        entity_name_type=workflow.entity_name_type, fields={"when": "some day"}
    )
    execution = running.start(workflow, finding)
    assert execution.steps.open().get().state == "incident"
    finding.fields = {"when": "2999-01-01T00:00:00+00:00"}
    finding.save()
    running.retry(execution, node="sleep")
    job = Job.objects.get()
    assert job.step == execution.steps.open().get()
    assert job.due_at.year == 2999
