"""What an advance begins with, as it is stored: few statements, and nothing is locked.

On PostgreSQL the rows that everything is decided by are read with their ``xmin``, the transaction
that wrote them last. Whoever writes afterwards looks, under the rows' locks, whether they are
still the same (``writing.Basis``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connection, models

from executions.engine.writing import NEXT_ID, Ids
from executions.models import OPEN, Entity, Execution, Pin, Step
from workflows import instances
from workflows.models import Version, Workflow
from workflows.prepared import ON_POSTGRESQL, Statement

DB = "default"


class Columns:
    """The columns of a model that are read, and how what they hold becomes an instance."""

    def __init__(self, model: type[models.Model], names: Iterable[str] = ()) -> None:
        self.model = model
        # What a class of its own keeps beside its fields is kept by its ``from_db``.
        self._is_plain = "from_db" not in vars(model)
        wanted = set(names)
        self._fields: list[Any] = [
            field
            for field in model._meta.concrete_fields
            if not field.generated and (not wanted or field.name in wanted)
        ]
        self._names = [field.attname for field in self._fields]

    def __len__(self) -> int:
        return len(self._names)

    def of(self, alias: str) -> str:
        """The columns, for a SELECT."""
        return ", ".join(f"{alias}.{field.column}" for field in self._fields)

    @cached_property
    def _converters(self) -> list[tuple[int, Any, list[Any]]]:
        found = []
        for place, field in enumerate(self._fields):
            column = field.get_col(self.model._meta.db_table)
            converters = [
                *connection.ops.get_db_converters(column),
                *column.get_db_converters(connection),
            ]
            if converters:
                found.append((place, column, converters))
        return found

    def instance(self, values: Sequence[Any]) -> Any:
        """The instance; what was not selected is read when somebody asks."""
        row = list(values)
        for place, column, converters in self._converters:
            for converter in converters:
                row[place] = converter(row[place], column, connection)
        if self._is_plain:
            return instances.stored(self.model, dict(zip(self._names, row, strict=True)))
        return self.model.from_db(DB, self._names, row)


_EXECUTION = Columns(
    Execution,
    [
        *("id", "cuid", "workflow", "version", "entity", "parent", "root", "status"),
        *("context_key", "stage", "progress", "message", "ended_at"),
    ],
)
_ENTITY = Columns(
    Entity,
    ["id", "entity_name", "entity_name_type", "primary_record_type", "fields", "updated_at"],
)
_STEP = Columns(
    Step,
    [
        *("id", "cuid", "execution", "node_id", "type", "label", "state", "closed_at"),
        *("closed_by", "due_at", "overdue", "attempt", "input", "output", "handle"),
        *("incident", "child"),
    ],
)
_PIN = Columns(Pin, ["id", "callee", "version", "context_key"])
_VERSION = Columns(Version, ["id", "workflow", "number", "checksum"])
_CALLEE = Columns(Workflow, ["id", "cuid"])


@dataclass(frozen=True, slots=True)
class KnownEntity:
    """An entity, who wrote it last, and the id of an execution to start on it."""

    entity: Entity
    xmin: str
    ids: Ids


@dataclass(frozen=True, slots=True)
class Known:
    """An execution with its open steps and its entity, and who wrote it and the entity last."""

    execution: Execution
    open_steps: list[Step]
    entity: Entity
    xmin: str
    entity_xmin: str


_XMIN = ", {0}.xmin::text" if ON_POSTGRESQL else ", ''"

_ONE = Statement(
    f"SELECT {_EXECUTION.of('x')}, {_VERSION.of('v')}, {_ENTITY.of('e')}, {_STEP.of('s')}"
    + _XMIN.format("x")
    + _XMIN.format("e")
    + " FROM executions_execution x JOIN workflows_version v ON v.id = x.version_id"
    " JOIN executions_entity e ON e.id = x.entity_id"
    f" LEFT JOIN executions_step s ON s.execution_id = x.id AND s.state IN {OPEN}"
    " WHERE x.id = $1 ORDER BY s.id",
    ("bigint",),
)
_ENTITY_ALONE = Statement(
    f"SELECT {_ENTITY.of('e')}"
    + _XMIN.format("e")
    + (f", {NEXT_ID}" if ON_POSTGRESQL else "")
    + " FROM executions_entity e WHERE e.id = $1",
    ("bigint",),
)
_OPEN_STEPS = Statement(
    f"SELECT {_STEP.of('s')} FROM executions_step s"
    f" WHERE s.execution_id = $1 AND s.state IN {OPEN} ORDER BY s.id",
    ("bigint",),
)
_PINS = Statement(
    f"SELECT {_PIN.of('p')}, {_VERSION.of('v')}, {_CALLEE.of('w')}"
    + (f", {NEXT_ID}" if ON_POSTGRESQL else "")
    + " FROM executions_pin p"
    " JOIN workflows_version v ON v.id = p.version_id"
    " JOIN workflows_workflow w ON w.id = p.callee_id WHERE p.root_id = $1",
    ("bigint",),
)


def execution(pk: int) -> Known | None:
    """The execution as it is stored now; None when it is gone."""
    rows = _ONE.execute([pk])
    if not rows:
        return None
    row = rows[0]
    a = len(_EXECUTION)
    b = a + len(_VERSION)
    c = b + len(_ENTITY)
    found = _EXECUTION.instance(row[:a])
    worked_on = _ENTITY.instance(row[b:c])
    instances.relate(found, version=_VERSION.instance(row[a:b]), entity=worked_on)
    steps = [_STEP.instance(row[c:-2]) for row in rows if row[c] is not None]
    return Known(found, steps, worked_on, row[-2], row[-1])


def entity(pk: int) -> KnownEntity | None:
    """The entity as it is stored now; None when it is gone."""
    rows = _ENTITY_ALONE.execute([pk])
    if not rows:
        return None
    number = len(_ENTITY)
    ids = Ids(rows[0][number + 1 :])
    return KnownEntity(_ENTITY.instance(rows[0][:number]), rows[0][number], ids)


def open_steps(execution: Execution) -> list[Step]:
    """The steps at which an execution stands, in the order in which they were opened."""
    return [_STEP.instance(row) for row in _OPEN_STEPS.execute([execution.pk])]


def pins(root: Execution) -> tuple[dict[str, Pin], Ids]:
    """The pinned version of every callee of the closure, by the callee's cuid, and an id for an
    execution of each.
    """
    found: dict[str, Pin] = {}
    drawn: list[int] = []
    a, b, c = len(_PIN), len(_PIN) + len(_VERSION), len(_PIN) + len(_VERSION) + len(_CALLEE)
    for row in _PINS.execute([root.pk]):
        pin = _PIN.instance(row[:a])
        callee = _CALLEE.instance(row[b:c])
        instances.relate(pin, version=_VERSION.instance(row[a:b]), callee=callee)
        found[callee.cuid] = pin
        drawn += row[c:]
    return found, Ids(drawn)
