"""The questions that definitions ask about executions.

``executions`` depends on ``workflows``, never the other way round. The executions app registers
its implementation when it starts.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from django.db.models import Model, QuerySet

from workflows.refusals import BlockingExecution

COUNTED = 1000
"""The number up to which the entities of an occurrence are counted."""
SEARCHED_ENTITIES = 1000
"""The number of the newest entities in which fields are looked up."""
OFFERED_ENTITIES = 50
"""The number of the newest entities whose fields a picker offers."""

Relation = Literal["workflow", "version"]
"""The field of an execution by which live executions are counted."""


class NodeExecutions(NamedTuple):
    """The number of live executions with an open step at a node."""

    node_id: str
    has_incident: bool
    executions: int


class Occurrence(NamedTuple):
    """A time at which a schedule starts executions.

    Attributes:
        at: the time.
        entities: the number of entities for which it starts, by their fields now, up to
            ``COUNTED``; None if the user may not view them.
    """

    at: datetime
    entities: int | None


class SchedulePreview(NamedTuple):
    """The next occurrences of a schedule, and sentences about what may be wrong with it."""

    occurrences: list[Occurrence]
    warnings: list[str]


class Running(Protocol):
    """The executions of workflows, as far as definitions need to know them."""

    @property
    def execution_model(self) -> type[Model]:
        """Return the model of executions, for permissions and admin links."""

    def executions(self) -> QuerySet[Model]:
        """Return all executions, unordered."""

    def live_executions(self) -> QuerySet[Model]:
        """Return the live executions."""

    def pins(self) -> QuerySet[Model]:
        """Return the pinned versions of all closures, unordered."""

    def live_executions_pinning(self, **versions: Any) -> QuerySet[Model]:
        """Return the live roots that have pinned one of these versions, unordered.

        Args:
            versions: lookups on the fields of a pin, ``callee`` and ``version``.
        """

    def version_in_use_sql(self, version: str) -> str:
        """Return the SQL condition that a live execution runs or has pinned a version.

        Args:
            version: the alias of the version table in the statement.
        """

    def blocking_executions(
        self, executions: QuerySet[Model], limit: int
    ) -> list[BlockingExecution]:
        """Return the first ``limit`` of these executions, by workflow and id."""

    def executions_by_node(self, relation: Relation, pk: int) -> list[NodeExecutions]:
        """Count the live executions of a workflow or a version by the node of their open steps.

        Executions with an incident at a node are counted apart. One statement.
        """

    def preview_schedule(self, workflow: Any, user: Any) -> SchedulePreview | None:
        """Return the next occurrences of a workflow's schedule; None if it has no valid one.

        Args:
            workflow: the workflow. It need not be active.
            user: the user who may view the entities, or not.
        """

    def existing_fields(self, workflow: Any, names: Collection[str]) -> set[str]:
        """Return those of the fields that one of the newest entities of the workflow's type has.

        ``SEARCHED_ENTITIES`` of them are searched. One statement for each name.
        """

    def field_names(self, workflow: Any, user: Any) -> set[str]:
        """Return the fields of the newest entities of the workflow's type, for a picker.

        Empty if the user may not view them. One statement.
        """

    def assignable_usernames(self, limit: int) -> list[str]:
        """Return the usernames of active users who may do steps, by name. One statement."""

    def secret_names(self, user: Any, limit: int) -> list[str]:
        """Return the names of secrets, if the user may view them. One statement."""


registered: Running
"""The implementation; the executions app sets it when it starts."""
