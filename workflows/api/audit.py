"""The audit log, to read."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import mixins
from rest_framework.exceptions import NotFound

from workflows.api.base.resources import Resource
from workflows.api.base.strict_fields import ShownModelSerializer
from workflows.api.filters import AuditFilter
from workflows.models import AuditEntry
from workflows.visibility import may_view_values


class AuditEntrySerializer(ShownModelSerializer[AuditEntry]):
    """Who did what, when, through which face; before and after; what was refused and why."""

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
        """The entry; what its record had and has for those alone who may read the record."""
        shown = super().to_representation(instance)
        if not may_view_values(self.context["request"].user, instance):
            shown |= {"before": {}, "after": {}}
        return shown


class AuditViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """What was changed and what was refused, newest first. Numbered without gaps."""

    queryset = AuditEntry.objects.all()
    serializer_class = AuditEntrySerializer
    filterset_class = AuditFilter
    search_fields: ClassVar = ["=cuid", "title", "who", "why"]
    ordering_fields: ClassVar = ["id"]
    lookup_field = "pk"

    def get_object(self) -> Any:
        """Return the entry with the number that the URL names."""
        number = self.kwargs["pk"]
        wanted = int(number) if number.isdecimal() and len(number) < 19 else 0
        row = self.get_queryset().filter(pk=wanted).first()
        if row is None:
            raise NotFound(f"The audit log has no entry {number}.")
        return row
