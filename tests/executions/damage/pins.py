"""Damage to pinned versions."""

from __future__ import annotations

from datetime import timedelta

from executions.models import Pin
from tests.executions.damage.target import DamageTarget, change
from tests.factories import form, save_line


def delete_pin(target: DamageTarget) -> str:
    target.waiting.pins.all()._raw_delete("default")
    return target.waiting.cuid


def delete_all_pins(target: DamageTarget) -> str:
    Pin._base_manager.all()._raw_delete("default")
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
    change(target.waiting.pins.get(), live=False)
    return target.waiting.cuid


def change_pin_context(target: DamageTarget) -> str:
    change(target.waiting.pins.get(), context_key=f"Finding:{target.kind.pk}:")
    return target.waiting.cuid
