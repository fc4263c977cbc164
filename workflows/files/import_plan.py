"""The plan of an import: the current and the new state of each workflow of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workflows.db.json_values import canonical
from workflows.files.file_schema import FINDING, RECORD, TypeEntry, WorkflowEntry
from workflows.graph.comparison import (
    FieldChange,
    GraphChanges,
    compare_graphs,
    edge_key,
    list_objects,
)
from workflows.graph.positions import without_positions
from workflows.models import EntityName, FindingType, RecordType, Workflow
from workflows.refusals import Problem

CREATED, CHANGED, UNCHANGED = "created", "changed", "unchanged"


@dataclass(slots=True)
class TypeTarget:
    """A type that a file refers to; ``row`` is None until the type is created from its entry."""

    noun: str
    cuid: str
    name: str
    row: FindingType | RecordType | None = None
    entry: TypeEntry | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Return the key of the type among finding types and record types."""
        return self.noun, self.cuid

    @property
    def context(self) -> dict[str, Any]:
        """Return the context fields of a workflow that works on this type, by name."""
        is_finding = self.noun == FINDING
        return {
            "entity_name": EntityName.FINDING if is_finding else EntityName.INVENTORY_MODEL,
            "entity_name_type": self.row if is_finding else None,
            "primary_record_type": None if is_finding else self.row,
        }


@dataclass(frozen=True, slots=True)
class StoredWorkflow:
    """The state of a workflow before the import."""

    values: Mapping[str, Any]
    state: str
    starts_on_creation: bool
    type_key: tuple[str, str]
    type_name: str
    source: dict[str, Any]


def type_key(row: Workflow) -> tuple[str, str]:
    """Return the ``TypeTarget.key`` of a workflow's type."""
    context_type = row.context_type
    noun = FINDING if row.entity_name == EntityName.FINDING else RECORD
    return noun, context_type.cuid if context_type else ""


@dataclass(slots=True)
class PlanItem:
    """A workflow of a file with its stored state; ``row`` is None until it is created."""

    entry: WorkflowEntry
    cuid: str
    type_target: TypeTarget
    row: Workflow | None
    stored: StoredWorkflow | None
    source: dict[str, Any] = field(default_factory=dict)
    version: int | None = None
    """The number of its new version; None if it keeps its latest version."""
    warnings: Sequence[Problem] = ()
    """The warnings about its graph, if it changes."""

    @property
    def title(self) -> str:
        """Return the new title."""
        return self.entry.ref.title or ""

    @property
    def values(self) -> dict[str, Any]:
        """Return the new settings, without the entity context."""
        return {
            "title": self.title,
            "description": self.entry.description,
            "state": self.entry.state,
            "trigger": self.entry.trigger,
            "trigger_data": self.entry.trigger_data,
        }

    @property
    def starts_on_creation(self) -> bool:
        """Return True if the workflow will start when an entity of its type is created."""
        return (
            self.entry.trigger == Workflow.Trigger.CREATED
            and self.entry.state != Workflow.State.RETIRED
        )

    @property
    def changes_type(self) -> bool:
        """Return True if the workflow exists and works on another type."""
        return self.stored is not None and self.stored.type_key != self.type_target.key

    @property
    def setting_changes(self) -> list[FieldChange]:
        """Return the settings that change."""
        if self.stored is None:
            return []
        return [
            FieldChange(name, CHANGED, self.stored.values[name], value)
            for name, value in self.values.items()
            if canonical(self.stored.values[name]) != canonical(value)
        ]

    @property
    def changes_graph(self) -> bool:
        """Return True if the graph changes, even if only in positions or order."""
        return self.stored is None or canonical(self.stored.source) != canonical(self.source)

    @property
    def moves_only(self) -> bool:
        """Return True if nothing but positions of nodes differs from the stored graph."""
        return self.stored is not None and canonical(
            without_positions(self.stored.source)
        ) == canonical(without_positions(self.source))

    @property
    def graph_changes(self) -> GraphChanges:
        """Return the changes of nodes and edges."""
        return compare_graphs(self.stored.source if self.stored else {}, self.source)

    @property
    def is_rearranged(self) -> bool:
        """Return True if unchanged nodes and edges have other positions or another order."""
        if self.stored is None or not self.changes_graph:
            return False
        return any(
            _common(part(self.stored.source), part(self.source))
            != _common(part(self.source), part(self.stored.source))
            for part in (_nodes, _edges)
        )

    @property
    def status(self) -> str:
        """Return ``CREATED``, ``CHANGED`` or ``UNCHANGED``."""
        if self.stored is None:
            return CREATED
        return (
            CHANGED
            if self.setting_changes or self.changes_type or self.changes_graph
            else UNCHANGED
        )


Row = tuple[Any, str]
"""The key of a node or edge, and the part of it that ``compare_graphs`` ignores."""


def _nodes(source: Any) -> list[Row]:
    return [
        (node.get("id"), canonical({key: node[key] for key in node if key not in ("type", "data")}))
        for node in list_objects(source, "nodes")
    ]


def _edges(source: Any) -> list[Row]:
    return [(edge_key(edge), canonical(edge)) for edge in list_objects(source, "edges")]


def _common(rows: list[Row], others: list[Row]) -> list[Row]:
    known = {key for key, _ in others}
    return [row for row in rows if row[0] in known]


@dataclass(slots=True)
class Plan:
    """The work of an import, planned or done."""

    items: list[PlanItem]
    order: list[PlanItem]
    """The items, callees before their callers."""
    types: list[TypeTarget]
    """The types to create."""
    notes: list[str]
    workflow_ids: set[int]
    """The ids of the existing workflows that are matched or called."""

    def list_by_status(self, status: str) -> list[PlanItem]:
        """Return the items with this status."""
        return [item for item in self.items if item.status == status]

    @property
    def is_empty(self) -> bool:
        """Return True if the import changes nothing."""
        return not self.types and all(item.status == UNCHANGED for item in self.items)
