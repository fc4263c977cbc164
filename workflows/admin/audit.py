"""Audit log pages: the list, one entry, and the history section of a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Page
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.admin.audited_records import (
    RECORD_MODELS,
    RecordLink,
    find_by_cuid,
    find_records,
)
from workflows.admin.base.filters import exact_value_filter
from workflows.admin.base.formatting import (
    DASH,
    admin_url,
    badge,
    format_moment,
    json_block,
    log_url,
)
from workflows.admin.base.generics import Paginator
from workflows.admin.base.model_admin import ReadOnlyAdmin
from workflows.db.bounded_count import COUNT_LIMIT
from workflows.db.cuid import LENGTH
from workflows.models import AuditEntry
from workflows.visibility import may_view_values

MAX_REASON_LENGTH = 80
HISTORY_LENGTH = 10


class LogPaginator(Paginator[AuditEntry]):
    """Pagination whose cost does not depend on the page or on the length of the log.

    The ids of the whole log have no gaps, so it needs no count and no offset. Of a filtered log,
    the newest ``COUNT_LIMIT`` entries are read once.
    """

    object_list: Any

    @property
    def _is_unfiltered(self) -> bool:
        return not self.object_list.query.has_filters()

    @cached_property
    def _matching_ids(self) -> list[int]:
        ids = self.object_list.order_by("-pk").values_list("pk", flat=True)
        return list(ids[:COUNT_LIMIT])

    @cached_property
    def count(self) -> int:
        """Return the number of entries to paginate."""
        if self._is_unfiltered:
            return self.object_list.order_by("-pk").values_list("pk", flat=True).first() or 0
        return len(self._matching_ids)

    def page(self, number: int | str) -> Page[AuditEntry]:
        """Return one page; of the unfiltered log, by a range of ids."""
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        if self._is_unfiltered:
            newest = self.count - first
            ids: dict[str, Any] = {"pk__lte": newest, "pk__gt": newest - self.per_page}
        else:
            ids = {"pk__in": self._matching_ids[first : first + self.per_page]}
        entries = AuditEntry.objects.order_by("-pk").filter(**ids)
        return Page(entries, number, self)


class RecordKindFilter(SimpleListFilter):
    """A filter by the kind of record. Its choices need no query on the log.

    A record type is something else: the type of an inventory model.
    """

    title = _("kind of record")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return every kind of record that is audited."""
        return [(kind, capfirst(kind)) for kind in sorted(RECORD_MODELS)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the entries about records of the chosen kind."""
        return queryset.filter(kind=self.value()) if self.value() in RECORD_MODELS else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit log, read-only."""

    list_title = _("Audit log")
    empty_text = _("Changes and refusals appear here, with who made them.")
    list_display = ["number", "when", "by", "done", "record", "short_reason"]
    list_display_links = ["number"]
    list_filter = [
        "refused",
        "action",
        "face",
        RecordKindFilter,
        "at",
        exact_value_filter("cuid", _("record")),
        exact_value_filter("request_id", _("request")),
        exact_value_filter("code", _("code")),
    ]
    search_fields = ["title", "who__iexact"]
    search_help_text = _("Search by record ID, request ID, user name or words of a title.")
    ordering = ["-id"]
    sortable_by = ()
    paginator = LogPaginator
    list_max_show_all = 0
    change_list_template = "admin/workflows/auditentry/change_list.html"
    csv_columns = {
        "number": "pk",
        "at": "at",
        "who": "who",
        "face": "face",
        "action": "action",
        "refused": "refused",
        "code": "code",
        "kind": "kind",
        "cuid": "cuid",
        "title": "title",
        "before": "before",
        "after": "after",
        "why": "why",
        "request_id": "request_id",
    }
    page_template = "workflows/admin/audit_entry.html"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look up an id by its index, and search for anything else."""
        found = queryset.filter(Q(cuid=search_term) | Q(request_id=search_term))
        if search_term and found.exists():
            return found, False
        return super().get_search_results(request, queryset, search_term)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list, whose entries have links to their records."""
        change_list = super().get_changelist_instance(request)
        # The entry of a replaced graph stores the whole graph.
        change_list.result_list = change_list.result_list.defer("before", "after", "detail")
        links = find_records(change_list.result_list)
        for row in change_list.result_list:
            row.record_link = links.get((row.kind, row.cuid))
        return change_list

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the list with the number of entries that it counts."""
        context = {"count_limit": COUNT_LIMIT, **(extra_context or {})}
        return super().changelist_view(request, context)

    @admin.display(description=_("no."))
    def number(self, row: AuditEntry) -> str:
        """Return the number of the entry. Numbers have no gaps."""
        return str(row.pk)

    @admin.display(description=_("time"))
    def when(self, row: AuditEntry) -> str:
        """Return the time of the entry, to the second."""
        return format_moment(row.at)

    @admin.display(description=_("user"))
    def by(self, row: AuditEntry) -> str:
        """Return the user, if known, and the interface."""
        return _two_lines(row.who or DASH, row.get_face_display())

    @admin.display(description=_("action"))
    def done(self, row: AuditEntry) -> str:
        """Return the action, and the code of a refusal."""
        return action_html(row)

    @admin.display(description=_("record"))
    def record(self, row: Any) -> str:
        """Return the title of the record, linked if it exists, and its kind."""
        return _two_lines(_record_html(row, row.record_link), row.kind)

    @admin.display(description=_("reason"))
    def short_reason(self, row: AuditEntry) -> str:
        """Return the beginning of the reason."""
        return Truncator(row.why).chars(MAX_REASON_LENGTH) or DASH

    def redact(self, request: HttpRequest, row: AuditEntry) -> AuditEntry:
        """Remove the values of a record that the user may not view."""
        if not may_view_values(request.user, row):
            row.before, row.after = {}, {}
        return row

    def row_context(self, request: HttpRequest, row: Any, **options: Any) -> dict[str, Any]:
        """Return the context of the page of one entry."""
        row = self.redact(request, row)
        link = find_records([row]).get((row.kind, row.cuid))
        return {
            "title": gettext("Audit entry %(number)s") % {"number": row.pk},
            "subtitle": None,
            "entry": row,
            "action": row.get_action_display(),
            "record": _record_html(row, link),
            "record_exists": link is not None,
            "differences": differences(row),
            "request_url": row.request_id
            and admin_url(AuditEntry, "changelist", request_id=row.request_id),
            "record_url": admin_url(AuditEntry, "changelist", cuid=row.cuid),
        }


def _two_lines(first: str, second: str) -> str:
    return format_html('{}<br><span class="quiet">{}</span>', first, second)


def _record_html(entry: AuditEntry, record: RecordLink | None) -> str:
    if record is None:
        return entry.title or entry.cuid
    # Executions have no title of their own; the link names their workflow and entity.
    has_title = bool(entry.title) and entry.title != entry.cuid
    return format_html('<a href="{}">{}</a>', record.url, entry.title if has_title else record.name)


def action_html(row: AuditEntry) -> str:
    """Return the action of an entry as HTML, with the code of a refusal."""
    action = row.get_action_display()
    if not row.refused:
        return str(action)
    refused = badge("refused", gettext("refused"))
    return format_html('{} {}<br><code class="quiet">{}</code>', action, refused, row.code)


# Differences between before and after


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field of an audit entry: its label, and its values before and after as HTML."""

    label: str
    before: str
    after: str


def differences(entry: AuditEntry) -> list[FieldDifference]:
    """Return the fields of an entry; references to records are shown by name."""
    links = find_by_cuid({cuid for side in (entry.before, entry.after) for cuid in _cuids(side)})
    return [
        FieldDifference(
            field_label(entry.kind, name),
            _field_html(entry.before, name, links),
            _field_html(entry.after, name, links),
        )
        for name in dict.fromkeys([*entry.before, *entry.after])
    ]


def field_label(kind: str, name: str) -> str:
    """Return the label of a field of a record of this kind."""
    if kind in RECORD_MODELS:
        try:
            field: Any = RECORD_MODELS[kind].model._meta.get_field(name)
            return str(field.verbose_name)
        except (FieldDoesNotExist, AttributeError):
            pass
    return name.replace("_", " ")


def _cuids(values: Mapping[str, Any]) -> Iterator[str]:
    for value in values.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str) and len(item) == LENGTH:
                yield item


