"""Safeguards of the invariants: write-once triggers, foreign keys, pending changes, audit log."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

from django.apps import apps
from django.db import connections, models
from django.db.models import Count, Exists, F, Max, OuterRef, QuerySet, Window
from django.db.models.functions import Coalesce, Lag

from executions.integrity.row_queries import RowQuery, read_rows
from executions.integrity.violation import CHUNK, DB, REPAIR, Violation
from executions.models import Closure, ClosureMember, Execution
from workflows.db import write_once
from workflows.models import (
    AuditCounter,
    AuditEntry,
    PendingChange,
    PendingWorkflow,
    Unsealed,
)

APPS = ("workflows", "executions")
# Relations without a foreign key of their own: a composite key covers them.
IN_COMPOSITE_KEYS = (
    (Execution, "workflow"),
    (Execution, "closure"),
    (Closure, "workflow"),
    (ClosureMember, "callee"),
)


def check_write_once() -> Iterator[Violation]:
    """Yield rows that were left writable, and missing write-once triggers."""
    for row in Unsealed.objects.iterator(CHUNK):
        detail = f"Its write-once protection was not restored. It was lifted for: {row.why}"
        yield Violation("write_once", row.table_name, str(row.row_id), detail)
    for name in write_once.find_missing(connections[DB]):
        yield Violation(
            "write_once",
            "trigger",
            name,
            "The write-once trigger is missing.",
            remedy="manage.py migrate",
        )


def check_foreign_keys() -> Iterator[Violation]:
    """Yield records that refer to a row that does not exist."""
    queries = _key_queries()
    for field, rows in zip(queries, read_rows(*queries.values()), strict=True):
        for row in rows:
            yield Violation(
                "foreign_key",
                str(field.model._meta.verbose_name),
                str(getattr(row, "cuid", row.pk)),
                f"Its {field.verbose_name} has the id {getattr(row, field.attname)}, which does "
                "not exist.",
                remedy="Restore the missing row from a backup.",
            )


@cache
def _key_queries() -> dict[Any, RowQuery]:
    return {field: partial(_rows_without_target, field) for field in _relations()}


def _rows_without_target(field: Any) -> QuerySet[Any]:
    target = field.related_model._base_manager.order_by().filter(pk=OuterRef(field.attname))
    rows: QuerySet[Any] = field.model._base_manager.filter(~Exists(target))
    return rows.exclude(**{field.attname: None}).order_by("pk").defer(*_large(field.model))


def _relations() -> Iterator[Any]:
    for label in APPS:
        for model in apps.get_app_config(label).get_models():
            fields: Any = () if model._meta.proxy else model._meta.concrete_fields
            for field in fields:
                if field.is_relation and (
                    field.db_constraint or (model, field.name) in IN_COMPOSITE_KEYS
                ):
                    yield field


def _large(model: Any) -> list[str]:
    return [
        field.name for field in model._meta.concrete_fields if isinstance(field, models.JSONField)
    ]


def _draining_without_change() -> QuerySet[PendingWorkflow]:
    draining = PendingWorkflow.objects.filter(waiting=True).select_related("change")
    return draining.exclude(change__state=PendingChange.State.WAITING)


def _changes_without_draining() -> QuerySet[PendingWorkflow]:
    idle = PendingWorkflow.objects.filter(waiting=False).select_related("change")
    return idle.filter(change__state=PendingChange.State.WAITING)


def check_pending_changes() -> Iterator[Violation]:
    """Yield pending changes whose workflows do not drain, and ended changes whose workflows do."""
    draining, idle = read_rows(_draining_without_change, _changes_without_draining)
    for row in draining:
        detail = f"“{row.title}” is draining for it, but it is {row.change.state}."
        yield _violation(row.change, detail)
    for row in idle:
        detail = f"It is waiting, but “{row.title}” is not draining for it."
        yield _violation(row.change, detail)


def _violation(change: PendingChange, detail: str) -> Violation:
    return Violation("pending_change", "pending change", change.cuid, detail)


def check_audit_log() -> Iterator[Violation]:
    """Yield gaps in the numbers of the audit entries, and a counter that does not match them."""
    restore = "Restore the entries from a backup. Deleted entries cannot be written again."
    entries = AuditEntry.objects.aggregate(number=Count("pk"), last=Max("pk"))
    last = entries["last"] or 0
    counted = AuditCounter.objects.values_list("last", flat=True).first() or 0
    if counted != last:
        detail = f"The last entry has the number {last}, but the counter is at {counted}."
        remedy = REPAIR if counted < last else restore
        yield Violation("audit_log", "audit entry", str(counted), detail, remedy=remedy)
    if entries["number"] != last:
        before = Coalesce(Window(Lag("pk"), order_by=F("pk").asc()), 0)
        numbered = AuditEntry.objects.annotate(gap=F("pk") - before - 1).order_by("pk")
        for number, gap in numbered.filter(gap__gt=0).values_list("pk", "gap"):
            noun = "entry" if gap == 1 else "entries"
            detail = f"{gap} {noun} missing before number {number}."
            yield Violation("audit_log", "audit entry", str(number), detail, remedy=restore)
