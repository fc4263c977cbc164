"""Answers to the questions that definitions ask about executions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Count, Model, OuterRef, QuerySet, Subquery

from executions.engine.nodes.assignees import eligible_users
from executions.models import (
    Closure,
    ClosureMember,
    Entity,
    Execution,
    Secret,
    Step,
    StepState,
    may_view_entity,
)
from executions.services import preview_schedule
from workflows.models import Workflow
from workflows.refusals import BlockingExecution
from workflows.running import (
    OFFERED_ENTITIES,
    SEARCHED_ENTITIES,
    NodeExecutions,
    Relation,
    SchedulePreview,
)
from workflows.visibility import may_view


class StoredExecutions:
    """The executions in the database; implements ``workflows.running.Running``."""

    @property
    def execution_model(self) -> type[Model]:
        """Return the model of executions."""
        return Execution

    def executions(self) -> QuerySet[Model]:
        """Return all executions, unordered."""
        return Execution.objects.order_by()

    def live_executions(self) -> QuerySet[Model]:
        """Return the live executions."""
        return Execution.objects.live()

    def pins(self) -> QuerySet[Model]:
        """Return the pinned versions of all closures, unordered."""
        return ClosureMember.objects.order_by()

    def live_executions_pinning(self, **versions: Any) -> QuerySet[Model]:
        """Return the live roots that have pinned one of these versions, unordered."""
        found = {f"closure__members__{name}": value for name, value in versions.items()}
        # Released closures have no live roots: they need not be looked up.
        live = Execution.objects.live().filter(closure__context_key__isnull=False)
        return live.filter(**found).order_by()

    def version_in_use_sql(self, version: str) -> str:
        """Return the SQL condition that a live execution runs or has pinned a version."""
        executions, closures = Execution._meta.db_table, Closure._meta.db_table
        members = ClosureMember._meta.db_table
        return (
            f"EXISTS (SELECT 1 FROM {executions} e"
            f" WHERE e.version_id = {version}.id AND e.live_key IS NOT NULL)"
            f" OR EXISTS (SELECT 1 FROM {members} m"
            f" JOIN {closures} c ON c.id = m.closure_id AND c.context_key IS NOT NULL"
            f" JOIN {executions} e ON e.closure_id = c.id AND e.live_key IS NOT NULL"
            f" WHERE m.version_id = {version}.id)"
        )

    def blocking_executions(
        self, executions: QuerySet[Model], limit: int
    ) -> list[BlockingExecution]:
        """Return the first ``limit`` of these executions, by workflow and id."""
        # Ordered by id alone, PostgreSQL would walk the primary key past all ended executions
        # to find the few live ones. Subqueries instead of a join: it would join the workflows
        # before it knows which executions are listed.
        workflow = Workflow._base_manager.order_by().filter(pk=OuterRef("workflow_id"))
        rows = executions.order_by("workflow_id", "pk").values_list(
            "cuid", "status", Subquery(workflow.values("cuid")), Subquery(workflow.values("title"))
        )
        return [BlockingExecution(*row) for row in rows[:limit]]

    def executions_by_node(self, relation: Relation, pk: int) -> list[NodeExecutions]:
        """Count the live executions of a workflow or a version by the node of their open steps."""
        rows = (
            Step.objects.open()
            .filter(**{f"execution__{relation}": pk, "execution__live_key__isnull": False})
            .order_by("node_id", "-state")
            .values_list("node_id", "state")
            .annotate(number=Count("execution_id", distinct=True))
        )
        return [
            NodeExecutions(node_id, state == StepState.INCIDENT, number)
            for node_id, state, number in rows
        ]

    def preview_schedule(self, workflow: Any, user: Any) -> SchedulePreview | None:
        """Return the next occurrences of a workflow's schedule; None if it has no valid one."""
        return preview_schedule(
            workflow, may_view_entities=may_view_entity(user, workflow.entity_name)
        )

    def existing_fields(self, workflow: Any, names: Collection[str]) -> set[str]:
        """Return those of the fields that one of the newest entities of the workflow's type has."""
        newest = _newest_entities(workflow).values("pk")[:SEARCHED_ENTITIES]
        rows = Entity.objects.order_by().filter(pk__in=newest)
        return {name for name in names if rows.filter(fields__has_key=name).exists()}

    def field_names(self, workflow: Any, user: Any) -> set[str]:
        """Return the fields of the newest entities of the workflow's type, for a picker."""
        if not may_view_entity(user, workflow.entity_name):
            return set()
        rows = _newest_entities(workflow).values_list("fields", flat=True)[:OFFERED_ENTITIES]
        return {name for fields in rows for name in fields}

    def assignable_usernames(self, limit: int) -> list[str]:
        """Return the usernames of active users who may do steps, by name."""
        names = eligible_users().order_by("username").values_list("username", flat=True)
        return list(names[:limit])

    def secret_names(self, user: Any, limit: int) -> list[str]:
        """Return the names of secrets, if the user may view them."""
        if not may_view(user, Secret):
            return []
        return list(Secret.objects.order_by("name").values_list("name", flat=True)[:limit])


def _newest_entities(workflow: Any) -> QuerySet[Entity]:
    """Return the entities of the workflow's type, the newest first."""
    rows: QuerySet[Entity] = Entity.objects.filter(
        entity_name_type=workflow.entity_name_type_id,
        primary_record_type=workflow.primary_record_type_id,
    ).order_by("-pk")
    return rows
