"""The audit log (read-only)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext as _
from rest_framework import mixins
from rest_framework.exceptions import NotFound

from workflows.api.base.resources import Resource
from workflows.api.base.strict_fields import OutputModelSerializer
from workflows.api.list_filters import AuditFilter
from workflows.models import AuditEntry
from workflows.visibility import may_view_values


class AuditEntrySerializer(OutputModelSerializer[AuditEntry]):
    """An entry: who changed what, when and on which interface; values; and any refusal."""

    class Meta:
        model = AuditEntry
        fields = [
            "id",
            "at",
            "who",
            "face",
            "request_id",
            "action",
            "kind",
            "cuid",
            "title",
            "refused",
            "code",
            "detail",
            "before",
            "after",
            "why",
        ]
        read_only_fields = fields

    def to_representation(self, instance: AuditEntry) -> Any:
        """Return the entry; the values only for users who may view the record."""
        data = super().to_representation(instance)
        if not may_view_values(self.context["request"].user, instance):
            data |= {"before": {}, "after": {}}
        return data


class AuditViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """Edits and refused edits, latest first, numbered without gaps."""

    queryset = AuditEntry.objects.all()
    serializer_class = AuditEntrySerializer
    filterset_class = AuditFilter
    search_fields: ClassVar = ["=cuid", "title", "who", "why"]
    ordering_fields: ClassVar = ["id"]
    lookup_field = "pk"

    def get_object(self) -> Any:
        """Return the entry with the number of the URL."""
        number = self.kwargs["pk"]
        wanted = int(number) if number.isdecimal() and len(number) < 19 else 0
        row = self.get_queryset().filter(pk=wanted).first()
        if row is None:
            raise NotFound(_("The audit log has no entry %(number)s.") % {"number": number})
        return row
