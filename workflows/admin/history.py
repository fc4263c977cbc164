"""What the audit log tells of one record, on that record's own page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from workflows.admin.audit import action_html
from workflows.admin.audit_differences import label
from workflows.admin.base.formatting import admin_url, log_url
from workflows.models import AuditEntry

LISTED = 10


@dataclass(frozen=True, slots=True)
class Told:
    """One entry in a line."""

    entry: AuditEntry
    url: str
    what: str
    names: str


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
