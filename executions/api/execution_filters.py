"""The filters of the lists of executions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import Exists, OuterRef, QuerySet
from django_filters import rest_framework as filters

from executions.models import (
    LIVE,
    Execution,
    Status,
    Step,
    StepState,
)
from executions.task_queries import executions_for, unassigned
from workflows.api.base.filter_operators import (
    ListFilters,
    MomentFilter,
    Operators,
    StrictBooleanFilter,
    ValuesFilter,
    moment_operators,
    value_operators,
)


class StatusesFilter(ValuesFilter):
    """A filter by one status or several."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(Status.choices, field_name="status", **kwargs)

    def filter(self, executions: QuerySet[Execution], value: Any) -> QuerySet[Execution]:
        """Return the executions that have one of these statuses."""
        if not value:
            return executions
        # The partial indexes have ``live_key`` in their condition, not the status.
        if len({status in LIVE for status in value}) == 1:
            executions = executions.filter(live_key__isnull=value[0] not in LIVE)
        return super().filter(executions, value)


class ExecutionFilter(ListFilters):
    """Filters by workflow, entity, call, status, times, and the state of open steps."""

    status = StatusesFilter()
    live = StrictBooleanFilter(method="filter_live")
    workflow = ValuesFilter(field_name="workflow__cuid")
    entity = ValuesFilter(field_name="entity__cuid")
    entity_name_type = ValuesFilter(field_name="entity__entity_name_type__cuid")
    root = ValuesFilter(field_name="root__cuid")
    parent = ValuesFilter(field_name="parent__cuid")
    calls = filters.CharFilter(
        field_name="closure__members__callee__cuid",
        help_text="The cuid of a workflow of which the execution has pinned a version.",
    )
    overdue = StrictBooleanFilter(method="filter_overdue")
    incident = StrictBooleanFilter(method="filter_incident")
    unassigned = StrictBooleanFilter(
        method="filter_unassigned",
        help_text="Executions with an open step that no assignee can do.",
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
        help_text="`me`: executions with an open step that the requesting user may do, as `mine/`.",
    )

    operators: ClassVar[Mapping[str, Operators]] = {
        "status": {"in": StatusesFilter()},
        "workflow": value_operators("workflow__cuid"),
        "entity": value_operators("entity__cuid"),
        "entity_name_type": value_operators("entity__entity_name_type__cuid"),
        "root": value_operators("root__cuid"),
        "parent": value_operators("parent__cuid"),
        "started_at": moment_operators("started_at"),
        "ended_at": moment_operators("ended_at"),
        "updated_at": moment_operators("updated_at"),
    }

    def filter_waiting_for(
        self, executions: QuerySet[Execution], name: str, value: str
    ) -> QuerySet[Execution]:
        """Return the executions with an open step that the user may do."""
        return executions.filter(pk__in=executions_for(self.request.user))

    def filter_live(
        self, executions: QuerySet[Execution], name: str, value: bool
    ) -> QuerySet[Execution]:
        """Return the live executions, or the ended ones."""
        return executions.filter(live_key__isnull=not value)

    def filter_overdue(
        self, executions: QuerySet[Execution], name: str, value: bool
    ) -> QuerySet[Execution]:
        """Return the executions with an overdue step, or those without one."""
        return _with_step(executions, Step.objects.open().filter(overdue=True), value)

    def filter_incident(
        self, executions: QuerySet[Execution], name: str, value: bool
    ) -> QuerySet[Execution]:
        """Return the executions with an incident, or those without one."""
        return _with_step(executions, Step.objects.filter(state=StepState.INCIDENT), value)

    def filter_unassigned(
        self, executions: QuerySet[Execution], name: str, value: bool
    ) -> QuerySet[Execution]:
        """Return the executions with an unassigned step, or those without one."""
        return _with_step(executions, unassigned(), value)


def _with_step(
    executions: QuerySet[Execution], steps: QuerySet[Step], value: bool
) -> QuerySet[Execution]:
    if value:
        # Few executions have such a step: a subquery finds them faster than a test of each.
        return executions.filter(pk__in=steps.order_by().values("execution"))
    return executions.exclude(Exists(steps.order_by().filter(execution=OuterRef("pk"))))
