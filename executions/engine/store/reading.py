"""What an advance begins with, as it is stored: few statements, and nothing is locked.

On PostgreSQL the rows that everything is decided by are read with their ``xmin``, the transaction
that wrote them last. Whoever writes afterwards looks, under the rows' locks, whether they are
still the same (``writing.TreeBasis``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from executions.models import OPEN, OPEN_INDEX, Entity, Execution, Step
from workflows.db import raw_rows
from workflows.db.prepared import ON_POSTGRESQL, Statement
from workflows.db.raw_rows import Columns
from workflows.models import Version

ENTITY = (
    *("id", "entity_name", "entity_name_type_id", "primary_record_type_id"),
    *("fields", "updated_at"),
)
"""What an advance asks of an entity."""

_EXECUTION = Columns(
    Execution,
    [
        *("id", "cuid", "workflow", "version", "entity", "parent", "root", "status"),
        *("context_key", "stage", "progress", "message", "ended_at"),
    ],
)
_ENTITY = Columns(Entity, ENTITY)
_STEP = Columns(
    Step,
    [
        *("id", "cuid", "execution", "node_id", "type", "label", "state", "closed_at"),
        *("closed_by", "due_at", "overdue", "attempt", "input", "output", "handle"),
        *("incident", "child", "assignees"),
    ],
)
_VERSION = Columns(Version, ["id", "number", "checksum"])
_PINNED = Columns(Version, ["id", "cuid", "workflow", "number", "checksum"])


@dataclass(frozen=True, slots=True)
class Known:
    """An execution with its open steps and its entity, and who wrote it and the entity last."""

    execution: Execution
    open_steps: list[Step]
    entity: Entity
    pinned: list[str] | None
    xmin: str
    entity_xmin: str


IS_OPEN = f"s.state IN {OPEN}"
FROM_OPEN_STEPS = "executions_step s"
"""What holds for open steps, and where they are read from.

