"""Write the tables of ``docs/reference/node-types.md`` from the schemas of the node types.

Run ``DEBUG=1 python docs/generate.py`` after a change of a schema. A test fails until it was run.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "node-types.md"
BLOCK = re.compile(
    r"<!-- generated: (?P<name>\w+) -->\n(?:.*?<!-- end -->\n)??(?=\n## |\Z)", re.DOTALL
)

LINKS = {
    "duration": "[duration](values.md#durations)",
    "delta": "[duration](values.md#durations), also negative",
    "rule": "[rule](#rules)",
}
"""The links of values that have a shared definition."""


def fill_page(text: str) -> str:
    """Return the page with the block of each node type written anew."""
    return BLOCK.sub(lambda found: _block(found["name"]), text)


def documented_types(text: str) -> list[str]:
    """Return the names of the node types that have a block in the page."""
    return [found["name"] for found in BLOCK.finditer(text)]


def _block(name: str) -> str:
    from workflows.graph import COMMON_KEYS, node_types

    lines = [f"<!-- generated: {name} -->", ""]
    if name == "rule":
        definitions = node_types()["condition"].data_schema.text["$defs"]
        schema = definitions["rule"]
    else:
        node_type = node_types()[name]
        schema = node_type.data_schema.text
        definitions = schema.get("$defs", {})
        own = {key: part for key, part in schema["properties"].items() if key not in COMMON_KEYS}
        schema = {**schema, "properties": own}
        if not node_type.ends:
            lines += [f"Exits: {_exits(node_type)}.", ""]
    if rows := list(_rows(schema, definitions)):
        lines += ["| key | value | meaning |", "|---|---|---|", *rows, ""]
    else:
        lines += ["This type has no settings of its own.", ""]
    for example in schema.get("examples", ()):
        lines += ["```json", _json_lines(example), "```", ""]
    return "\n".join([*lines, "<!-- end -->", ""])


def _exits(node_type: Any) -> str:
    optional = " and ".join(f"`{name}`" for name in node_type.optional_exits)
    return _required_exits(node_type) + (f"; optionally {optional}" if optional else "")


def _required_exits(node_type: Any) -> str:
    if node_type.exits is None:
        return "named in its data"
    if "actions" in node_type.schema.get("properties", {}):
        return "one, without a name, or one for each of its `actions`"
    return ", ".join(f"`{name}`" for name in node_type.exits) or "one, without a name"


def _json_lines(example: Any) -> str:
    line = _json(example)
    return line if len(line) < 100 else json.dumps(example, ensure_ascii=False, indent=2)


def _rows(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], before: str = ""
) -> Iterator[str]:
    """Yield a row for each property, and for the properties of objects and lists in it."""
    for key, part in schema.get("properties", {}).items():
        path = f"{before}{key}"
        value = _value(part, definitions)
        if key in schema.get("required", ()):
            value += ", required"
        if part.get("default") not in (None, "", [], {}):
            value += f", default `{_json(part['default'])}`"
        yield f"| `{path}` | {value} | {_cell(part.get('description', ''))} |"
        yield from _rows(part, definitions, f"{path}.")
        for choice in part.get("anyOf", ()):
            yield from _rows(choice, definitions, f"{path}.")
        items = part.get("items", {})
        for choice in (items, *items.get("anyOf", ())):
            yield from _rows(choice, definitions, f"{path}[].")


def _value(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Return what the value is, in a few words."""
    if reference := part.get("$ref"):
        name = reference.rpartition("/")[2]
        return LINKS.get(name) or str(definitions[name]["title"]).lower()
    if choices := part.get("enum"):
        return ", ".join(f"`{choice}`" for choice in choices)
    if choices := part.get("anyOf"):
        return " or ".join(dict.fromkeys(_value(choice, definitions) for choice in choices))
    kinds = part.get("type", "any JSON value")
    text = kinds if isinstance(kinds, str) else " or ".join(kinds)
    if text == "array":
        return f"list of {_value(part.get('items', {}), definitions)}"
    return text + _bounds(part)


def _bounds(part: Mapping[str, Any]) -> str:
    words = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
    said = [f"{word} {part[key]}" for key, word in words.items() if key in part]
    if "maxLength" in part:
        said.append(f"at most {part['maxLength']} characters")
    return f" ({', '.join(said)})" if said else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Rewrite the page."""
    import django

    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workflows_project.settings")
    django.setup()
    PAGE.write_text(fill_page(PAGE.read_text()))


if __name__ == "__main__":
    main()
