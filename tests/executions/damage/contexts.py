"""Damage to entity contexts."""

from __future__ import annotations

from tests.executions.damage.target import DamageTarget, change
from workflows.models import Version


def change_callee_type(target: DamageTarget) -> str:
    change(target.callee, entity_name_type=target.kind)
    return str(target.waiting.version.cuid)


def change_caller_type(target: DamageTarget) -> str:
    change(target.caller, entity_name_type=target.kind)
    return target.waiting.cuid


def change_both_types(target: DamageTarget) -> str:
    change_callee_type(target)
    return change_caller_type(target)


def change_idle_type(target: DamageTarget) -> str:
    change(target.idle, entity_name_type=target.kind)
    return str(target.idle.cuid)


def change_version_type(target: DamageTarget) -> str:
    change(target.waiting.version, entity_name_type=target.kind)
    return str(target.waiting.version.cuid)


def change_all_types(target: DamageTarget) -> str:
    change_both_types(target)
    for version in Version.objects.filter(workflow__in=[target.caller, target.callee]):
        change(version, entity_name_type=target.kind)
    return str(target.waiting.version.cuid)


def clear_version_context(target: DamageTarget) -> str:
    change(target.waiting.version, entity_name_type=None)
    return str(target.waiting.version.cuid)


def clear_workflow_context(target: DamageTarget) -> str:
    change(target.caller, entity_name_type=None)
    return target.waiting.cuid


def release_version(target: DamageTarget) -> str:
    change(target.waiting.version, in_force=False)
    return target.waiting.cuid


def change_execution_context(target: DamageTarget) -> str:
    change(target.waiting, context_key=f"Finding:{target.kind.pk}:")
    return target.waiting.cuid


def change_entity_type(target: DamageTarget) -> str:
    change(target.scenario.finding, entity_name_type=target.kind)
    return target.waiting.cuid
