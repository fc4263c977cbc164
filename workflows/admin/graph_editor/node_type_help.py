"""The reference of node types on the JSON page: their descriptions and data keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workflows.graph import COMMON_KEYS, NodeType, describe_types, node_types

_REF = "#/$defs/"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a node's data. Nested keys are named by their path: ``fields[].name``."""

    path: str
    words: str
    required: bool
    description: str
    values: list[Any]


def reference() -> list[dict[str, Any]]:
    """Return every node type with its own keys, without those that all nodes share."""
    return [{"type": one, "keys": list(_keys(one))} for _, one in sorted(node_types().items())]


def _keys(node_type: NodeType) -> Iterator[Key]:
    text = node_type.data_schema.text
    own = {key: part for key, part in text["properties"].items() if key not in COMMON_KEYS}
    yield from _below({**text, "properties": own}, "", text.get("$defs", {}), ())


def _below(
    schema: Mapping[str, Any], at: str, defs: Mapping[str, Any], seen: tuple[str, ...]
) -> Iterator[Key]:
    """Yield the keys of the object, or of the objects in the list, that a schema describes."""
    ref = schema.get("$ref", "").removeprefix(_REF)
    if ref and ref not in seen:
        # Rules contain rules: list them once.
        yield from _below(defs[ref], at, defs, (*seen, ref))
    for part in schema.get("anyOf", ()):
        yield from _below(part, at, defs, seen)
    if isinstance(schema.get("items"), Mapping):
        yield from _below(schema["items"], f"{at}[]", defs, seen)
    for key, part in schema.get("properties", {}).items():
        path = f"{at}.{key}" if at else key
        full = {**defs.get(part.get("$ref", "").removeprefix(_REF), {}), **part}
        yield Key(
            path,
            describe_types(part, defs),
            key in schema.get("required", ()),
            full.get("description", ""),
            full.get("enum", []),
        )
        yield from _below(part, path, defs, seen)
