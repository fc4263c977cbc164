"""The rows of the file of an older system, by their old ids.

``at`` is the JSON pointer of a row.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from executions.models import LIVE
from workflows.db.cuid import LENGTH
from workflows.models import EntityName

_CUID = re.compile(rf"c[0-9a-z]{{{LENGTH - 1}}}")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class LegacyType(NamedTuple):
    """An entity context by the old id of its type."""

    entity_name: str
    id: str

    @property
    def is_of_findings(self) -> bool:
        return self.entity_name == EntityName.FINDING


class TypeChange(NamedTuple):
    """A change of type: its time, and the type before it."""

    at: datetime
    before: LegacyType


def type_at(now: LegacyType, changes: Sequence[TypeChange], then: datetime) -> LegacyType:
    """Return the type that a row had at a moment, according to its known changes."""
    return next((change.before for change in changes if change.at > then), now)


@dataclass(frozen=True, slots=True)
class LegacyVersion:
    """A version: nodes and edges, with the old ids of callees."""

    workflow: str
    number: int
    at: str
    source: dict[str, Any]
    created_at: datetime | None
    notes: str


@dataclass(frozen=True, slots=True)
class LegacyWorkflow:
    """A workflow with its latest type, and its type changes if they are known."""

    id: str
    at: str
    title: str
    description: str
    type: LegacyType
    trigger: str
    trigger_data: dict[str, Any]
    state: str
    changes: Sequence[TypeChange]
    versions: dict[int, LegacyVersion] = field(default_factory=dict)

    @property
    def latest(self) -> LegacyVersion:
        return self.versions[max(self.versions)]

    def latest_at(self, then: datetime) -> LegacyVersion:
        """Return the latest version at a moment. A version without a time has always existed."""
        existing = [
            row.number
            for row in self.versions.values()
            if row.created_at is None or row.created_at <= then
        ]
        return self.versions[max(existing) if existing else min(self.versions)]


EntityId = tuple[str, str]
"""Entity name and old id. Findings and inventory models may have the same ids."""


@dataclass(frozen=True, slots=True)
class LegacyEntity:
    """A finding or an inventory model."""

    id: EntityId
    at: str
    title: str
    type: LegacyType
    fields: dict[str, Any]
    inventory_model: EntityId | None
    changes: Sequence[TypeChange]

    @property
    def name(self) -> str:
        """The name of the entity in messages."""
        noun = "finding" if self.id[0] == EntityName.FINDING else "inventory model"
        return f"{noun} {self.id[1]}"


@dataclass(frozen=True, slots=True)
class CurrentNode:
    """A node with an open step of a live execution."""

    node: str
    at: str
    since: datetime
    child: str | None
    draft: Any


@dataclass(frozen=True, slots=True)
class Visit:
    """A node that an execution has left."""

    node: str
    entered: datetime
    left: datetime
    data: Any
    by: str | None
    child: str | None


@dataclass(frozen=True, slots=True)
class LegacyExecution:
    """An execution with its current nodes and its past visits."""

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
    current_nodes: Sequence[CurrentNode]
    history: Sequence[Visit]
    variables: Mapping[str, Any]

    @property
    def is_live(self) -> bool:
        return self.status in LIVE


@dataclass(slots=True)
class LegacyData:
    """All data of the file. ``chosen_types`` has the types that an operator chose, by workflow."""

    system: str
    types: dict[LegacyType, dict[str, str]] = field(default_factory=dict)
    entities: dict[EntityId, LegacyEntity] = field(default_factory=dict)
    workflows: dict[str, LegacyWorkflow] = field(default_factory=dict)
    executions: dict[str, LegacyExecution] = field(default_factory=dict)
    chosen_types: dict[str, LegacyType] = field(default_factory=dict)

    def cuid(self, model: str, old_id: str) -> str:
        """Return the cuid of a row: its old id if that is a cuid, otherwise a hash of the system's
        name, the model and the old id, which is the same in each import.
        """
        if _CUID.fullmatch(old_id):
            return old_id
        made = hashlib.sha256("\0".join((self.system, model, old_id)).encode()).digest()
        return "c" + "".join(_DIGITS[byte % 36] for byte in made[: LENGTH - 1])

    def workflow_cuid(self, old_id: str) -> str:
        return self.cuid("workflow", old_id)

    def type_name(self, legacy_type: LegacyType) -> str:
        """Return the name of a type in messages."""
        return f"“{self.types[legacy_type]['name']}”"

    def root(self, row: LegacyExecution) -> LegacyExecution:
        """Return the root of the execution's tree."""
        while row.parent is not None:
            row = self.executions[row.parent]
        return row
