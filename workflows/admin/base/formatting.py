"""How single things are shown: addresses, links, badges, JSON."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, IntegerField, Model, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from workflows.models import AuditEntry, Workflow
from workflows.values import moments

NOTHING = "–"


def moment(value: datetime | None) -> str:
    """A time for people: in the one format of dates, with its zone; a dash where there is none."""
    return NOTHING if value is None else moments.shown(value)


def row_id(text: str) -> int | None:
    """The id that a text from an address spells; None when no row could have it."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


def execution_model() -> Any:
    """The model of executions, known here by the relation alone."""
    return Workflow._meta.get_field("executions").related_model


def live_count(relation: str) -> Coalesce:
    """How many live executions have the row, counted by the index of what is live."""
    live = execution_model().objects.live().filter(**{relation: OuterRef("pk")}).order_by()
    counted = live.values(relation).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def admin_url(model: type[Model] | Model, page: str, *args: Any, **query: Any) -> str:
    """The address of a page of the model's admin, e.g. ``changelist``."""
    options = model._meta
    address = reverse(f"admin:{options.app_label}_{options.model_name}_{page}", args=args)
    return f"{address}?{urlencode(query)}" if query else address


def log_url(request: HttpRequest, cuid: str) -> str | None:
    """Where the log's entries of this record are listed, for whoever may read them."""
    if not request.user.has_perm("workflows.view_auditentry"):
        return None
    return admin_url(AuditEntry, "changelist", cuid=cuid)


def link(row: Model | None, text: object = None) -> SafeString | str:
    """A link to the page of this row, or a dash where there is none."""
    if row is None:
        return NOTHING
    shown = row if text is None else text
    return format_html('<a href="{}">{}</a>', admin_url(row, "change", row.pk), shown)


def badge(value: str, label: str) -> SafeString:
    """A status or a state, coloured by its value."""
    return format_html('<span class="badge badge-{}">{}</span>', value, label)


def pretty(value: object) -> str:
    """JSON for people to read and edit."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def preformatted(value: object) -> SafeString:
    """JSON as a block of its own."""
    return format_html('<pre class="json">{}</pre>', pretty(value))