def _field_html(values: Mapping[str, Any], name: str, links: dict[str, RecordLink]) -> str:
    if name not in values:
        return DASH
    value = values[name]
    is_flat = isinstance(value, list) and not any(isinstance(one, (dict, list)) for one in value)
    if is_flat and value:
        return format_html_join(", ", "{}", ((_value_html(item, links),) for item in value))
    if isinstance(value, (dict, list)):
        return json_block(value)
    return _value_html(value, links)


def _value_html(value: Any, links: dict[str, RecordLink]) -> str:
    if value is None:
        return DASH
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if value == "":
        return format_html('<span class="quiet">{}</span>', gettext("empty"))
    record = links.get(value) if isinstance(value, str) else None
    if record is not None:
        return format_html('<a href="{}">{}</a>', record.url, record.name)
    return str(value)


# The history section of a record's page


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One audit entry in the history of a record."""

    entry: AuditEntry
    url: str
    action: str
    fields: str


def history_context(request: HttpRequest, cuid: str, *others: str) -> dict[str, Any]:
    """Return the newest audit entries of a record, or {} if the user may not view them.

    Args:
        others: the cuids of records whose entries are listed with those of the record.
    """
    url = log_url(request, cuid)
    if url is None:
        return {}
    entries = (
        AuditEntry.objects.filter(cuid__in=[cuid, *others])
        .defer("before", "detail")
        .order_by("-pk")
    )
    return {
        "log_url": url,
        "log": [
            HistoryEntry(
                entry,
                admin_url(entry, "change", entry.pk),
                action_html(entry),
                ", ".join(field_label(entry.kind, name) for name in entry.after),
            )
            for entry in entries[:HISTORY_LENGTH]
        ],
    }
