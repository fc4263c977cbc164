"""What keeps the laws: seals, keys, changes on hold, the audit log."""

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
from executions.models import Execution, Pin
from workflows.db import write_once
from workflows.models import (
    AuditCounter,
    AuditEntry,
    PendingChange,
    PendingWorkflow,
    Unsealed,
)

APPS = ("workflows", "executions")
# What the keys over several columns say as well, so that they have no plain one.
BESIDE_A_KEY = ((Execution, "workflow"), (Pin, "root"), (Pin, "callee"))


def opened_seals() -> Iterator[Violation]:
    """No row stands unsealed, and no seal is missing."""
    for row in Unsealed.objects.iterator(CHUNK):
        yield Violation("seal", row.table_name, str(row.row_id), f"It was left unsealed: {row.why}")
    for name in write_once.missing(connections[DB]):
        yield Violation(
            "seal",
            "trigger",
            name,
            "The seal is missing; run migrate to restore it.",
            remedy="manage.py migrate",
        )


def nowhere() -> Iterator[Violation]:
    """What a record points at is there."""
    queries = _key_queries()
    for field, rows in zip(queries, read_rows(*queries.values()), strict=True):
        for row in rows:
            yield Violation(
                "key",
                str(field.model._meta.verbose_name),
                str(getattr(row, "cuid", row.pk)),
                f"Its {field.verbose_name} has the id {getattr(row, field.attname)}, which is "
                "not there.",
                remedy="Restore the row that is gone from a backup.",
            )


@cache
def _key_queries() -> dict[Any, RowQuery]:
    return {field: partial(_rows_without_target, field) for field in _keys()}


def _rows_without_target(field: Any) -> QuerySet[Any]:
    target = field.related_model._base_manager.order_by().filter(pk=OuterRef(field.attname))
    rows: QuerySet[Any] = field.model._base_manager.filter(~Exists(target))
    return rows.exclude(**{field.attname: None}).order_by("pk").defer(*_large(field.model))


def _keys() -> Iterator[Any]:
    for label in APPS:
        for model in apps.get_app_config(label).get_models():
            fields: Any = () if model._meta.proxy else model._meta.concrete_fields
            for field in fields:
                if field.is_relation and (
                    field.db_constraint or (model, field.name) in BESIDE_A_KEY
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


def changes_on_hold() -> Iterator[Violation]:
    """A workflow drains exactly while the change that it drains for waits."""
    draining, idle = read_rows(_draining_without_change, _changes_without_draining)
    for row in draining:
        detail = f"“{row.title}” drains for it, but it is {row.change.state}."
        yield _of(row.change, detail)
    for row in idle:
        detail = f"It waits, but “{row.title}” does not drain for it."
        yield _of(row.change, detail)


def _of(change: PendingChange, detail: str) -> Violation:
    return Violation("hold", "pending change", change.cuid, detail)


def audit_log() -> Iterator[Violation]:
    """The entries of the audit log are numbered without gaps, up to its counter."""
    gone = "Restore the entries from a backup: what is gone cannot be written again."
    entries = AuditEntry.objects.aggregate(number=Count("pk"), last=Max("pk"))
    last = entries["last"] or 0
    counted = AuditCounter.objects.values_list("last", flat=True).first() or 0
    if counted != last:
        detail = f"The last entry is {last}, but {counted} have been written."
        remedy = REPAIR if counted < last else gone
        yield Violation("audit", "audit entry", str(counted), detail, remedy=remedy)
    if entries["number"] != last:
        before = Coalesce(Window(Lag("pk"), order_by=F("pk").asc()), 0)
        numbered = AuditEntry.objects.annotate(gap=F("pk") - before - 1).order_by("pk")
        for number, gap in numbered.filter(gap__gt=0).values_list("pk", "gap"):
            detail = f"{gap} before entry {number} {'is' if gap == 1 else 'are'} missing."
            yield Violation("audit", "audit entry", str(number), detail, remedy=gone)
