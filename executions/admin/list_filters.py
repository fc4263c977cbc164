"""Filters of the list of executions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour
from executions.models import Step
from executions.task_queries import executions_for, unassigned
from workflows.admin.base.filters import ExactValueFilter, RelatedRowFilter
from workflows.admin.base.formatting import row_id
from workflows.graph import node_types
from workflows.graph.comparison import list_objects
from workflows.models import Version, Workflow

LISTED = 30
"""The number of choices of a filter. Links and searches lead to the others."""


class LiveFilter(SimpleListFilter):
    """A filter for live and ended executions."""

    title = _("live or ended")
    parameter_name = "live"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices: live or ended."""
        return [("yes", gettext("Live")), ("no", gettext("Ended"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the live executions, or the ended ones."""
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(live_key__isnull=self.value() == "no")


class YesFilter(ABC, SimpleListFilter):
    """A filter with a single choice."""

    choice: str | Promise = _("Yes")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the only choice."""
        return [("yes", str(self.choice))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter the executions if the user made the choice."""
        return self.keep(request, queryset) if self.value() == "yes" else queryset

    @abstractmethod
    def keep(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the executions that the filter is about."""


class InboxFilter(YesFilter):
    """A filter for executions with a step assigned to the user."""

    title = _("assignee")
    parameter_name = "mine"
    choice = _("Me or my groups")

    def keep(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep executions with an open step that the user may do."""
        return queryset.filter(pk__in=executions_for(request.user))


class WorkflowFilter(RelatedRowFilter):
    """A filter by workflow."""

    model = Workflow
    title = _("workflow")
    parameter_name = "workflow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the first workflows by title, and the chosen one."""
        rows = Workflow.objects.order_by("title", "pk").values_list("pk", "title")[:LISTED]
        listed = [(str(pk), title) for pk, title in rows]
        chosen = self.value()
        if chosen is None or any(pk == chosen for pk, _title in listed):
            return listed
        return [*super().lookups(request, model_admin), *listed]


class VersionFilter(RelatedRowFilter):
    """A filter by version, with the versions of the chosen workflow."""

    model = Version
    title = _("version")
    parameter_name = "version"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the newest versions of the chosen workflow, or only the chosen version."""
        workflow = _chosen_workflow(request)
        if workflow is None:
            return super().lookups(request, model_admin)
        rows = Version.objects.filter(workflow=workflow).order_by("-number")
        return [
            (str(pk), gettext("Version %(number)s") % {"number": number})
            for pk, number in rows.values_list("pk", "number")[:LISTED]
        ]


class NodeFilter(ExactValueFilter):
    """A filter by the node of an open step, with the nodes of the chosen workflow or version."""

    title = _("current step")
    parameter_name = "node"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the nodes at which an execution can wait, or only the chosen node."""
        version, workflow = row_id(request.GET.get("version", "")), _chosen_workflow(request)
        if version is not None:
            rows = Version.objects.filter(pk=version)
        elif workflow is not None:
            rows = Version.objects.filter(workflow=workflow).order_by("-number")
        else:
            return super().lookups(request, model_admin)
        source = rows.values_list("source", flat=True).first()
        found = {
            str(node.get("id")): _node_label(node)
            for node in list_objects(source, "nodes")
            if _waits(node)
        }
        chosen = self.value()
        listed = list(found.items())[:LISTED]
        is_listed = chosen is None or any(node == chosen for node, _label in listed)
        return listed if is_listed else [(str(chosen), str(chosen)), *listed]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep executions with an open step at the node."""
        node = self.value()
        return queryset if node is None else queryset.filter(_has_open_step(node_id=node))


class StarterFilter(RelatedRowFilter):
    """A filter by the user who started the execution."""

    model = get_user_model()
    title = _("started by")
    parameter_name = "started_by"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the user of the page, and the chosen one."""
        me = str(request.user.pk)
        chosen = super().lookups(request, model_admin) if self.value() not in (None, me) else []
        return [(me, gettext("Me")), *chosen]


def _chosen_workflow(request: HttpRequest) -> int | None:
    return row_id(request.GET.get(WorkflowFilter.parameter_name, ""))


def _waits(node: dict[str, Any]) -> bool:
    node_type = node_types().get(str(node.get("type")))
    return isinstance(node_type, Behaviour) and node_type.waits


def _node_label(node: dict[str, Any]) -> str:
    data = node.get("data")
    label = data.get("title") or data.get("label") if isinstance(data, dict) else ""
    return str(label or node.get("id"))


class IncidentFilter(YesFilter):
    """A filter for executions with an incident."""

    title = _("incident")
    parameter_name = "incident"

    def keep(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep executions with an incident, at the chosen node if there is one."""
        node = request.GET.get(NodeFilter.parameter_name)
        at = {"node_id": node} if node and "\0" not in node else {}
        return _with_step(queryset, Step.objects.incidents().filter(**at))


class OverdueFilter(YesFilter):
    """A filter for executions with an overdue step."""

    title = _("overdue")
    parameter_name = "overdue"

    def keep(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep executions with an open step whose deadline has passed."""
        return _with_step(queryset, Step.objects.overdue())


class UnassignedFilter(YesFilter):
    """A filter for executions with a step that nobody can do."""

    title = _("unassigned")
    parameter_name = "unassigned"

    def keep(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep executions with an open step that nobody can do."""
        return _with_step(queryset, unassigned())


def _with_step(queryset: QuerySet[Any], steps: QuerySet[Step]) -> QuerySet[Any]:
    # Few executions match, so a subquery is faster than EXISTS.
    return queryset.filter(pk__in=steps.order_by().values("execution"))


def _has_open_step(**conditions: Any) -> Exists:
    return Exists(Step.objects.open().filter(execution=OuterRef("pk"), **conditions))
