"""The static half of node types: their data and their exits.

The package that runs node types registers them here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

from workflows.db.json_values import below, quoted
from workflows.graph.schemas import DIALECT, Schema

Problems = Iterator[tuple[str, str]]
"""Pointers, relative to the checked value, each with a sentence."""

_COMMON: dict[str, Any] = {
    "label": {
        "title": "Label",
        "description": "The name of this node for users.",
        "type": "string",
        "examples": ["Review the finding"],
    },
    "description": {
        "title": "Description",
        "description": "The purpose of this node.",
        "type": "string",
    },
    "notes": {
        "title": "Notes",
        "description": "Notes on this node. Executions ignore them.",
        "type": "string",
    },
}
COMMON_KEYS: tuple[str, ...] = tuple(_COMMON)
"""The keys that the data of every node may have."""


class NodeType:
    """The static half of a node type: its data and its exits.

    ``description`` says what a node of this type does, for designers.
    """

    name: str
    description: ClassVar[Any]
    ends: bool = False
    """A node of this type has no next step."""
    forks: bool = False
    """An execution takes all outgoing edges at once."""
    merges: bool = False
    """A node of this type waits for branches that join here."""
    waits: bool = True
    """True if an execution can wait here; False if it always continues at once."""
    exits: tuple[str, ...] | None = ()
    """The names of the exits; empty for one unnamed exit, None if the data name them."""
    optional_exits: tuple[str, ...] = ()
    """The names of further exits that need no edge. A step leaves only by those that have one."""
    people_at: ClassVar[str | None] = None
    """The key of ``data`` that has ``groups`` and ``users``; empty for ``data`` itself, None for a
    type without assignees."""
    schema: ClassVar[Mapping[str, Any]] = {}
    """The JSON Schema of ``data``: ``properties`` and, optionally, ``required``, ``$defs`` and
    ``examples``. ``data_schema`` adds the properties that all nodes have."""
    parts: ClassVar[Mapping[str, Callable[[Any], Problems]]] = {}
    """By key of ``data``, a check that a schema cannot express; run if the schema is satisfied."""

    @property
    def title(self) -> str:
        """The name of the node type for users."""
        return self.name.replace("_", " ").capitalize()

    @cached_property
    def data_schema(self) -> Schema:
        """The complete schema of ``data``, compiled."""
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
        """Yield problems that involve several keys of ``data``.

        Called only if the schema and ``parts`` report nothing.
        """
        return iter(())

    def field_types(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the name and the type of each field that the node writes."""
        return iter(())

    def written_names(self, data: Mapping[str, Any]) -> Iterator[str]:
        """Yield the name of each field, and of each variable with ``$``, that the node writes."""
        return (name for name, _type in self.field_types(data))

    def read_names(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield a pointer into sound ``data`` and the name of each field or variable that it reads.

        Names may be repeated.
        """
        return iter(())

    def comparison_problems(
        self, data: Mapping[str, Any], fields: Mapping[str, Collection[str]]
    ) -> Problems:
        """Yield comparisons of fields with values that their types can never have, and the
        problems of value sources.

        Called for a graph that is to be saved; stored graphs run as they are.
        """
        return iter(())

    def edge_problems(
        self, data: Mapping[str, Any], exits: Collection[str | None], incoming: int
    ) -> Problems:
        """Yield problems of sound data with the exits that have an edge, and the incoming edges.

        Called for a graph that is to be saved; stored graphs run as they are.
        """
        return iter(())

    def normalize(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the stored form of sound data."""
        return data

    def secrets(self, data: Mapping[str, Any]) -> Problems:
        """Yield pointer and name of each secret that ``data`` uses; called for unsound data too."""
        return iter(())

    def handles(self, data: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return the named exits, or None for one unnamed exit; called for unsound data too."""
        return self.exits or None

    def exit_labels(self, data: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the labels of exits that have one; called for unsound data too."""
        return {}


_NODE_TYPES: dict[str, NodeType] = {}
_ANY_NODE = Schema({"title": "Data", "type": "object", "properties": _COMMON})


def register(node_type: NodeType) -> None:
    """Register a node type. Registering the same class again is harmless."""
    known, new = type(_NODE_TYPES.get(node_type.name, node_type)), type(node_type)
    if (known.__module__, known.__qualname__) != (new.__module__, new.__qualname__):
        raise ValueError(f"The node type {quoted(node_type.name)} is registered already.")
    _NODE_TYPES[node_type.name] = node_type


def node_types() -> Mapping[str, NodeType]:
    """Return the registered node types by name."""
    return MappingProxyType(_NODE_TYPES)


def find_data_problems(node_type: NodeType | None, data: Any) -> Problems:
    """Yield the problems in the data of a node; for an unknown type, those of the common keys."""
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
