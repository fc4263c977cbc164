"""What an import does: of each workflow of a file, what it is here and what it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workflows.db.json_values import canonical
from workflows.files.file_schema import FINDING, RECORD, TypeEntry, WorkflowEntry
from workflows.graph.changes import Changes, FieldChange, changes, objects, way
from workflows.models import EntityName, FindingType, RecordType, Workflow

CREATED, CHANGED, UNCHANGED = "created", "changed", "unchanged"


@dataclass(slots=True)
class TypeTarget:
    """The type that a file names: the row, or None until it is created from its entry."""

    noun: str
    cuid: str
    name: str
    row: FindingType | RecordType | None = None
    entry: TypeEntry | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by among both kinds of types."""
        return self.noun, self.cuid

    @property
    def context(self) -> dict[str, Any]:
        """What a workflow has that works on it, by the names of its fields."""
        is_finding = self.noun == FINDING
        return {
            "entity_name": EntityName.FINDING if is_finding else EntityName.INVENTORY_MODEL,
            "entity_name_type": self.row if is_finding else None,
            "primary_record_type": None if is_finding else self.row,
        }


@dataclass(frozen=True, slots=True)
class Stored:
    """What a workflow was before the import."""

    values: Mapping[str, Any]
    state: str
    starts_on_creation: bool
    type_key: tuple[str, str]
    type_name: str
    source: dict[str, Any]


def type_key(row: Workflow) -> tuple[str, str]:
    """The ``TypeTarget.key`` of what a workflow works on."""
    kind = row.context_type
    noun = FINDING if row.entity_name == EntityName.FINDING else RECORD
    return noun, kind.cuid if kind else ""


@dataclass(slots=True)
class Item:
    """A workflow of a file, beside what it is here; ``row`` is None until it is created."""

    entry: WorkflowEntry
    cuid: str
    kind: TypeTarget
    row: Workflow | None
    stored: Stored | None
    source: dict[str, Any] = field(default_factory=dict)
    version: int | None = None
    """The number of the version that it has been given; None where it keeps its latest."""

    @property
    def title(self) -> str:
        """The title that it is to have."""
        return self.entry.named.title or ""

    @property
    def values(self) -> dict[str, Any]:
        """The settings that it is to have, but for what it works on."""
        return {
            "title": self.title,
            "description": self.entry.description,
            "state": self.entry.state,
            "trigger": self.entry.trigger,
            "trigger_data": self.entry.trigger_data,
        }

    @property
    def starts_on_creation(self) -> bool:
        """Whether it is to have its type's only registration for what is created."""
        return (
            self.entry.trigger == Workflow.Trigger.CREATED
            and self.entry.state != Workflow.State.RETIRED
        )

    @property
    def changes_type(self) -> bool:
        """Whether it is there, and works on another type."""
        return self.stored is not None and self.stored.type_key != self.kind.key

    @property
    def settings(self) -> list[FieldChange]:
        """The settings that become others."""
        if self.stored is None:
            return []
        return [
            FieldChange(name, CHANGED, self.stored.values[name], value)
            for name, value in self.values.items()
            if canonical(self.stored.values[name]) != canonical(value)
        ]

    @property
    def redrawn(self) -> bool:
        """Whether it takes another graph, be it the same in another arrangement."""
        return self.stored is None or canonical(self.stored.source) != canonical(self.source)

    @property
    def graph(self) -> Changes:
        """What becomes of its nodes and edges."""
        return changes(self.stored.source if self.stored else {}, self.source)

    @property
    def rearranged(self) -> bool:
        """Whether what stays of its graph stands elsewhere, or in another order."""
        if self.stored is None or not self.redrawn:
            return False
        return any(
            _common(part(self.stored.source), part(self.source))
            != _common(part(self.source), part(self.stored.source))
            for part in (_nodes, _edges)
        )

    @property
    def status(self) -> str:
        """Created, changed or unchanged."""
        if self.stored is None:
            return CREATED
        return CHANGED if self.settings or self.changes_type or self.redrawn else UNCHANGED


Row = tuple[Any, str]
"""What a node or an edge is known by, and all of it that ``changes()`` does not look at."""


def _nodes(source: Any) -> list[Row]:
    return [
        (node.get("id"), canonical({key: node[key] for key in node if key not in ("type", "data")}))
        for node in objects(source, "nodes")
    ]


def _edges(source: Any) -> list[Row]:
    return [(way(edge), canonical(edge)) for edge in objects(source, "edges")]


def _common(rows: list[Row], others: list[Row]) -> list[Row]:
    known = {key for key, _ in others}
    return [row for row in rows if row[0] in known]


@dataclass(slots=True)
class Plan:
    """What an import does, or has done."""

    items: list[Item]
    order: list[Item]
    """Callees before their callers."""
    types: list[TypeTarget]
    """Those that are not here, and are created."""
    notes: list[str]
    reached: set[int]
    """The ids of the workflows that are there and are matched or called."""

    def of_status(self, status: str) -> list[Item]:
        """The workflows of which this becomes."""
        return [item for item in self.items if item.status == status]

    @property
    def is_empty(self) -> bool:
        """Whether all of it is in place already."""
        return not self.types and all(item.status == UNCHANGED for item in self.items)
