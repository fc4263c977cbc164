"""Damage to pinned versions."""

from __future__ import annotations

from datetime import timedelta

from executions import services as running
from executions.models import ClosureMember
from tests.executions.damage.target import DamageTarget, change
from tests.factories import WorkflowFactory, call, form, save_line


def delete_pin(target: DamageTarget) -> str:
    target.waiting.pins.all()._raw_delete("default")
    return target.waiting.cuid


def delete_all_pins(target: DamageTarget) -> str:
    ClosureMember._base_manager.all()._raw_delete("default")
    return target.calling.cuid


def pin_other_workflow(target: DamageTarget) -> str:
    change(target.waiting.pins.get(), version=target.idle.latest_version)
    return target.waiting.cuid


def pin_later_version(target: DamageTarget) -> str:
    later = save_line(target.callee, form("later"))
    change(later, created_at=later.created_at + timedelta(days=1))
    change(target.waiting.pins.get(), version=later)
    return target.waiting.cuid


def pin_other_version_than_child(target: DamageTarget) -> str:
    later = save_line(target.callee, form("later"))
    change(target.calling.pins.get(), version=later)
    return target.child.cuid


def release_pin(target: DamageTarget) -> str:
    change(target.waiting.pins.get(), key=None)
    return target.waiting.cuid


def change_pin_context(target: DamageTarget) -> str:
    change(target.waiting.pins.get(), key=f"Finding:{target.kind.pk}:")
    return target.waiting.cuid


def remove_closure(target: DamageTarget) -> str:
    change(target.waiting, closure=None)
    return target.waiting.cuid


def release_closure(target: DamageTarget) -> str:
    change(target.waiting.closure, context_key=None)
    return target.calling.cuid


def edit_closure_checksum(target: DamageTarget) -> str:
    change(target.waiting.closure, checksum="0" * 64)
    return target.waiting.cuid


def give_closure_to_child(target: DamageTarget) -> str:
    change(target.child, closure=target.calling.closure)
    return target.child.cuid


def change_version_of_closure(target: DamageTarget) -> str:
    change(target.waiting.closure, version=target.idle.latest_version)
    return target.waiting.cuid


def delete_pin_of_ended_execution(target: DamageTarget) -> str:
    caller = WorkflowFactory(title="Ended", entity_name_type=target.scenario.limitation)
    save_line(caller, form(), call(target.callee))
    ended = running.start(caller, target.scenario.finding)
    running.cancel(ended)
    ended.pins._raw_delete("default")
    return str(ended.closure_id)