An execution may have thousands of visits. SQLite takes the index of all of them, in whose order
they are, unless it is told otherwise.
"""
if not ON_POSTGRESQL:
    FROM_OPEN_STEPS += f" INDEXED BY {OPEN_INDEX}"

# On SQLite a statement more costs nothing, and its writer is alone.
_MORE = (
    "ARRAY(SELECT v.id || ' ' || v.cuid FROM executions_pin p"
    " JOIN workflows_version v ON v.id = p.version_id"
    " WHERE p.root_id = COALESCE(x.root_id, x.id)), x.xmin::text, e.xmin::text"
    if ON_POSTGRESQL
    else "NULL, '', ''"
)

_ONE = (
    f"SELECT {_EXECUTION.of('x')}, {_VERSION.of('v')}, {_ENTITY.of('e')}, {_STEP.of('s')}, {_MORE}"
    " FROM executions_execution x JOIN workflows_version v ON v.id = x.version_id"
    " JOIN executions_entity e ON e.id = x.entity_id"
    f" LEFT JOIN {FROM_OPEN_STEPS} ON s.execution_id = x.id AND {IS_OPEN}"
    " WHERE x.{name} = $1 ORDER BY s.id"
)
_BY_ID = Statement(_ONE.format(name="id"), ("bigint",))
_BY_CUID = Statement(_ONE.format(name="cuid"), ("text",))
_ENTITY_ALONE = Statement(
    f"SELECT {_ENTITY.of('e')} FROM executions_entity e WHERE e.id = $1", ("bigint",)
)
_OPEN_STEPS = Statement(
    f"SELECT {_STEP.of('s')} FROM {FROM_OPEN_STEPS}"
    f" WHERE s.execution_id = $1 AND {IS_OPEN} ORDER BY s.id",
    ("bigint",),
)
_LIVE_BELOW = Statement(
    f"SELECT {_EXECUTION.of('x')}, {_VERSION.of('v')}, {_STEP.of('s')}"
    " FROM executions_execution x JOIN workflows_version v ON v.id = x.version_id"
    f" LEFT JOIN {FROM_OPEN_STEPS} ON s.execution_id = x.id AND {IS_OPEN}"
    " WHERE x.root_id = $1 AND x.live_key IS NOT NULL ORDER BY x.id, s.id",
    ("bigint",),
)
_PINS = Statement(
    f"SELECT w.cuid, {_PINNED.of('v')} FROM executions_pin p"
    " JOIN workflows_version v ON v.id = p.version_id"
    " JOIN workflows_workflow w ON w.id = p.callee_id WHERE p.root_id = $1",
    ("bigint",),
)


def execution(pk: int) -> Known | None:
    """The execution as it is stored now; None when it is gone."""
    return _known(_BY_ID.execute([pk]))


def execution_by_cuid(cuid: str) -> Known | None:
    """The execution with this cuid as it is stored now; None when there is none."""
    return _known(_BY_CUID.execute([cuid]))


def _known(rows: list[Any]) -> Known | None:
    if not rows:
        return None
    row = rows[0]
    a = len(_EXECUTION)
    b = a + len(_VERSION)
    c = b + len(_ENTITY)
    found = _EXECUTION.instance(row[:a])
    worked_on = _ENTITY.instance(row[b:c])
    raw_rows.relate(found, version=_VERSION.instance(row[a:b]), entity=worked_on)
    steps = [_STEP.instance(row[c:-3]) for row in rows if row[c] is not None]
    return Known(found, steps, worked_on, *row[-3:])


def entity(pk: int) -> Entity | None:
    """The entity as it is stored now; None when it is gone."""
    rows = _ENTITY_ALONE.execute([pk])
    found: Entity | None = _ENTITY.instance(rows[0]) if rows else None
    return found


def in_hand(entity: Entity) -> Entity | None:
    """A copy of an entity that a caller has read; None where it lacks what an advance asks.

    It may have been written since, or hold what nobody has saved: whoever starts on it has its
    fields compared with what is stored.
    """
    values = {name: entity.__dict__.get(name) for name in ENTITY}
    text = fields_text(entity)
    if text is None or not isinstance(values["fields"], dict):
        return None
    return raw_rows.stored(Entity, values | {"fields": orjson.loads(text)})


def fields_text(entity: Entity) -> str | None:
    """The fields of an entity as JSON; None where they hold what cannot be compared."""
    try:
        text = orjson.dumps(entity.__dict__.get("fields")).decode()
    except orjson.JSONEncodeError:
        return None
    return None if r"\u0000" in text else text


def open_steps(execution: Execution) -> list[Step]:
    """The steps at which an execution stands, in the order in which they were opened."""
    return [_STEP.instance(row) for row in _OPEN_STEPS.execute([execution.pk])]


def live_below(root: Execution) -> list[tuple[Execution, list[Step]]]:
    """Read all that this root has started and that is live, each with its open steps."""
    a = len(_EXECUTION)
    b = a + len(_VERSION)
    found: dict[int, tuple[Execution, list[Step]]] = {}
    for row in _LIVE_BELOW.execute([root.pk]):
        if row[0] not in found:
            execution = _EXECUTION.instance(row[:a])
            raw_rows.relate(execution, version=_VERSION.instance(row[a:b]))
            found[row[0]] = execution, []
        if row[b] is not None:
            found[row[0]][1].append(_STEP.instance(row[b:]))
    return list(found.values())


CALLEES = 10_000

_callees: dict[str, tuple[str, dict[str, Any]]] = {}
"""The callee's cuid and what is read of a pinned version, by its id and cuid: neither changes.

By both, for while this process runs somebody may go back to a backup, after which an id is given
again, or import what has been deleted, which brings its cuid back.
"""


def pinned(root: Execution, names: list[str] | None = None) -> dict[str, Version]:
    """The version of every callee of the closure, by the callee's cuid.

    ``names``: ids and cuids of these versions, where they were read with an execution of the tree.
    """
    if names is not None:
        known = [_callees.get(name) for name in names]
        if None not in known:
            return {
                callee: raw_rows.stored(Version, values) for callee, values in filter(None, known)
            }
    versions = {callee: _PINNED.instance(row) for callee, *row in _PINS.execute([root.pk])}
    if names is not None:
        if len(_callees) > CALLEES:
            _callees.clear()
        for callee, version in versions.items():
            values = {name: version.__dict__[name] for name in _PINNED.names}
            _callees[f"{version.pk} {version.cuid}"] = (callee, values)
    return versions
