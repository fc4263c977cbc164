"""Rows that the store reads for an advance, and the changes that it writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from executions.engine.closures import Closure
from executions.models import Entity, Execution, Job, Pin, Step

USER_ACTION = "user_action"


@dataclass(frozen=True, slots=True)
class StoredExecution:
    """An execution with its open steps and its entity.

    ``xmin`` and ``entity_xmin`` are the transactions that wrote the two rows last (PostgreSQL).
    """

    execution: Execution
    open_steps: list[Step]
    entity: Entity
    pinned: list[str] | None
    xmin: str
    entity_xmin: str


@dataclass(frozen=True, slots=True)
class TreeBasis:
    """A root and an entity that were read without a lock, with their ``xmin``."""

    name: ClassVar = "tree"

    root_id: int
    root_xmin: str
    entity_id: int
    entity_xmin: str

    def params(self) -> list[Any]:
        """Return the values that the write compares."""
        return [self.root_id, self.root_xmin, self.entity_id, self.entity_xmin]


@dataclass(frozen=True, slots=True)
class StartBasis:
    """An entity with its fields as JSON, and a cached closure; neither was locked."""

    name: ClassVar = "closure"

    entity_id: int
    fields: str
    closure: Closure

    def params(self) -> list[Any]:
        """Return the values that the write compares."""
        return [
            self.entity_id,
            self.fields,
            self.closure.context_key,
            self.closure.workflow_ids,
            list(self.closure.revisions),
            len(self.closure.workflow_ids),
            self.closure.version_ids,
            self.closure.checksums,
        ]


Basis = TreeBasis | StartBasis
"""Rows that were read without a lock. A write fails if they have changed since."""


@dataclass(slots=True)
class Changes:
    """New and changed rows of one advance."""

    executions: list[Execution] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    changed_executions: dict[int, Execution] = field(default_factory=dict)
    changed_steps: dict[int, Step] = field(default_factory=dict)
    entity: Entity | None = None
    may_unblock: bool = True
    """Whether a pending change may be on hold. Set by a write that has looked."""

    @property
    def closed_forms(self) -> list[int]:
        """The ids of the forms that are closed now: their drafts are deleted."""
        return [
            step.pk
            for step in self.changed_steps.values()
            if step.type == USER_ACTION and not step.is_open
        ]

    @property
    def without_job(self) -> list[int]:
        """The ids of the steps whose job is deleted. Only steps with a due time have a job."""
        return [
            step.pk
            for step in self.changed_steps.values()
            if step.due_at is not None and not (step.is_open and step.state != Step.State.INCIDENT)
        ]
