"""What the lists of entities and executions are filtered by."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django_filters import rest_framework as filters

from executions.inbox import inbox, unassigned
from executions.models import (
    LIVE,
    Execution,
    Finding,
    InventoryModel,
    Status,
    Step,
    StepState,
)
from workflows.api.filters import MomentFilter, TruthFilter


class StatusesFilter(filters.BaseInFilter, filters.ChoiceFilter):
    """One status, or several separated by commas; what is no status is refused."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=Status.choices, field_name="status", **kwargs)

    def filter(self, executions: QuerySet[Execution], value: Any) -> QuerySet[Execution]:
        """Only what has one of them; what the indexes know by being live is told so."""
        if not value:
            return executions
        if len({status in LIVE for status in value}) == 1:
            executions = executions.filter(live_key__isnull=value[0] not in LIVE)
        found: QuerySet[Execution] = super().filter(executions, value)
        return found


class ExecutionFilter(filters.FilterSet):
    """Executions by what they run, on what, when, where they stand, and who calls whom."""

    status = StatusesFilter(
        help_text="One or several, separated by commas: " + ", ".join(Status.values) + "."
    )
    live = TruthFilter(method="filter_live")
    workflow = filters.CharFilter(field_name="workflow__cuid")
    entity = filters.CharFilter(field_name="entity__cuid")
    entity_name_type = filters.CharFilter(field_name="entity__entity_name_type__cuid")
    root = filters.CharFilter(field_name="root__cuid")
    parent = filters.CharFilter(field_name="parent__cuid")
    calls = filters.CharFilter(
        field_name="pins__callee__cuid", help_text="A workflow that has its version pinned by them."
    )
    overdue = TruthFilter(method="filter_overdue")
    incident = TruthFilter(method="filter_incident")
    unassigned = TruthFilter(
        method="filter_unassigned",
        help_text="With an open step that asks people of whom nobody can do it.",
    )
    started_after = MomentFilter(field_name="started_at", lookup_expr="gte")
    started_before = MomentFilter(field_name="started_at", lookup_expr="lt")
    ended_after = MomentFilter(field_name="ended_at", lookup_expr="gte")
    ended_before = MomentFilter(field_name="ended_at", lookup_expr="lt")
    updated_after = MomentFilter(field_name="updated_at", lookup_expr="gte")
    updated_before = MomentFilter(field_name="updated_at", lookup_expr="lt")
    waiting_for = filters.ChoiceFilter(
        choices=[("me", "me")],
        method="filter_waiting_for",
        help_text="`me`: what waits for something that whoever asks may do, as `mine/` does.",
    )

    class Meta:
        model = Execution
        fields: list[str] = []

    def filter_waiting_for(
        self, executions: QuerySet[Execution], name: str, value: str
    ) -> QuerySet[Execution]:
        """Only what waits for whoever asks."""
        return executions.filter(pk__in=inbox(self.request.user))

    def filter_live(
        self, executions: QuerySet[Execution], name: str, value: bool
    ) -> QuerySet[Execution]:
        """Only what is live, or only what is not."""
        return executions.filter(live_key__isnull=not value)

    def filter_overdue(
        self, executions: QuerySet[Execution], name: str, value: bool
    ) -> QuerySet[Execution]:
        """Only what has an open step whose deadline has passed, or only what has none."""
        return _with_step(executions, Step.objects.open().filter(overdue=True), value)

    def filter_incident(
        self, executions: QuerySet[Execution], name: str, value: bool
    ) -> QuerySet[Execution]:
        """Only what has a step with an incident, or only what has none."""
        return _with_step(executions, Step.objects.filter(state=StepState.INCIDENT), value)

    def filter_unassigned(
        self, executions: QuerySet[Execution], name: str, value: bool
    ) -> QuerySet[Execution]:
        """Only what has a step that nobody can do, or only what has none."""
        return _with_step(executions, unassigned(), value)


def _with_step(
    executions: QuerySet[Execution], steps: QuerySet[Step], value: bool
) -> QuerySet[Execution]:
    if value:
        # Few have one: they are found, not each asked.
        return executions.filter(pk__in=steps.order_by().values("execution"))
    return executions.exclude(Exists(steps.order_by().filter(execution=OuterRef("pk"))))


class FindingFilter(filters.FilterSet):
    """Findings by their type and the inventory model that they belong to."""

    entity_name_type = filters.CharFilter(field_name="entity_name_type__cuid")
    inventory_model = filters.CharFilter(field_name="inventory_model__cuid")
    title = filters.CharFilter(lookup_expr="icontains")

    class Meta:
        model = Finding
        fields: list[str] = []


class InventoryModelFilter(filters.FilterSet):
    """Inventory models by their record type."""

    record_type = filters.CharFilter(field_name="primary_record_type__cuid")
    title = filters.CharFilter(lookup_expr="icontains")

    class Meta:
        model = InventoryModel
        fields: list[str] = []
