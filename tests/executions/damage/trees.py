"""Damage to executions and their trees."""

from __future__ import annotations

from executions import services as running
from executions.models import Step
from tests.executions.damage.target import DamageTarget, change
from tests.factories import FindingFactory


def run_version_of_other_workflow(target: DamageTarget) -> str:
    change(target.waiting, version=target.idle.latest_version)
    return target.waiting.cuid


def change_workflow_of_execution(target: DamageTarget) -> str:
    change(target.waiting, workflow=target.idle)
    return target.waiting.cuid


def run_version_of_other_workflow_in_child(target: DamageTarget) -> str:
    change(target.child, version=target.idle.latest_version)
    return target.child.cuid


def change_entity_of_child(target: DamageTarget) -> str:
    change(target.child, entity=FindingFactory(entity_name_type=target.scenario.limitation))
    return target.child.cuid


def end_execution(target: DamageTarget) -> str:
    change(target.waiting, status="cancelled")
    return target.waiting.cuid


def end_root(target: DamageTarget) -> str:
    change(target.calling, status="cancelled")
    return target.child.cuid


def cancel_child(target: DamageTarget) -> str:
    Step.objects.filter(execution=target.child).update(state="cancelled")
    change(target.child, status="cancelled")
    return target.calling.cuid


def complete_child(target: DamageTarget) -> str:
    Step.objects.filter(execution=target.child).update(state="done")
    change(target.child, status="completed")
    return target.calling.cuid


def detach_child(target: DamageTarget) -> str:
    change(target.calling.steps.get(node_id="call"), child=None)
    return target.child.cuid


def change_parent(target: DamageTarget) -> str:
    change(target.child, parent=target.waiting)
    return target.child.cuid


def revive_execution(target: DamageTarget) -> str:
    running.cancel(target.waiting)
    change(target.waiting, status="waiting")
    return target.waiting.cuid
