"""What the audit log tells of one record, on that record's own page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from workflows.admin.audit import action_html
from workflows.admin.differences import label
from workflows.admin.shown import admin_url
from workflows.models import AuditEntry

LISTED = 10


@dataclass(frozen=True, slots=True)
class Told:
    """One entry in a line."""

    entry: AuditEntry
    url: str
    what: str
    names: str


def log_url(request: HttpRequest, cuid: str) -> str | None:
    """Where the entries of this record are listed, for whoever may read them."""
    if not request.user.has_perm("workflows.view_auditentry"):
        return None
    return admin_url(AuditEntry, "changelist", cuid=cuid)


def history(request: HttpRequest, cuid: str) -> dict[str, Any]:
    """The newest entries of a record, and where all of them are."""
    url = log_url(request, cuid)
    if url is None:
        return {}
    entries = AuditEntry.objects.filter(cuid=cuid).defer("before", "detail").order_by("-pk")
    return {
        "log_url": url,
        "log": [
            Told(
                entry,
                admin_url(entry, "change", entry.pk),
                action_html(entry),
                ", ".join(label(entry.kind, name) for name in entry.after),
            )
            for entry in entries[:LISTED]
        ],
    }
