"""The node types: which data each takes, and by which exits it is left.

The package that makes them run registers them; this is their static half only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

from workflows.db.json_values import below, quoted
from workflows.graph.schemas import DIALECT, Schema

Problems = Iterator[tuple[str, str]]
"""Pointers, relative to what was looked at, each with a sentence."""

_COMMON: dict[str, Any] = {
    "label": {
        "title": "Label",
        "description": "What people call this node.",
        "type": "string",
        "examples": ["Review the finding"],
    },
    "description": {
        "title": "Description",
        "description": "What this node is there for.",
        "type": "string",
    },
    "notes": {
        "title": "Notes",
        "description": "What else is to be known of this node; nothing is done with it.",
        "type": "string",
    },
}
COMMON_KEYS: tuple[str, ...] = tuple(_COMMON)
"""What the data of every node may hold."""


class NodeType:
    """The static half of a node type: which data it takes, and by which exits it is left.

    ``description`` says what a node of this type does, for people who draw with it.
    """

    name: str
    description: ClassVar[Any]
    ends: bool = False
    """Nothing follows a node of this type."""
    forks: bool = False
    """All ways out are taken at once."""
    merges: bool = False
    """Branches that come together here are waited for."""
    waits: bool = True
    """Whether an execution can wait here: False where it always goes on at once."""
    exits: tuple[str, ...] | None = ()
    """The names of the exits: none for the one exit without a name, None if the data name them."""
    people_at: ClassVar[str | None] = None
    """The key of ``data`` that names ``groups`` and ``users``; empty for ``data`` itself, None for
    a type that asks nobody."""
    schema: ClassVar[Mapping[str, Any]] = {}
    """The JSON Schema of ``data``: ``properties`` and, where there are any, ``required``,
    ``$defs`` and ``examples``. What holds of all nodes is added in ``data_schema``."""
    parts: ClassVar[Mapping[str, Callable[[Any], Problems]]] = {}
    """By key of ``data``, what a schema cannot say of its value; asked where the schema holds."""

    @property
    def title(self) -> str:
        """What people call nodes of this type."""
        return self.name.replace("_", " ").capitalize()

    @cached_property
    def data_schema(self) -> Schema:
        """The whole schema of ``data``, compiled."""
        own = {"properties": {}, **self.schema}
        whole: dict[str, Any] = {
            "$schema": DIALECT,
            "title": "Data",
            "type": "object",
            **own,
            "additionalProperties": False,
        }
        whole["properties"] = {**own["properties"], **_COMMON}
        return Schema(whole)

    def problems(self, data: Mapping[str, Any]) -> Problems:
        """Yield what neither the schema nor ``parts`` can say: how keys of ``data`` fit together.

        Asked only where all of these hold.
        """
        return iter(())

    def field_types(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the fields that a node of this type writes, and the type that each then has."""
        return iter(())

    def comparison_problems(
        self, data: Mapping[str, Any], fields: Mapping[str, Collection[str]]
    ) -> Problems:
        """Yield what the data compare fields with that these, by their types, never hold.

        Asked of a graph that is to be saved; what is stored runs as it is.
        """
        return iter(())

    def normalized(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return sound data in the spelling in which they are stored."""
        return data

    def secrets(self, data: Mapping[str, Any]) -> Problems:
        """Yield pointer and name of each secret that ``data`` uses; asked of unsound data too."""
        return iter(())

    def handles(self, data: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return the named exits, or None for the one exit; asked of unsound data too."""
        return self.exits or None


_NODE_TYPES: dict[str, NodeType] = {}
_ANY_NODE = Schema({"title": "Data", "type": "object", "properties": _COMMON})


def register(node_type: NodeType) -> None:
    """Make a node type known to ``parse``. Registering the same class again is harmless."""
    known, new = type(_NODE_TYPES.get(node_type.name, node_type)), type(node_type)
    if (known.__module__, known.__qualname__) != (new.__module__, new.__qualname__):
        raise ValueError(f"The node type {quoted(node_type.name)} is registered already.")
    _NODE_TYPES[node_type.name] = node_type


def node_types() -> Mapping[str, NodeType]:
    """Return the registered node types by name."""
    return MappingProxyType(_NODE_TYPES)


def data_problems(node_type: NodeType | None, data: Any) -> Problems:
    """Yield what is wrong with the data of a node; of an unknown type, what holds of all."""
    schema = _ANY_NODE if node_type is None else node_type.data_schema
    flaws = schema.problems(data)
    yield from flaws
    if node_type is None or not isinstance(data, dict):
        return
    flawed = {pointer.split("/")[1] if pointer else None for pointer, _ in flaws}
    for key, problems in node_type.parts.items():
        if key in data and not flawed & {None, below("", key)[1:]}:
            for pointer, detail in problems(data[key]):
                flawed.add(key)
                yield f"{below('', key)}{pointer}", detail
    if not flawed:
        yield from node_type.problems(data)
