"""The node types: which data each takes, and by which exits it is left.

The package that makes them run registers them; this is their static half only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from workflows.jsontext import below, kind, quoted

COMMON_KEYS = ("label", "description", "notes")


class NodeType:
    """The static half of a node type: which data it takes, and by which exits it is left."""

    name: str
    ends: bool = False
    """Nothing follows a node of this type."""
    forks: bool = False
    """All ways out are taken at once."""
    keys: frozenset[str] = frozenset()
    """What ``data`` may hold beside the keys that every node may have."""

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield a pointer relative to ``data`` and a sentence for everything that is wrong."""
        return iter(())

    def handles(self, data: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return the named exits, or None for the one exit; asked of unsound data too."""
        return None


_NODE_TYPES: dict[str, NodeType] = {}


def register(node_type: NodeType) -> None:
    """Make a node type known to ``parse``. Registering the same class again is harmless."""
    known, new = type(_NODE_TYPES.get(node_type.name, node_type)), type(node_type)
    if (known.__module__, known.__qualname__) != (new.__module__, new.__qualname__):
        raise ValueError(f"The node type {quoted(node_type.name)} is registered already.")
    _NODE_TYPES[node_type.name] = node_type


def node_types() -> Mapping[str, NodeType]:
    """Return the registered node types by name."""
    return MappingProxyType(_NODE_TYPES)


def data_problems(node_type: NodeType | None, data: object) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the data of a node; of an unknown type, what holds of all."""
    if not isinstance(data, dict):
        yield "", f"Its 'data' must be an object, not {kind(data)}."
        return
    for key in COMMON_KEYS:
        if not isinstance(data.get(key, ""), str):
            yield f"/{key}", f"Its '{key}' must be text, not {kind(data[key])}."
    if node_type is None:
        return
    for key in data:
        if key not in node_type.keys and key not in COMMON_KEYS:
            allowed = ", ".join((*sorted(node_type.keys), *COMMON_KEYS))
            yield (
                below("", key),
                f"{quoted(key)} means nothing here; its data may hold: {allowed}.",
            )
    yield from node_type.problems(data)
