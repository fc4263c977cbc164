"""Findings and inventory models in the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from executions.api.bulk_items import BulkSerializer, ItemByItem, ItemResultsSerializer
from executions.api.field_filters import OPERATORS, FieldFilters
from executions.models import Finding, InventoryModel
from workflows.api.base.edit_options import DRY_RUN, EDIT_PARAMETERS
from workflows.api.base.filter_operators import Operators, ValuesFilter, value_operators
from workflows.api.base.refusal_json import ProblemField
from workflows.api.base.resources import EditableResource, with_conditional_reads
from workflows.api.base.strict_fields import AnyJSONField, CuidField, StrictModelSerializer
from workflows.api.base.strict_requests import takes_parameters
from workflows.db import locks
from workflows.db.json_values import storage_problem
from workflows.guards import apply_merge_patch
from workflows.models import FindingType, RecordType

# The names of the fields are data: each is a parameter, but none can be listed.
FILTERED_BY_FIELDS: Any = extend_schema_view(
    list=extend_schema(extensions={"x-field-filters": OPERATORS})
)
READ_ONLY = ["cuid", "created_at", "updated_at"]
MAX_BULK_FINDINGS = 500


class FieldsByName:
    """Merges the fields of an entity by name in a PATCH."""

    described: ClassVar = {
        "fields": {"help_text": _("A PATCH merges them by name (RFC 7396): null removes one.")},
        "external_id": {"allow_blank": False},
    }
    instance: Any
    partial: bool

    def validate_fields(self, value: dict[str, Any]) -> Any:
        """Return the fields to store: in a PATCH, the stored ones with the patch applied."""
        return (
            apply_merge_patch(self.instance.fields, value)
            if self.partial and self.instance
            else value
        )


class FindingSerializer(FieldsByName, StrictModelSerializer[Finding]):
    """A finding."""

    entity_name_type = CuidField(queryset=FindingType.objects.all())
    inventory_model = CuidField(
        queryset=InventoryModel.objects.all(), allow_null=True, required=False
    )

    class Meta:
        model = Finding
        fields = [
            "cuid",
            "external_id",
            "title",
            "entity_name_type",
            "inventory_model",
            "fields",
            "created_at",
            "updated_at",
        ]
        read_only_fields = READ_ONLY
        extra_kwargs = FieldsByName.described
        # The database checks that the external id is unique; several requests may come at once.
        validators: ClassVar[list[Any]] = []


class InventoryModelSerializer(FieldsByName, StrictModelSerializer[InventoryModel]):
    """An inventory model."""

    record_type = CuidField(source="primary_record_type", queryset=RecordType.objects.all())

    class Meta:
        model = InventoryModel
        fields = [
            "cuid",
            "external_id",
            "title",
            "record_type",
            "fields",
            "created_at",
            "updated_at",
        ]
        read_only_fields = READ_ONLY
        extra_kwargs = FieldsByName.described
        validators: ClassVar[list[Any]] = []


# The arguments of a list are not those of its rows.
_FINDING: Any = FindingSerializer


class BulkFindingsSerializer(BulkSerializer):
    """Findings to create or change."""

    items = _FINDING(many=True, allow_empty=False, max_length=MAX_BULK_FINDINGS)


class UncheckedFindingsSerializer(BulkSerializer):
    """The body of a bulk request; the findings are validated one by one."""

    items = serializers.ListField(
        child=AnyJSONField(), allow_empty=False, max_length=MAX_BULK_FINDINGS
    )


class FindingResultSerializer(serializers.Serializer[Any]):
    """The result of an item: a finding, or the problem that its own route would return."""

    index = serializers.IntegerField()
    status = serializers.IntegerField()
    finding = FindingSerializer(allow_null=True)
    problem = ProblemField(allow_null=True)
    replayed = serializers.BooleanField()


class BulkFindingsResultSerializer(ItemResultsSerializer):
    """The results, in the order of the items."""

    results = FindingResultSerializer(many=True)


class FindingFilter(FieldFilters):
    """Filters by finding type, inventory model, external id, title, times and fields."""

    external_id = filters.CharFilter()
    entity_name_type = ValuesFilter(field_name="entity_name_type__cuid")
    inventory_model = ValuesFilter(field_name="inventory_model__cuid")
    title = filters.CharFilter(lookup_expr="icontains")

    operators: ClassVar[Mapping[str, Operators]] = {
        **FieldFilters.operators,
        "entity_name_type": value_operators("entity_name_type__cuid"),
        "inventory_model": value_operators("inventory_model__cuid", is_nullable=True),
    }


class InventoryModelFilter(FieldFilters):
    """Filters by record type, external id, title, times and fields."""

    external_id = filters.CharFilter()
    record_type = ValuesFilter(field_name="primary_record_type__cuid")
    title = filters.CharFilter(lookup_expr="icontains")

    operators: ClassVar[Mapping[str, Operators]] = {
        **FieldFilters.operators,
        "record_type": value_operators("primary_record_type__cuid"),
    }


@FILTERED_BY_FIELDS
@with_conditional_reads
class FindingViewSet(ItemByItem, EditableResource):
    """The resource ``findings/``."""

    queryset = Finding.objects.select_related("entity_name_type", "inventory_model")
    serializer_class = FindingSerializer
    filterset_class = FindingFilter
    search_fields = ["title", "=cuid"]
    ordering_fields = ["title", "created_at", "updated_at"]
    result_name = "finding"
    bulk_body = UncheckedFindingsSerializer

    @extend_schema(
        request=BulkFindingsSerializer,
        parameters=EDIT_PARAMETERS,
        responses={200: BulkFindingsResultSerializer, 207: BulkFindingsResultSerializer},
        filters=False,
    )
    @action(
        detail=False,
        methods=["post"],
        pagination_class=None,
        needs=("executions.add_finding", "executions.change_finding"),
    )
    @takes_parameters(DRY_RUN.name)
    def bulk(self, request: Request) -> Response:
        """Create findings, or change those that have the external id of an item."""
        return self.answer_items(request, None, self._upsert)

    @locks.retrying
    def _upsert(self, values: Any) -> Response:
        try:
            return self._write(values)
        except IntegrityError:
            # Another request has created a finding with this external id meanwhile: change that.
            return self._write(values)

    def _write(self, values: Any) -> Response:
        with transaction.atomic():
            row = self._find_by_external_id(values)
            serializer = self.get_serializer(row, data=values, partial=row is not None)
            serializer.is_valid(raise_exception=True)
            saved = self.get_queryset().get(pk=serializer.save().pk)
            code = status.HTTP_201_CREATED if row is None else status.HTTP_200_OK
            return Response(self.get_serializer(saved).data, code)

    def _find_by_external_id(self, values: Any) -> Any:
        """Lock and return the finding with the type and the external id of an item, if any."""
        if not isinstance(values, Mapping):
            return None
        external_id, finding_type = values.get("external_id"), values.get("entity_name_type")
        texts = [text for text in (external_id, finding_type) if isinstance(text, str)]
        if len(texts) < 2 or any(map(storage_problem, texts)):
            return None
        rows = Finding.objects.select_for_update(no_key=True, of=("self",))
        return rows.filter(external_id=external_id, entity_name_type__cuid=finding_type).first()


@FILTERED_BY_FIELDS
@with_conditional_reads
class InventoryModelViewSet(EditableResource):
    """The resource ``inventory-models/``."""

    queryset = InventoryModel.objects.select_related("primary_record_type")
    serializer_class = InventoryModelSerializer
    filterset_class = InventoryModelFilter
    search_fields = ["title", "=cuid"]
    ordering_fields = ["title", "created_at", "updated_at"]
    pointer_names: ClassVar = {"primary_record_type": "record_type"}
