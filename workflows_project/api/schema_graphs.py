"""Components of graphs in the OpenAPI document: nodes, rules, forms and deadlines.

They are derived from the registered node types, so that a new node type appears in clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.graph import node_types
from workflows.graph.parsing import MAX_EDGES, MAX_ID_LENGTH, MAX_NODES

Component = dict[str, Any]

SCHEMAS = "#/components/schemas/"
_DEFINITIONS = "#/$defs/"
_FORMATS_OF_FORMS = {
    "duration",
    "field-name",
    "group-name",
    "secret-name",
    "username",
    "value-name",
    "variable-name",
}
"""Formats that only forms need. Generators would read a duration as seconds, which a month has no
fixed number of."""
_OBJECTS = {
    "Action": "ActionSettings",
    "Branch": "ConditionBranch",
    "Duration and mail": "DeadlineWithMail",
    "Duration, mails and escalation": "DeadlineWithEscalation",
    "Escalate": "DeadlineEscalation",
    "Field": "RecipientField",
    "Form field": "FormField",
    "Notify": "DeadlineMail",
    "Value and label": "FormChoice",
}
"""Names of nested objects that become components of their own, by their title."""


def reference(name: str) -> Component:
    """Return a reference to a component."""
    return {"$ref": f"{SCHEMAS}{name}"}


def class_name(name: str) -> str:
    """Return a name in the style of classes, for example ``UserAction`` for ``user_action``."""
    return "".join(word.capitalize() for word in name.split("_"))


def graph_components() -> dict[str, Component]:
    """Return the components of graphs by name."""
    types = sorted(node_types().items())
    found = _Components()
    nodes = {}
    for name, node_type in types:
        data = f"{class_name(name)}Data"
        found.add(data, _without_dialect(node_type.data_schema.text), str(node_type.description))
        nodes[name] = f"{class_name(name)}Node"
        found.schemas[nodes[name]] = _node(name, data, str(node_type.description))
        if node_type.data_schema.text.get("required"):
            found.schemas[nodes[name]]["required"].append("data")
    return {
        "NodeTypeName": {
            "type": "string",
            "enum": [name for name, _ in types],
            "description": "The type of a node.",
        },
        "Node": {
            "description": "A node. Its type says which data it has.",
            "oneOf": [reference(name) for name in nodes.values()],
            "discriminator": {
                "propertyName": "type",
                "mapping": {name: f"{SCHEMAS}{node}" for name, node in nodes.items()},
            },
        },
        **dict(sorted(found.schemas.items())),
        **_GRAPH,
    }


NODES: Component = {
    "type": "array",
    "items": reference("Node"),
    "maxItems": MAX_NODES,
    "description": "The nodes: one start, and at least one end or fail.",
}
EDGES: Component = {
    "type": "array",
    "items": reference("Edge"),
    "maxItems": MAX_EDGES,
    "description": "The edges.",
}

_ID = {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH}
_GRAPH: dict[str, Component] = {
    "NodePosition": {
        "description": "The upper left corner of a node in pictures, in pixels. It belongs neither "
        "to the checksum of a version nor to the graph that executions run.",
        "type": "object",
        "properties": {
            "x": {"type": "number", "description": "From left to right."},
            "y": {"type": "number", "description": "From top to bottom."},
        },
        "required": ["x", "y"],
    },
    "Edge": {
        "description": "An edge from an exit of a node to the next node.",
        "type": "object",
        "properties": {
            "id": {"type": "string", "minLength": 1, "description": "Identifies the edge."},
            "source": {"type": "string", "description": "The id of the node it leaves."},
            "target": {"type": "string", "description": "The id of the next node."},
            "sourceHandle": {
                "type": ["string", "null"],
                "description": "The name of the exit. Null or left out for the unnamed exit.",
            },
        },
        "required": ["source", "target"],
    },
    "Graph": {
        "description": "The graph of a version: nodes and edges.",
        "type": "object",
        "properties": {
            "nodes": NODES,
            "edges": EDGES,
        },
        "required": ["nodes", "edges"],
        "additionalProperties": False,
    },
}


def _node(name: str, data: str, description: str) -> Component:
    return {
        "description": description,
        "type": "object",
        "properties": {
            "id": {**_ID, "description": "Identifies the node in its graph."},
            "type": {"type": "string", "const": name},
            "position": reference("NodePosition"),
            "data": reference(data),
        },
        "required": ["id", "type"],
    }


def _without_dialect(schema: Mapping[str, Any]) -> Component:
    return {name: value for name, value in schema.items() if name not in ("$schema", "title")}


def _split_types(schema: Component) -> Component:
    """Return a schema of several types, with a bounded number as a type of its own."""
    bounds = {key: value for key, value in schema.items() if key.lower().endswith("imum")}
    if not bounds:
        return schema
    others = {key: value for key, value in schema.items() if key not in (*bounds, "type")}
    parts = [{"type": name, **(bounds if name == "number" else {})} for name in schema["type"]]
    return {**others, "anyOf": parts}


class _Components:
    """Schemas that were moved out of the schemas of node types."""

    def __init__(self) -> None:
        self.schemas: dict[str, Component] = {}

    def add(self, name: str, schema: Component, description: str = "") -> None:
        """Add a schema and everything that it contains or refers to.

        Raises:
            ValueError: another schema has the name.
        """
        definitions = schema.pop("$defs", {})
        for key, definition in definitions.items():
            self.add(class_name(key), dict(definition))
        component = self._convert(schema)
        component.pop("title", None)
        component.setdefault("description", description)
        self._name_enums(name, component)
        if self.schemas.setdefault(name, component) != component:
            raise ValueError(f"Two schemas of node types have the name {name}.")

    def _name_enums(self, name: str, component: Component) -> None:
        """Make components of the enumerations of properties, so that classes have good names."""
        for key, row in component.get("properties", {}).items():
            if "enum" in row:
                enum = f"{name}{class_name(key)}"
                known = {part: row.pop(part) for part in ("type", "enum")}
                self.schemas[enum] = {**known, "description": row["description"]}
                component["properties"][key] = {**reference(enum), **row}

    def _convert(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._convert(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        changed = {
            name: inner if name in ("default", "examples", "enum") else self._convert(inner)
            for name, inner in value.items()
        }
        # A property may have any of these names.
        if isinstance(value.get("$ref"), str):
            changed["$ref"] = SCHEMAS + class_name(value["$ref"].removeprefix(_DEFINITIONS))
        if changed.get("format") in _FORMATS_OF_FORMS:
            del changed["format"]
        if isinstance(changed.get("type"), list):
            changed = _split_types(changed)
        title = value.get("title")
        if value.get("type") == "object" and isinstance(title, str) and title in _OBJECTS:
            name = _OBJECTS[title]
            self.add(name, {**value, "title": None}, f"{title}.")
            return reference(name)
        if isinstance(title, str):
            del changed["title"]
        return changed
