"""Damage to the audit log, and to rows that no repair can restore."""

from __future__ import annotations

from executions.models import Entity
from tests.executions.damage.target import DamageTarget
from workflows.models import AuditCounter, AuditEntry, Unsealed


def leave_row_unsealed(target: DamageTarget) -> str:
    Unsealed.objects.create(table_name="workflows_version", row_id=7, why="forgotten")
    return "7"


def lower_audit_counter(target: DamageTarget) -> str:
    number = AuditCounter.objects.get().last
    AuditCounter.objects.update(last=number - 2)
    return str(number - 2)


def delete_entity(target: DamageTarget) -> str:
    Entity._base_manager.filter(pk=target.scenario.finding.pk)._raw_delete("default")
    return target.waiting.cuid


def delete_audit_entry(target: DamageTarget) -> str:
    AuditEntry.objects.filter(pk=3)._raw_delete("default")
    return "4"


def delete_last_audit_entry(target: DamageTarget) -> str:
    last = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True)[0]
    AuditEntry.objects.filter(pk=last)._raw_delete("default")
    return str(last)
