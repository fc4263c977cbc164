"""The pages of the audit log: who did what, when, through which face, and what was refused."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.core.paginator import Page
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import Truncator, capfirst

from workflows.admin.audit_differences import differences
from workflows.admin.audited_records import KINDS, records_of
from workflows.admin.base.formatting import NOTHING, admin_url, badge, moment
from workflows.admin.base.generics import Paginator
from workflows.admin.base.link_filters import exactly
from workflows.admin.base.read_only import ToldAdmin
from workflows.models import AuditEntry
from workflows.visibility import may_view_values

COUNTED = 10_000
SHORT = 80


class LogPaginator(Paginator[AuditEntry]):
    """Pages that cost the same wherever they lie, however long the log is.

    The whole log needs no counting and no offset, for its ids have no gaps; of what a filter
    leaves, the newest ``COUNTED`` entries are looked for, once.
    """

    object_list: Any

    @property
    def _is_whole(self) -> bool:
        return not self.object_list.query.has_filters()

    @cached_property
    def _found(self) -> list[int]:
        return list(self.object_list.order_by("-pk").values_list("pk", flat=True)[:COUNTED])

    @cached_property
    def count(self) -> int:
        """How many entries there are to page through."""
        if self._is_whole:
            return self.object_list.order_by("-pk").values_list("pk", flat=True).first() or 0
        return len(self._found)

    def page(self, number: int | str) -> Page[AuditEntry]:
        """One page; of the whole log, by the range of its ids."""
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        if self._is_whole:
            newest = self.count - first
            ids: dict[str, Any] = {"pk__lte": newest, "pk__gt": newest - self.per_page}
        else:
            ids = {"pk__in": self._found[first : first + self.per_page]}
        entries = AuditEntry.objects.order_by("-pk").filter(**ids)
        return Page(entries, number, self)


class KindFilter(SimpleListFilter):
    """The kinds of records; asking the log for them would read all of it."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Every kind that the log tells of."""
        return [(kind, capfirst(kind)) for kind in sorted(KINDS)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only what tells of this kind."""
        return queryset.filter(kind=self.value()) if self.value() in KINDS else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ToldAdmin):
    """The log, to read."""

    list_display = ["number", "when", "by", "done", "record", "why_short"]
    list_display_links = ["number"]
    list_filter = [
        "refused",
        "action",
        "face",
        KindFilter,
        "at",
        exactly("cuid", "record"),
        exactly("request_id", "request"),
        exactly("code", "code"),
    ]
    search_fields = ["title", "who__iexact"]
    search_help_text = "A cuid, the id of a request, who it was, or words of a title."
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
        """Ids are looked up as they are, by their indexes; anything else is searched for."""
        found = queryset.filter(Q(cuid=search_term) | Q(request_id=search_term))
        if search_term and found.exists():
            return found, False
        return super().get_search_results(request, queryset, search_term)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list, whose entries know the pages of their records."""
        found = super().get_changelist_instance(request)
        # A graph that was replaced is kept whole in its entry.
        found.result_list = found.result_list.defer("before", "after", "detail")
        known = records_of(found.result_list)
        for row in found.result_list:
            row.known_record = known.get((row.kind, row.cuid))
        return found

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The list; it says where it stops counting."""
        return super().changelist_view(request, {"counted": COUNTED, **(extra_context or {})})

    @admin.display(description="no.")
    def number(self, row: AuditEntry) -> str:
        """The number; there are no gaps."""
        return str(row.pk)

    @admin.display(description="at")
    def when(self, row: AuditEntry) -> str:
        """When, to the second."""
        return moment(row.at)

    @admin.display(description="who")
    def by(self, row: AuditEntry) -> str:
        """Who, where that is known, and through which face."""
        return _two_lines(row.who or NOTHING, row.get_face_display())

    @admin.display(description="what")
    def done(self, row: AuditEntry) -> str:
        """What was done, or what was refused and why."""
        return action_html(row)

    @admin.display(description="record")
    def record(self, row: Any) -> str:
        """What it tells of, linked while it exists, and of which kind that is."""
        title = row.title or row.cuid
        if row.known_record is not None:
            title = format_html('<a href="{}">{}</a>', row.known_record.url, title)
        return _two_lines(title, row.kind)

    @admin.display(description="why")
    def why_short(self, row: AuditEntry) -> str:
        """The beginning of the reason."""
        return Truncator(row.why).chars(SHORT) or NOTHING

    def redact(self, request: HttpRequest, row: AuditEntry) -> AuditEntry:
        """Take away what the record had and has, from whoever may not read the record."""
        if not may_view_values(request.user, row):
            row.before, row.after = {}, {}
        return row

    def told(self, request: HttpRequest, row: AuditEntry, **given: Any) -> dict[str, Any]:
        """All that one entry tells."""
        row = self.redact(request, row)
        return {
            "title": f"Audit entry {row.pk}",
            "original": None,
            "subtitle": None,
            "entry": row,
            "what": row.get_action_display(),
            "record": records_of([row]).get((row.kind, row.cuid)),
            "differences": differences(row),
            "request_url": row.request_id
            and admin_url(AuditEntry, "changelist", request_id=row.request_id),
            "record_url": admin_url(AuditEntry, "changelist", cuid=row.cuid),
        }


def _two_lines(first: str, second: str) -> str:
    return format_html('{}<br><span class="quiet">{}</span>', first, second)


def action_html(row: AuditEntry) -> str:
    """What was done; of what was refused, its code too."""
    action = row.get_action_display()
    if not row.refused:
        return str(action)
    refused = badge("refused", "refused")
    return format_html('{} {}<br><code class="quiet">{}</code>', action, refused, row.code)
