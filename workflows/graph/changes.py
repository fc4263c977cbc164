"""What sets two sources apart: nodes and edges that were added, removed or changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
Way = tuple[str, str, str]
"""An edge: source, target, and handle, empty where the exit has no name."""

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of a node: its path (``data.fields[0].name``), and both values as JSON knows them.

    ``before`` or ``after`` is missing where the field was added or removed; ``kind`` says which.
    """

    path: str
    kind: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class Changes:
    """By node id and by edge, what became of it; what stayed as it was is left out."""

    nodes: dict[str, str] = field(default_factory=dict)
    edges: dict[Way, str] = field(default_factory=dict)
    fields: dict[str, list[FieldChange]] = field(default_factory=dict)
    """Of the nodes that were changed."""

    def __bool__(self) -> bool:
        return bool(self.nodes or self.edges)


def objects(source: Any, key: str) -> list[dict[str, Any]]:
    """The nodes or the edges of a source; what is no object is left out."""
    rows = source.get(key) if isinstance(source, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def way(edge: Mapping[str, Any]) -> Way:
    """What an edge is known by."""
    return str(edge.get("source")), str(edge.get("target")), str(edge.get("sourceHandle") or "")


def changes(before: Any, after: Any) -> Changes:
    """Compare two sources. Where a node stands in a picture is no difference, nor the order."""
    found = Changes()
    old, new = _by_id(before), _by_id(after)
    for key in dict.fromkeys([*new, *old]):
        if key not in old:
            found.nodes[key] = ADDED
        elif key not in new:
            found.nodes[key] = REMOVED
        elif fields := list(_fields("", _judged(old[key]), _judged(new[key]))):
            found.nodes[key] = CHANGED
            found.fields[key] = fields
    ways, fresh = ({way(row): None for row in objects(one, "edges")} for one in (before, after))
    for one in dict.fromkeys([*fresh, *ways]):
        if one not in ways:
            found.edges[one] = ADDED
        elif one not in fresh:
            found.edges[one] = REMOVED
    return found


def _by_id(source: Any) -> dict[str, dict[str, Any]]:
    return {str(row.get("id")): row for row in objects(source, "nodes")}


def _judged(node: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": node.get("type"), "data": node.get("data") or {}}


def _fields(path: str, old: Any, new: Any) -> Iterator[FieldChange]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*new, *old]):
            below = f"{path}.{key}" if path else str(key)
            yield from _fields(below, old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _fields(f"{path}[{index}]", *pair)
    elif old is _ABSENT:
        yield FieldChange(path, ADDED, after=new)
    elif new is _ABSENT:
        yield FieldChange(path, REMOVED, before=old)
    # True is no 1: what JSON tells apart is another value.
    elif type(old) is not type(new) or old != new:
        yield FieldChange(path, CHANGED, old, new)
