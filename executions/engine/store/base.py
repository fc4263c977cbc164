"""The rows that the engine reads and writes, and the statements that both databases share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

from django.db import models

from executions.engine.closures import CachedClosure
from executions.models import OPEN, USER_ACTION, Entity, Execution, Job, Step, closure_checksum
from workflows.db import raw_rows
from workflows.db.prepared import Statement
from workflows.db.raw_rows import Columns
from workflows.models import Version

ENTITY_COLUMNS = (
    *("id", "entity_name", "entity_name_type_id", "primary_record_type_id"),
    *("fields", "updated_at"),
)
"""The columns of an entity that an advance needs."""
EXECUTION_CHANGES = (
    *("status", "message", "ended_at", "stage", "progress", "variables", "updated_at"),
)
ENTITY_CHANGES = ("fields", "updated_at")
STEP_CHANGES = (
    *("state", "closed_at", "closed_by_id", "input", "output", "handle", "incident"),
    *("child_id", "due_at", "overdue", "attempt", "passed"),
)
"""The columns of stored rows that an advance may change."""

COUNT_CURRENT = (
    "SELECT count(*) FROM workflows_version v JOIN workflows_workflow w ON w.id = v.workflow_id"
    " WHERE {these} AND v.in_force AND w.state = 'active'"
    " AND NOT EXISTS (SELECT 1 FROM workflows_version l"
    " WHERE l.workflow_id = v.workflow_id AND l.number > v.number)"
    " AND NOT EXISTS (SELECT 1 FROM workflows_pendingworkflow p"
    " WHERE p.workflow_id = w.id AND p.waiting)"
)
"""Count the versions among ``these`` that a start would run: the latest version of an active
workflow without a pending change.
"""

CACHED_CLOSURES = 1_000

_EXECUTION = Columns(
    Execution,
    [
        *("id", "cuid", "workflow", "version", "entity", "parent", "root", "status"),
        *("context_key", "stage", "progress", "message", "ended_at", "variables"),
    ],
)
_ENTITY = Columns(Entity, ENTITY_COLUMNS)
_STEP = Columns(
    Step,
    [
        *("id", "cuid", "execution", "node_id", "type", "label", "state", "closed_at"),
        *("closed_by", "due_at", "overdue", "attempt", "input", "output", "handle"),
        *("incident", "child", "assignees", "claimed_by", "passed"),
    ],
)
_VERSION = Columns(Version, ["id", "number", "checksum"])
_PINNED = Columns(Version, ["id", "cuid", "workflow", "number", "checksum"])

IS_OPEN = f"s.state IN {OPEN}"
"""The SQL condition for open steps. Its text matches the condition of the index."""


@dataclass(frozen=True, slots=True)
class StoredExecution:
    """An execution with its open steps and its entity.

    ``closure`` is the checksum of the closure of its tree; None if there is none, and on SQLite.
    ``xmin`` and ``entity_xmin`` are the transactions that wrote the two rows last (PostgreSQL).
    """

    execution: Execution
    open_steps: list[Step]
    entity: Entity
    closure: str | None
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
    closure: CachedClosure

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
            self.closure.stored_id,
            self.closure.checksum,
        ]


Basis = TreeBasis | StartBasis
"""Rows that were read without a lock. A write fails if they have changed since."""


@dataclass(slots=True)
class Changes:
    """New and changed rows of one advance."""

    executions: list[Execution] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    changed_executions: dict[int, Execution] = field(default_factory=dict)
    changed_steps: dict[int, Step] = field(default_factory=dict)
    entity: Entity | None = None
    answer: Sequence[Any] | None = None
    """The row of an answer (``idempotency.row_of``) that is stored in the same statement."""
    may_unblock: bool = True
    """False if the write has found no pending change on hold."""

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


class Store(ABC):
    """Reads the rows that an advance needs in few statements, and writes its changes.

    Reads lock nothing.
    """

    compares_basis: ClassVar[bool]
    """True if ``write`` compares a basis, so that an advance needs no locks before it."""
    open_steps_table: ClassVar[str]
    """The FROM item for open steps, with the alias ``s``."""
    workflow_revision: ClassVar[Any]
    """An expression on versions joined with their workflows: it changes with every edit."""
    execution_extras: ClassVar[str]
    """SQL of the last three attributes of ``StoredExecution``."""

    def __init__(self) -> None:
        execution, version = _EXECUTION.select_list("x"), _VERSION.select_list("v")
        entity, step = _ENTITY.select_list("e"), _STEP.select_list("s")
        open_steps = f"{self.open_steps_table} ON s.execution_id = x.id AND {IS_OPEN}"
        one = (
            f"SELECT {execution}, {version}, {entity}, {step}, {self.execution_extras}"
            " FROM executions_execution x JOIN workflows_version v ON v.id = x.version_id"
            f" JOIN executions_entity e ON e.id = x.entity_id LEFT JOIN {open_steps}"
            " WHERE x.{column} = $1 ORDER BY s.id"
        )
        self.by_id = Statement(one.replace("{column}", "id"), ("bigint",))
        self.by_cuid = Statement(one.replace("{column}", "cuid"), ("text",))
        self._entity_alone = Statement(
            f"SELECT {entity} FROM executions_entity e WHERE e.id = $1", ("bigint",)
        )
        self._open_steps = Statement(
            f"SELECT {step} FROM {self.open_steps_table}"
            f" WHERE s.execution_id = $1 AND {IS_OPEN} ORDER BY s.id",
            ("bigint",),
        )
        self._live_below = Statement(
            f"SELECT {execution}, {version}, {step}"
            " FROM executions_execution x JOIN workflows_version v ON v.id = x.version_id"
            f" LEFT JOIN {open_steps}"
            " WHERE x.root_id = $1 AND x.live_key IS NOT NULL ORDER BY x.id, s.id",
            ("bigint",),
        )
        self._pins = Statement(
            f"SELECT w.cuid, {_PINNED.select_list('v')} FROM executions_execution x"
            " JOIN executions_closuremember m ON m.closure_id = x.closure_id"
            " JOIN workflows_version v ON v.id = m.version_id"
            " JOIN workflows_workflow w ON w.id = m.callee_id WHERE x.id = $1",
            ("bigint",),
        )
        self._closures: dict[str, dict[str, dict[str, Any]]] = {}

    # Reading

    def execution(self, pk: int) -> StoredExecution | None:
        """Return the execution as it is stored now; None if it is gone."""
        return _stored_execution(self.by_id.execute([pk]))

    def execution_by_cuid(self, cuid: str) -> StoredExecution | None:
        """Return the execution with this cuid as it is stored now; None if there is none."""
        return _stored_execution(self.by_cuid.execute([cuid]))

    def entity(self, pk: int) -> Entity | None:
        """Return the entity as it is stored now; None if it is gone."""
        rows = self._entity_alone.execute([pk])
        found: Entity | None = _ENTITY.build(rows[0]) if rows else None
        return found

    def open_steps(self, execution: Execution) -> list[Step]:
        """Return the open steps of an execution in the order in which they were opened."""
        return [_STEP.build(row) for row in self._open_steps.execute([execution.pk])]

    def live_below(self, root: Execution) -> list[tuple[Execution, list[Step]]]:
        """Return all live descendants of this root, each with its open steps."""
        a = len(_EXECUTION)
        b = a + len(_VERSION)
        found: dict[int, tuple[Execution, list[Step]]] = {}
        for row in self._live_below.execute([root.pk]):
            if row[0] not in found:
                execution = _EXECUTION.build(row[:a])
                raw_rows.set_relations(execution, version=_VERSION.build(row[a:b]))
                found[row[0]] = execution, []
            if row[b] is not None:
                found[row[0]][1].append(_STEP.build(row[b:]))
        return list(found.values())

    def pinned(self, root: Execution, closure: str | None = None) -> dict[str, Version]:
        """Return the pinned version of every callee of the closure, by the callee's cuid.

        Args:
            closure: the checksum of the closure, if it was read with an execution.
        """
        # The cache is keyed by the checksum, which covers ids and cuids: restoring a backup
        # reuses ids, and importing what was deleted reuses cuids, while this process runs.
        known = None if closure is None else self._closures.get(closure)
        if known is not None:
            return {
                callee: raw_rows.build_stored(Version, values) for callee, values in known.items()
            }
        rows = self._pins.execute([root.pk])
        versions = {callee: _PINNED.build(row) for callee, *row in rows}
        # A damaged closure is not cached: its repair leaves the checksum as it is.
        if closure == closure_checksum(root.version_id, versions.values()):
            if len(self._closures) >= CACHED_CLOSURES:
                self._closures.clear()
            self._closures[closure] = {
                callee: {name: version.__dict__[name] for name in _PINNED.names}
                for callee, version in versions.items()
            }
        return versions

    @abstractmethod
    def entities_for_start(
        self, entity: Entity, closure: CachedClosure
    ) -> Iterator[tuple[Entity, Basis | None]]:
        """Yield the entity in each state that a start on a cached closure may try in turn.

        Nothing is yielded if the closure is outdated, or the entity has another context.
        """

    # Writing

    @abstractmethod
    def execution_ids(self) -> Iterator[int]:
        """Return an iterator of ids for the new executions of one advance.

        The ids are known before the rows are written, because new steps refer to them.
        """

    def write(self, changes: Changes, basis: Basis | None = None) -> bool:
        """Write all changes. Return False, having written nothing, if ``basis`` has changed."""
        if not self._write_rows(changes, basis):
            return False
        for row in changes.executions:
            row._state.adding = False
            row._state.db = "default"
        return True

    @abstractmethod
    def _write_rows(self, changes: Changes, basis: Basis | None) -> bool:
        """Write the rows as ``write`` does."""


def _stored_execution(rows: list[Any]) -> StoredExecution | None:
    if not rows:
        return None
    row = rows[0]
    a = len(_EXECUTION)
    b = a + len(_VERSION)
    c = b + len(_ENTITY)
    execution = _EXECUTION.build(row[:a])
    entity = _ENTITY.build(row[b:c])
    raw_rows.set_relations(execution, version=_VERSION.build(row[a:b]), entity=entity)
    steps = [_STEP.build(row[c:-3]) for row in rows if row[c] is not None]
    return StoredExecution(execution, steps, entity, *row[-3:])


@cache
def columns_of_new(model: type[models.Model]) -> tuple[str, ...]:
    """Return the columns of a new row. Only executions have their id before they are written."""
    return tuple(
        field.column
        for field in model._meta.concrete_fields
        if not field.generated and (model is Execution or not field.primary_key)
    )
