"""Answers to the questions that definitions ask about executions."""

from __future__ import annotations

from django.db.models import Count, Model, OuterRef, QuerySet, Subquery

from executions.models import Execution, Pin, Step, StepState
from workflows.models import Workflow
from workflows.refusals import BlockingExecution
from workflows.running import NodeExecutions, Relation


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
        """Return all pins, unordered."""
        return Pin.objects.order_by()

    def live_pins(self) -> QuerySet[Model]:
        """Return the pins of live root executions, unordered."""
        return Pin.objects.live().order_by()

    def version_in_use_sql(self, version: str) -> str:
        """Return the SQL condition that a live execution runs or has pinned a version."""
        executions, pins = Execution._meta.db_table, Pin._meta.db_table
        return (
            f"EXISTS (SELECT 1 FROM {executions} e"
            f" WHERE e.version_id = {version}.id AND e.live_key IS NOT NULL)"
            f" OR EXISTS (SELECT 1 FROM {pins} p"
            f" WHERE p.version_id = {version}.id AND p.held_key IS NOT NULL)"
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
