"""The rows of the old system, as the file tells them: by their old ids, and with where they stand.

``at`` is the JSON pointer of a row.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from executions.models import LIVE
from workflows.db.cuid import LENGTH
from workflows.models import EntityName

_CUID = re.compile(rf"c[0-9a-z]{{{LENGTH - 1}}}")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Type(NamedTuple):
    """An entity context by the old id of its type."""

    entity_name: str
    id: str

    @property
    def is_of_findings(self) -> bool:
        return self.entity_name == EntityName.FINDING


class Change(NamedTuple):
    """A change of type: when, and what it was before."""

    at: datetime
    before: Type


def type_then(now: Type, changes: Sequence[Change], then: datetime) -> Type:
    """The type that a row had at a time, as far as the changes tell."""
    return next((change.before for change in changes if change.at > then), now)


@dataclass(frozen=True, slots=True)
class OldVersion:
    """A version: nodes and edges, with the callees by their old ids, and nothing else."""

    workflow: str
    number: int
    at: str
    source: dict[str, Any]
    created_at: datetime | None
    notes: str


@dataclass(frozen=True, slots=True)
class OldWorkflow:
    """A workflow, with the type that it has at last; ``changes`` where they are known."""

    id: str
    at: str
    title: str
    description: str
    type: Type
    trigger: str
    trigger_data: dict[str, Any]
    state: str
    changes: Sequence[Change]
    versions: dict[int, OldVersion] = field(default_factory=dict)

    @property
    def latest(self) -> OldVersion:
        return self.versions[max(self.versions)]

    def latest_then(self, then: datetime) -> OldVersion:
        """The version that was the latest at a time; one without a time was always there."""
        there = [
            row.number
            for row in self.versions.values()
            if row.created_at is None or row.created_at <= then
        ]
        return self.versions[max(there) if there else min(self.versions)]


EntityId = tuple[str, str]
"""Entity name and old id: findings and inventory models are counted apart."""


@dataclass(frozen=True, slots=True)
class OldEntity:
    """A finding or an inventory model."""

    id: EntityId
    at: str
    title: str
    type: Type
    fields: dict[str, Any]
    inventory_model: EntityId | None
    changes: Sequence[Change]

    @property
    def name(self) -> str:
        """How a sentence calls it."""
        noun = "finding" if self.id[0] == EntityName.FINDING else "inventory model"
        return f"{noun} {self.id[1]}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a live execution stands."""

    node: str
    at: str
    since: datetime
    child: str | None
    draft: Any


@dataclass(frozen=True, slots=True)
class Visited:
    """A node that an execution has left."""

    node: str
    entered: datetime
    left: datetime
    data: Any
    by: str | None
    child: str | None


@dataclass(frozen=True, slots=True)
class OldExecution:
    """An execution, with where it stands and the way that it has gone."""

    id: str
    at: str
    workflow: str
    version: int
    entity: EntityId
    status: str
    parent: str | None
    started_at: datetime
    started_by: str | None
    scheduled_for: datetime | None
    ended_at: datetime | None
    message: str
    places: Sequence[Place]
    history: Sequence[Visited]

    @property
    def is_live(self) -> bool:
        return self.status in LIVE


@dataclass(slots=True)
class Old:
    """All of the old system. ``decided``: by workflow, the type that an operator has chosen."""

    system: str
    types: dict[Type, dict[str, str]] = field(default_factory=dict)
    entities: dict[EntityId, OldEntity] = field(default_factory=dict)
    workflows: dict[str, OldWorkflow] = field(default_factory=dict)
    executions: dict[str, OldExecution] = field(default_factory=dict)
    decided: dict[str, Type] = field(default_factory=dict)

    def cuid(self, kind: str, old_id: str) -> str:
        """The cuid of a row: its own where the old system has cuids, else one that is made of the
        system's name, the kind and the id, so that it is the same each time.
        """
        if _CUID.fullmatch(old_id):
            return old_id
        made = hashlib.sha256("\0".join((self.system, kind, old_id)).encode()).digest()
        return "c" + "".join(_DIGITS[byte % 36] for byte in made[: LENGTH - 1])

    def workflow_cuid(self, old_id: str) -> str:
        return self.cuid("workflow", old_id)

    def named(self, kind: Type) -> str:
        """How a sentence calls a type."""
        return f"“{self.types[kind]['name']}”"

    def root(self, row: OldExecution) -> OldExecution:
        """The execution that the whole tree was started with."""
        while row.parent is not None:
            row = self.executions[row.parent]
        return row
