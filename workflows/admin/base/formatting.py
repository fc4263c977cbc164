"""Helpers for URLs, links, badges, dates and JSON on admin pages."""

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
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString

from workflows import running
from workflows.models import AuditEntry
from workflows.values import moments

DASH = "–"


def format_moment(value: datetime | None) -> str:
    """Return a time in the project's date format with its zone, or a dash for None."""
    return DASH if value is None else moments.format_moment(value)


def row_id(text: str) -> int | None:
    """Return the row id that a URL parameter spells, or None if no row can have it."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


def execution_model() -> type[Model]:
    """Return the execution model."""
    return running.registered.execution_model


def live_count(relation: str) -> Coalesce:
    """Return an expression that counts the live executions of a row.

    Args:
        relation: the field of executions that refers to the row.
    """
    live = running.registered.live_executions().filter(**{relation: OuterRef("pk")}).order_by()
    live_counts = live.values(relation).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(live_counts, output_field=IntegerField()), 0)


def admin_url(model: type[Model] | Model, page: str, *args: Any, **query: Any) -> str:
    """Return the URL of a page of the model's admin, for example ``changelist``."""
    options = model._meta
    address = reverse(f"admin:{options.app_label}_{options.model_name}_{page}", args=args)
    return f"{address}?{urlencode(query)}" if query else address


BACK = "back"
"""The query parameter of an add page with the path to return to."""


def back_url(request: HttpRequest) -> str:
    """Return the path of this site to return to after adding a row; empty if there is none."""
    path = request.GET.get(BACK, "")
    is_own = path.startswith("/") and url_has_allowed_host_and_scheme(path, allowed_hosts=None)
    return path if is_own else ""


def log_url(request: HttpRequest, cuid: str) -> str | None:
    """Return the URL of a record's audit entries, or None if the user may not view them."""
    if not request.user.has_perm("workflows.view_auditentry"):
        return None
    return admin_url(AuditEntry, "changelist", cuid=cuid)


def link(row: Model | None, text: object = None) -> SafeString | str:
    """Return a link to the page of a row, or a dash for None."""
    if row is None:
        return DASH
    label = row if text is None else text
    return format_html('<a href="{}">{}</a>', admin_url(row, "change", row.pk), label)


def badge(value: str, label: str) -> SafeString:
    """Return a status or state as a coloured badge."""
    return format_html('<span class="badge badge-{}">{}</span>', value, label)


def pretty_json(value: object) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def json_block(value: object) -> SafeString:
    """Return a value as indented JSON in a ``pre`` element."""
    return format_html('<pre class="json">{}</pre>', pretty_json(value))
