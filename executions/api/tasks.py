"""The list of tasks: the open steps of all executions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.request import Request

from executions.api.execution_rows import form_json
from executions.api.execution_serializers import (
    AssigneesSerializer,
    FormSerializer,
    IncidentSerializer,
    NamedEntitySerializer,
)
from executions.engine.unassigned_sql import IsUnassigned
from executions.models import USER_ACTION, Step
from executions.task_queries import waiting_for
from executions.workflow_manager import graphs_of
from workflows.api.base.filter_operators import (
    ListFilters,
    MomentFilter,
    Operators,
    StrictBooleanFilter,
    ValuesFilter,
    moment_operators,
    value_operators,
)
from workflows.api.base.resources import Resource, Search, StrictOrdering
from workflows.api.base.strict_fields import MomentField, OutputModelSerializer, RelatedValueField
from workflows.graph import Graph, node_types
from workflows.models import Candidate, Version

COLUMNS = {"due": "due_at", "since": "opened_at"}
"""The columns of the orders."""


class TaskPage(serializers.ListSerializer[Any]):
    """A page of tasks; what they need from other tables is read once for all of them."""

    def to_representation(self, data: Any) -> list[Any]:
        """Return the tasks as JSON."""
        steps = list(data)
        self.context["page"] = _Page(steps)
        return super().to_representation(steps)


class _Page:
    """The candidates, the forms and the flags of a page of tasks, in three statements."""

    def __init__(self, steps: Sequence[Step]) -> None:
        assigned = [step for step in steps if step.assignees]
        self.candidates = _read_candidates({step.assignees for step in assigned})
        people = Step.objects.for_people().filter(pk__in=[step.pk for step in assigned])
        found = people.filter(IsUnassigned()).order_by().values_list("pk", flat=True)
        self.unassigned = set(found) if assigned else set()
        forms = {step.execution.version_id for step in steps if step.type == USER_ACTION}
        self.graphs: dict[int, Graph] = (
            graphs_of(Version.objects.filter(pk__in=forms)) if forms else {}
        )

    def assignees(self, step: Step) -> dict[str, list[str]]:
        """Return the names of the candidates of a step."""
        rows = self.candidates.get(step.assignees, ())
        return {
            "groups": [row.current_name for row in rows if row.is_group],
            "users": [row.current_name for row in rows if not row.is_group],
        }

    def form(self, step: Step) -> dict[str, Any] | None:
        """Return the form of a user action; None if the version is damaged."""
        graph = self.graphs.get(step.execution.version_id)
        if step.type != USER_ACTION or graph is None:
            return None
        try:
            node = graph.node(step.node_id)
        except KeyError:
            return None
        return form_json(node)


def _read_candidates(keys: Iterable[str]) -> dict[str, list[Candidate]]:
    found: dict[str, list[Candidate]] = {}
    wanted = list(keys)
    rows = Candidate.objects.filter(key__in=wanted).select_related("group", "user")
    for row in rows.order_by("pk") if wanted else ():
        found.setdefault(row.key, []).append(row)
    return found


class TaskSerializer(OutputModelSerializer[Step]):
    """A task: an open step with its execution."""

    execution = RelatedValueField("cuid")
    workflow = serializers.CharField(source="execution.workflow.cuid")
    workflow_title = serializers.CharField(source="execution.workflow.title")
    entity = NamedEntitySerializer(source="execution.entity")
    node = serializers.CharField(source="node_id")
    since = MomentField(source="opened_at")
    due = MomentField(source="due_at", allow_null=True)
    assignees = serializers.SerializerMethodField()
    unassigned = serializers.SerializerMethodField(
        help_text="True when no assignee can do the step, or too few can approve it."
    )
    claimed_by = RelatedValueField("username", allow_null=True)
    form = serializers.SerializerMethodField()
    incident = IncidentSerializer(allow_null=True)

    class Meta:
        model = Step
        list_serializer_class = TaskPage
        fields = [
            "cuid",
            "execution",
            "workflow",
            "workflow_title",
            "entity",
            "node",
            "type",
            "label",
            "since",
            "due",
            "overdue",
            "assignees",
            "unassigned",
            "claimed_by",
            "claimed_at",
            "form",
            "incident",
        ]
        read_only_fields = fields

    @extend_schema_field(AssigneesSerializer())
    def get_assignees(self, step: Step) -> Any:
        """Return the assignees."""
        return self.context["page"].assignees(step)

    def get_unassigned(self, step: Step) -> bool:
        """Return True when no assignee can do the step."""
        return step.pk in self.context["page"].unassigned

    @extend_schema_field(FormSerializer(allow_null=True))
    def get_form(self, step: Step) -> Any:
        """Return the form; null if the step has none."""
        return self.context["page"].form(step)


class TaskFilter(ListFilters):
    """Filters by user, claim, workflow, finding type, deadline and node type."""

    mine = StrictBooleanFilter(
        method="filter_mine", help_text="Steps that the requesting user may do, or the others."
    )
    claimed = StrictBooleanFilter(field_name="claimed_by", lookup_expr="isnull", exclude=True)
    workflow = ValuesFilter(field_name="execution__workflow__cuid")
    finding_type = ValuesFilter(field_name="execution__entity__entity_name_type__cuid")
    due_before = MomentFilter(field_name="due_at", lookup_expr="lt")
    type = filters.ChoiceFilter(choices=lambda: [(name, name) for name in sorted(node_types())])

    operators: ClassVar[Mapping[str, Operators]] = {
        "workflow": value_operators("execution__workflow__cuid"),
        "finding_type": value_operators("execution__entity__entity_name_type__cuid"),
        "due": moment_operators("due_at"),
        "since": moment_operators("opened_at"),
    }

    class Meta:
        model = Step
        fields: list[str] = []

    def filter_mine(self, steps: QuerySet[Step], name: str, value: bool) -> QuerySet[Step]:
        """Return the steps that the user may do, or the others."""
        if value:
            return waiting_for(self.request.user, among=steps)
        own = waiting_for(self.request.user).order_by()
        return steps.exclude(pk__in=own.values("pk"))


class TaskOrdering(StrictOrdering):
    """Orders by the names of the API."""

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> list[str]:
        """Return the columns of the requested order."""
        names = super().get_ordering(request, queryset, view) or ()
        return [f"{'-' * name.startswith('-')}{COLUMNS[name.lstrip('-')]}" for name in names]


class TaskViewSet(mixins.ListModelMixin, Resource):
    """The resource ``tasks/``."""

    queryset = Step.objects.none()
    serializer_class = TaskSerializer
    filter_backends = [DjangoFilterBackend, Search, TaskOrdering]
    filterset_class = TaskFilter
    search_fields: ClassVar = [
        *("=cuid", "label", "execution__workflow__title", "execution__entity__title"),
    ]
    ordering_fields: ClassVar = ["due", "since"]
    ordering: ClassVar = ["due"]
    needs = "executions.view_execution"

    def get_queryset(self) -> QuerySet[Any]:
        """Return the open steps with their executions."""
        related = ("execution__workflow", "execution__entity", "claimed_by")
        steps = Step.objects.open().select_related(*related)
        large = (
            *("execution__passed", "execution__variables", "execution__entity__fields"),
            *("input", "output", "passed"),
        )
        return steps.defer(*large)
