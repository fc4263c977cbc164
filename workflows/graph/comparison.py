"""Comparison of two graphs: nodes and edges that were added, removed or changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
EdgeKey = tuple[str, str, str]
"""Source, target and handle of an edge; the handle is empty for an unnamed exit."""

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A changed value in a node, with its path (``data.fields[0].name``) and both JSON values.

    ``before`` or ``after`` is None where the value was added or removed, as ``operation`` says.
    """

    path: str
    operation: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class GraphChanges:
    """The operation for each changed node (by id) and edge; unchanged ones are left out."""

    nodes: dict[str, str] = field(default_factory=dict)
    edges: dict[EdgeKey, str] = field(default_factory=dict)
    fields: dict[str, list[FieldChange]] = field(default_factory=dict)
    """The changed values of each changed node."""

    def __bool__(self) -> bool:
        return bool(self.nodes or self.edges)


def list_objects(source: Any, key: str) -> list[dict[str, Any]]:
    """Return the nodes or edges of a source, without entries that are not objects."""
    rows = source.get(key) if isinstance(source, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def edge_key(edge: Mapping[str, Any]) -> EdgeKey:
    """Return the key that identifies an edge in a comparison."""
    return str(edge.get("source")), str(edge.get("target")), str(edge.get("sourceHandle") or "")


def compare_graphs(before: Any, after: Any) -> GraphChanges:
    """Compare two sources, ignoring positions and order."""
    found = GraphChanges()
    old, new = _by_id(before), _by_id(after)
    for key in dict.fromkeys([*new, *old]):
        if key not in old:
            found.nodes[key] = ADDED
        elif key not in new:
            found.nodes[key] = REMOVED
        elif fields := list(_compare("", _relevant(old[key]), _relevant(new[key]))):
            found.nodes[key] = CHANGED
            found.fields[key] = fields
    old_edges, new_edges = (
        {edge_key(row): None for row in list_objects(source, "edges")} for source in (before, after)
    )
    for edge in dict.fromkeys([*new_edges, *old_edges]):
        if edge not in old_edges:
            found.edges[edge] = ADDED
        elif edge not in new_edges:
            found.edges[edge] = REMOVED
    return found


def _by_id(source: Any) -> dict[str, dict[str, Any]]:
    return {str(row.get("id")): row for row in list_objects(source, "nodes")}


def _relevant(node: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": node.get("type"), "data": node.get("data") or {}}


def _compare(path: str, old: Any, new: Any) -> Iterator[FieldChange]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*new, *old]):
            below = f"{path}.{key}" if path else str(key)
            yield from _compare(below, old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _compare(f"{path}[{index}]", *pair)
    elif old is _ABSENT:
        yield FieldChange(path, ADDED, after=new)
    elif new is _ABSENT:
        yield FieldChange(path, REMOVED, before=old)
    # In JSON, true and 1 are different values.
    elif type(old) is not type(new) or old != new:
        yield FieldChange(path, CHANGED, old, new)
