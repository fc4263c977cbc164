"""Pages of finding types and record types."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from workflows import guards
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.models import FindingType, RecordType, Workflow


class TypeAdmin(GuardedAdmin):
    """Base class of type pages, with the number of workflows of each type."""

    empty_text = _("Each entity has a type, and each workflow works on one type.")
    list_display = ["name", "workflows", "description"]
    optional_columns = ("public_id",)
    search_fields = ["name", "description", "=cuid"]
    fields = ["name", "description", "cuid"]
    readonly_fields = ["cuid"]
    key: ClassVar[str]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the types with the number of their workflows."""
        mine = Workflow.objects.filter(**{self.key: OuterRef("pk")}).order_by()
        number = mine.values(self.key).annotate(number=Count("pk")).values("number")
        rows = super().get_queryset(request)
        types: QuerySet[Any] = rows.annotate(users=Coalesce(Subquery(number), 0))
        return types

    @admin.display(description=_("workflows"), ordering="users")
    def workflows(self, row: Any) -> str:
        """Return the number of workflows of the type, linked to their list."""
        url = admin_url(Workflow, "changelist", **{f"{self.key}__id__exact": row.pk})
        return format_html('<a href="{}">{}</a>', url, row.users)

    def refuse_deletion(self, row: Any) -> None:
        """Raise a refusal if the type is in use."""
        guards.refuse_type_deletion(row)


@admin.register(FindingType)
class FindingTypeAdmin(TypeAdmin):
    """Types of findings."""

    key = "entity_name_type"


@admin.register(RecordType)
class RecordTypeAdmin(TypeAdmin):
    """Types of inventory models."""

    key = "primary_record_type"
