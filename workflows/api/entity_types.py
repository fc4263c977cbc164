"""Finding types and record types."""

from __future__ import annotations

from workflows.api.base.resources import EditableResource, with_conditional_reads
from workflows.api.base.strict_fields import StrictModelSerializer
from workflows.models import FindingType, RecordType


class FindingTypeSerializer(StrictModelSerializer[FindingType]):
    """A finding type."""

    class Meta:
        model = FindingType
        fields = ["cuid", "name", "description"]
        read_only_fields = ["cuid"]


class RecordTypeSerializer(StrictModelSerializer[RecordType]):
    """A record type."""

    class Meta:
        model = RecordType
        fields = ["cuid", "name", "description"]
        read_only_fields = ["cuid"]


@with_conditional_reads
class FindingTypeViewSet(EditableResource):
    """The types of findings."""

    queryset = FindingType.objects.all()
    serializer_class = FindingTypeSerializer
    search_fields = ["name", "description"]
    ordering_fields = ["name"]


@with_conditional_reads
class RecordTypeViewSet(EditableResource):
    """The types of inventory models."""

    queryset = RecordType.objects.all()
    serializer_class = RecordTypeSerializer
    search_fields = ["name", "description"]
    ordering_fields = ["name"]
