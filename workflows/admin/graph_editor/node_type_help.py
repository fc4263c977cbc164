"""The node types as the graph page tells of them: what each does, and which data it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workflows.graph import COMMON_KEYS, NodeType, node_types, type_words

_REF = "#/$defs/"


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a node's data; what lies below it is named by its path: ``fields[].name``."""

    path: str
    words: str
    required: bool
    description: str
    values: list[Any]


def reference() -> list[dict[str, Any]]:
    """Every node type, with its keys in their order; those that all nodes have are left out."""
    return [{"type": one, "keys": list(_keys(one))} for _, one in sorted(node_types().items())]


def _keys(node_type: NodeType) -> Iterator[Key]:
    text = node_type.data_schema.text
    own = {key: part for key, part in text["properties"].items() if key not in COMMON_KEYS}
    yield from _below({**text, "properties": own}, "", text.get("$defs", {}), ())


def _below(
    schema: Mapping[str, Any], at: str, defs: Mapping[str, Any], seen: tuple[str, ...]
) -> Iterator[Key]:
    """The keys of the object that a schema describes, or of the objects in its list."""
    ref = schema.get("$ref", "").removeprefix(_REF)
    if ref and ref not in seen:
        # A rule holds rules: told once.
        yield from _below(defs[ref], at, defs, (*seen, ref))
    for part in schema.get("anyOf", ()):
        yield from _below(part, at, defs, seen)
    if isinstance(schema.get("items"), Mapping):
        yield from _below(schema["items"], f"{at}[]", defs, seen)
    for key, part in schema.get("properties", {}).items():
        path = f"{at}.{key}" if at else key
        told = {**defs.get(part.get("$ref", "").removeprefix(_REF), {}), **part}
        yield Key(
            path,
            type_words(part, defs),
            key in schema.get("required", ()),
            told.get("description", ""),
            told.get("enum", []),
        )
        yield from _below(part, path, defs, seen)
