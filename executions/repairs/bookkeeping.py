"""Repairs of the safeguards: write-once exceptions, pending changes, the audit counter, closures
without live executions.
"""

from __future__ import annotations

from django.db.models import Max

from executions.integrity.shared_closures import find_damaged_closures
from executions.models import LIVE, Closure
from executions.repairs.report import Report
from workflows.models import AuditCounter, AuditEntry, PendingChange, PendingWorkflow, Unsealed


def restore_write_once(report: Report) -> None:
    """Protect rows again that were left writable. Other checks find wrong values in them."""
    for row in Unsealed.objects.select_for_update().order_by("pk"):
        Unsealed.objects.filter(pk=row.pk).delete()
        detail = f"Its write-once protection is restored. It was lifted for: {row.why}"
        report.add_safeguard_repair("write-once row", f"{row.table_name} {row.row_id}", detail)


def sync_pending_changes(report: Report) -> None:
    """Let workflows drain for waiting changes, and for no others."""
    waiting = PendingChange.State.WAITING
    for change in PendingChange.objects.select_for_update().order_by("pk"):
        is_waiting = change.state == waiting
        members = PendingWorkflow.objects.filter(change=change).exclude(waiting=is_waiting)
        titles = ", ".join(f"“{row.title}”" for row in members)
        if members.update(waiting=is_waiting):
            drain = "Draining for it again" if is_waiting else "No longer draining for it"
            report.add_repair(change, f"It is {change.state}. {drain}: {titles}.")


def restore_audit_counter(report: Report) -> None:
    """Set a counter that is behind the audit entries, so that no number is used twice."""
    last = AuditEntry.objects.aggregate(last=Max("pk"))["last"] or 0
    counter = AuditCounter.objects.select_for_update().first()
    if last and counter is None:
        AuditCounter.objects.create(last=last)
    elif counter is not None and counter.last < last:
        AuditCounter.objects.filter(pk=counter.pk).update(last=last)
    else:
        return
    report.add_safeguard_repair("audit counter", str(last), f"It is set to {last}, the last entry.")


def release_damaged_closures(report: Report) -> None:
    """Release the damaged closures that no live execution uses: no start uses them again."""
    damaged = Closure._base_manager.filter(pk__in=find_damaged_closures())
    unused = damaged.exclude(executions__status__in=LIVE).order_by("pk")
    for pk in unused.values_list("pk", flat=True):
        # Others may have released or deleted it since.
        if Closure._base_manager.filter(pk=pk, context_key__isnull=False).update(context_key=None):
            detail = "It is released. The next start creates a new one."
            report.add_safeguard_repair("closure", str(pk), detail)
