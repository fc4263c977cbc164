"""Damage to steps, jobs and joins."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from executions import services as running
from executions.models import Execution, Job
from tests.executions.damage.target import DamageTarget, change
from tests.executions.engine.test_branches import source
from tests.factories import WorkflowFactory
from workflows import editing


def close_step(target: DamageTarget) -> str:
    change(target.waiting.steps.open().get(), state="done")
    return target.waiting.cuid


def close_step_with_date(target: DamageTarget) -> str:
    step = target.waiting.steps.open().get()
    change(step, state="done", closed_at=step.opened_at)
    return target.waiting.cuid


def reopen_step(target: DamageTarget) -> str:
    running.cancel(target.waiting)
    change(target.waiting.steps.get(node_id="form"), state="open")
    return target.waiting.cuid


def close_calling_step(target: DamageTarget) -> str:
    change(target.calling.steps.get(node_id="call"), state="done")
    return target.calling.cuid


def delete_jobs(target: DamageTarget) -> str:
    Job.objects.all().delete()
    return target.sleeping.cuid


def change_assignees(target: DamageTarget) -> str:
    change(target.waiting.steps.get(node_id="form"), assignees='{"users":["nobody"]}')
    return target.waiting.cuid


def wait_at_join(target: DamageTarget) -> Execution:
    """Start an execution of which one branch waits at a join for the other."""
    workflow = WorkflowFactory(title="Joining", entity_name_type=target.scenario.limitation)
    nodes: dict[str, str | dict[str, Any]] = {"fork": "parallel", "join": "join"}
    forms = {"one": "user_action", "two": "user_action"}
    edges = ["start>fork", "fork>one", "fork>two", "one>join", "two>join", "join>end"]
    graph = source({"start": "start", **nodes, **forms, "end": "end"}, *edges)
    editing.save_graph(workflow, graph, based_on=1)
    execution = running.start(workflow, target.scenario.finding)
    running.submit(execution, node="one", data={"note": "n"})
    return execution


def close_branch(target: DamageTarget) -> str:
    execution = wait_at_join(target)
    change(execution.steps.get(node_id="two"), state="done", closed_at=timezone.now())
    return execution.cuid


def add_unknown_edge(target: DamageTarget) -> str:
    execution = wait_at_join(target)
    change(execution.steps.get(node_id="join"), input={"arrived": ["nowhere", 7, ["one", 1]]})
    return execution.cuid
