"""What keeps the laws, mended: seals left open, changes on hold, the counter of the log."""

from __future__ import annotations

from django.db.models import Max

from executions.repairs.repair_report import Report
from workflows.models import AuditCounter, AuditEntry, PendingChange, PendingWorkflow, Unsealed


def close_seals(report: Report) -> None:
    """A seal that was left open is closed; what went through it, the other rules find."""
    for row in Unsealed.objects.select_for_update().order_by("pk"):
        Unsealed.objects.filter(pk=row.pk).delete()
        report.note("seal", f"{row.table_name} {row.row_id}", f"It is closed: {row.why}")


def agree_on_hold(report: Report) -> None:
    """What is on hold drains its workflows, and nothing else does."""
    waiting = PendingChange.State.WAITING
    for change in PendingChange.objects.select_for_update().order_by("pk"):
        is_waiting = change.state == waiting
        members = PendingWorkflow.objects.filter(change=change).exclude(waiting=is_waiting)
        titles = ", ".join(f"“{row.title}”" for row in members)
        if members.update(waiting=is_waiting):
            verb = "drain" if is_waiting else "do not drain"
            report.mend(change, f"It is {change.state}: {titles} {verb} for it.")


def count_the_log(report: Report) -> None:
    """A counter that is behind its entries would give a number twice."""
    last = AuditEntry.objects.aggregate(last=Max("pk"))["last"] or 0
    counter = AuditCounter.objects.select_for_update().first()
    if last and counter is None:
        AuditCounter.objects.create(last=last)
    elif counter is not None and counter.last < last:
        AuditCounter.objects.filter(pk=counter.pk).update(last=last)
    else:
        return
    report.note("audit counter", str(last), f"It counts from entry {last} again.")
