"""The filters of workflows, pending changes and the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from django_filters import rest_framework as filters

from workflows.api.base.filter_operators import (
    ListFilters,
    MomentFilter,
    Operators,
    StrictBooleanFilter,
    TimeFilters,
    ValuesFilter,
    moment_operators,
    text_operators,
    value_operators,
)
from workflows.audit.log import INTERFACES, Action
from workflows.models import EntityName, PendingChange, Workflow


class WorkflowFilter(TimeFilters):
    """Workflows by state, entity context, trigger and title."""

    state = ValuesFilter(Workflow.State.choices)
    entity_name = ValuesFilter(EntityName.choices)
    trigger = ValuesFilter(Workflow.Trigger.choices)
    entity_name_type = ValuesFilter(field_name="entity_name_type__cuid")
    primary_record_type_id = ValuesFilter(field_name="primary_record_type__cuid")
    title = filters.CharFilter(lookup_expr="icontains")

    operators: ClassVar[Mapping[str, Operators]] = {
        **TimeFilters.operators,
        "state": value_operators("state", Workflow.State.choices),
        "trigger": value_operators("trigger", Workflow.Trigger.choices),
        "entity_name_type": value_operators("entity_name_type__cuid", is_nullable=True),
        "primary_record_type_id": value_operators("primary_record_type__cuid", is_nullable=True),
        "title": text_operators("title"),
    }


class PendingChangeFilter(ListFilters):
    """Pending changes by state and by workflow."""

    state = ValuesFilter(PendingChange.State.choices)
    workflow = ValuesFilter(field_name="members__cuid", distinct=True)

    operators: ClassVar[Mapping[str, Operators]] = {
        "state": value_operators("state", PendingChange.State.choices),
        "asked_at": moment_operators("asked_at"),
        "settled_at": moment_operators("settled_at"),
    }


class AuditFilter(ListFilters):
    """Audit entries by record, action, user, interface, request, time and refusal."""

    cuid = ValuesFilter()
    kind = ValuesFilter()
    action = ValuesFilter(Action.choices)
    code = ValuesFilter()
    who = filters.CharFilter()
    face = ValuesFilter(INTERFACES)
    request_id = filters.CharFilter()
    refused = StrictBooleanFilter()
    since = MomentFilter(field_name="at", lookup_expr="gte")
    until = MomentFilter(field_name="at", lookup_expr="lt")

    operators: ClassVar[Mapping[str, Operators]] = {
        "cuid": value_operators("cuid"),
        "kind": value_operators("kind"),
        "action": value_operators("action", Action.choices),
        "code": value_operators("code"),
        "who": text_operators("who"),
        "title": text_operators("title"),
        "at": moment_operators("at"),
    }
