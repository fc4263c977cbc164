"""The form of a node's data, made from the schema of its type: shown, and read again.

A value that the inputs cannot hold is shown as JSON, so that nothing is lost by a save; what is
left empty is left out. Nothing is judged here: what was typed is kept as it is, and the drawing
says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workflows.admin.base.formatting import pretty
from workflows.admin.graph_editor.data_inputs import (
    ABSENT,
    SINGLE,
    Choices,
    Malformed,
    Part,
    Schema,
    alternative,
    as_scalar,
    as_text,
    fits,
    from_scalar,
    from_text,
    resolved,
    rule_rows,
    shape_of,
    types_of,
)
from workflows.db.json_values import below, canonical, parse_json

ROOT = "data"
_OPS = {
    "eq": "is",
    "ne": "is not",
    "gt": "is more than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
    "in": "is one of",
    "not_in": "is none of",
    "contains": "contains",
    "not_contains": "does not contain",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "exists": "is there",
    "missing": "is missing",
}
OPEN = 3
"""Of a longer list the items are folded away."""
_PRESENCE = ("exists", "missing")


@dataclass(slots=True)
class Data:
    """What a form says: the data, and the exits that were given other names."""

    value: dict[str, Any]
    renamed: dict[str, str] = field(default_factory=dict)
    malformed: list[str] = field(default_factory=list)
    """What is asked for as JSON and is none, each with a sentence."""


class DataForm:
    """The form of one node type."""

    def __init__(self, schema: Schema, choices: Choices | None = None) -> None:
        self.schema = schema
        self.defs: Schema = schema.get("$defs", {})
        self.choices: Choices = choices or {}

    # Shown

    def shown(self, data: Mapping[str, Any], problems: Any = ()) -> list[Part]:
        """The parts of the form; ``problems`` are pointers below the data, with sentences."""
        root = self._part(self.schema, dict(data), ROOT, "", required=True)
        for pointer, detail in problems:
            _place(root, f"{ROOT}{pointer}").problems.append(detail)
        root.parts.sort(key=lambda part: part.name != f"{ROOT}/label")
        if root.problems:
            root.parts[0].problems[:0] = root.problems
        return root.parts

    def _part(
        self, schema: Schema, value: Any, name: str, key: str, *, required: bool = False
    ) -> Part:
        schema = resolved(schema, self.defs)
        title = str(schema.get("title", key or "Value"))
        part = Part(name, "", title, _told(schema), required)
        if isinstance(value, Malformed) or not fits(value, schema, self.defs):
            part.shape = "json"
            part.value = value.text if isinstance(value, Malformed) else pretty(value)
            return part
        part.shape = shape_of(schema, self.defs, key)
        fill = getattr(self, f"_show_{part.shape}")
        fill(part, schema, value)
        return part

    def _show_text(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = "" if value is ABSENT else value
        choices = self.choices.get(str(schema.get("format", "")))
        if choices is not None:
            part.shape, part.options = "choice", list(choices)
            if part.value and part.value not in dict(choices):
                part.options.append((part.value, f"{part.value} (does not fit)"))
        elif "\n" in part.value or "\r" in part.value:
            part.shape = "long"

    _show_long = _show_text

    def _show_choice(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = "" if value is ABSENT else value
        part.options = [(str(one), str(one)) for one in schema["enum"]]
        if part.value and part.value not in schema["enum"]:
            part.options.append((part.value, f"{part.value} (unknown)"))

    def _show_flag(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = value is True

    def _show_scalar(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = as_scalar(value, types_of(schema, self.defs))

    def _show_any(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = as_text(value)

    def _show_lines(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = "" if value is ABSENT else "\n".join(value)

    def _show_object(self, part: Part, schema: Schema, value: Any) -> None:
        held = {} if value is ABSENT else value
        required = schema.get("required", ())
        part.parts = [
            self._part(
                one, held.get(key, ABSENT), below(part.name, key), key, required=key in required
            )
            for key, one in schema["properties"].items()
        ]
        rest = {key: held[key] for key in held if key not in schema["properties"]}
        if rest:
            title, told = "Other keys", "What the schema does not know; empty it to take it away."
            part.parts.append(Part(f"{part.name}#rest", "json", title, told, value=pretty(rest)))

    def _show_map(self, part: Part, schema: Schema, value: Any) -> None:
        items = [] if value is ABSENT else list(value.items())
        inner = _values_of(schema)
        for index, (key, held) in enumerate([*items, ("", ABSENT)]):
            row = self._part(inner, held, f"{part.name}/{index}/value", "Value")
            row.is_new = index == len(items)
            row.key = Part(f"{part.name}/{index}/key", "text", "Name", value=key)
            part.parts.append(row)
        part.value = len(items)

    def _show_rows(self, part: Part, schema: Schema, value: Any) -> None:
        items = [] if value is ABSENT else list(value)
        for index, held in enumerate([*items, ABSENT]):
            row = self._part(schema.get("items", {}), held, below(part.name, index), "")
            row.is_new = index == len(items)
            row.is_open = len(items) <= OPEN
            part.parts.append(row)
        part.value = len(items)

    def _show_either(self, part: Part, schema: Schema, value: Any) -> None:
        chosen = None if value is ABSENT else alternative(value, schema, self.defs)
        if (
            chosen is None
            and shape_of(resolved(schema["anyOf"][0], self.defs), self.defs) in SINGLE
        ):
            # Empty, it is left out: there is nothing else to choose then.
            chosen = 0
        part.value = "" if chosen is None else str(chosen)
        for index, one in enumerate(schema["anyOf"]):
            held = value if index == chosen else ABSENT
            part.parts.append(self._part(one, held, f"{part.name}#{index}", ""))
        part.options = [("", "nothing")] if part.value == "" else []

    def _show_rule(self, part: Part, schema: Schema, value: Any) -> None:
        how, rows = rule_rows({} if value is ABSENT else value) or ("all", [])
        part.value = how
        for index, row in enumerate([*rows, {}]):
            name = below(part.name, index)
            op = Part(f"{name}/op", "choice", "Op", value=row.get("op", ""))
            known = schema["properties"]["op"].get("enum", ())
            op.options = [(one, _OPS.get(one, one)) for one in known]
            if op.value and op.value not in known:
                op.options.append((op.value, f"{op.value} (unknown)"))
            held = row.get("value", ABSENT)
            part.parts.append(
                Part(
                    name,
                    "comparison",
                    "Comparison",
                    parts=[
                        Part(f"{name}/field", "text", "Field", value=row.get("field", "")),
                        op,
                        Part(f"{name}/value", "any", "Value", value=as_text(held)),
                    ],
                    is_new=index >= len(rows),
                )
            )

    # Read

    def read(self, posted: Mapping[str, Any], before: Mapping[str, Any]) -> Data:
        """What was typed, on top of what stood in the form when it was shown."""
        found = Data({})
        value = self._read(self.schema, before, ROOT, posted, found)
        found.value = {} if value is ABSENT else value
        if not found.malformed and canonical(found.value) == canonical(before):
            found.value = dict(before)
        return found

    def _read(
        self, schema: Schema, before: Any, name: str, posted: Mapping[str, Any], found: Data
    ) -> Any:
        if f"{name}#json" in posted:
            return _read_json(str(posted[f"{name}#json"]), name, found)
        schema = resolved(schema, self.defs)
        shape = shape_of(schema, self.defs)
        if not fits(before, schema, self.defs):
            before = ABSENT
        if shape in ("object", "map", "rows", "either", "rule"):
            read = getattr(self, f"_read_{shape}")
            return read(schema, before, name, posted, found)
        if shape == "flag":
            # A box that is not ticked is not sent.
            return True if posted.get(name) else (before if before is False else ABSENT)
        if name not in posted:
            return before
        return self._read_text(schema, shape, before, str(posted[name]).replace("\r\n", "\n"))

    def _read_text(self, schema: Schema, shape: str, before: Any, text: str) -> Any:
        types = types_of(schema, self.defs)
        if shape == "lines":
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            return lines or (before if before == [] else ABSENT)
        if shape == "any":
            return from_text(text) if text.strip() else ABSENT
        if not text.strip():
            return before if before is not ABSENT and before in ("", None) else ABSENT
        if shape == "scalar":
            return from_scalar(text, schema, types)
        same = isinstance(before, str) and before.replace("\r\n", "\n") == text
        return before if same else text

    def _read_object(
        self, schema: Schema, before: Any, name: str, posted: Mapping[str, Any], found: Data
    ) -> Any:
        held = {} if before is ABSENT else before
        read = {
            key: self._read(one, held.get(key, ABSENT), below(name, key), posted, found)
            for key, one in schema["properties"].items()
        }
        rest = {key: held[key] for key in held if key not in schema["properties"]}
        if f"{name}#rest#json" in posted:
            told = _read_json(str(posted[f"{name}#rest#json"]), f"{name}#rest", found)
            rest = told if isinstance(told, dict) else rest if isinstance(told, Malformed) else {}
        value = {key: one for key, one in {**read, **rest}.items() if one is not ABSENT}
        return value or (before if before == {} else ABSENT)

    def _read_map(
        self, schema: Schema, before: Any, name: str, posted: Mapping[str, Any], found: Data
    ) -> Any:
        items = [] if before is ABSENT else list(before.values())
        inner, value = _values_of(schema), {}
        for index in _indexes(posted, name):
            key = str(posted.get(f"{name}/{index}/key", ""))
            held = items[index] if index < len(items) else ABSENT
            one = self._read(inner, held, f"{name}/{index}/value", posted, found)
            if posted.get(f"{name}/{index}#remove") or (not key.strip() and one is ABSENT):
                continue
            value[key] = "" if one is ABSENT else one
        return value or (before if before == {} else ABSENT)

    def _read_rows(
        self, schema: Schema, before: Any, name: str, posted: Mapping[str, Any], found: Data
    ) -> Any:
        items = [] if before is ABSENT else before
        value: list[Any] = []
        for index in _indexes(posted, name):
            held = items[index] if index < len(items) else ABSENT
            at = below(name, index)
            one = self._read(schema.get("items", {}), held, at, posted, found)
            if one is ABSENT or posted.get(f"{at}#remove"):
                continue
            if isinstance(held, dict) and isinstance(one, dict):
                _rename(held.get("handle"), one.get("handle"), found)
            value.append(one)
            if posted.get("up") == at and len(value) > 1:
                value[-2:] = value[:-3:-1]
        return value or (before if before == [] else ABSENT)

    def _read_either(
        self, schema: Schema, before: Any, name: str, posted: Mapping[str, Any], found: Data
    ) -> Any:
        chosen = str(posted.get(f"{name}#as", ""))
        parts = schema["anyOf"]
        if f"{name}#as" not in posted:
            return before
        if not chosen.isdecimal() or int(chosen) >= len(parts):
            return ABSENT
        index = int(chosen)
        stood = before is not ABSENT and alternative(before, schema, self.defs) == index
        return self._read(
            parts[index], before if stood else ABSENT, f"{name}#{index}", posted, found
        )

    def _read_rule(
        self, schema: Schema, before: Any, name: str, posted: Mapping[str, Any], found: Data
    ) -> Any:
        rows = []
        for index in _indexes(posted, name):
            at = f"{name}/{index}"
            asked, op = (str(posted.get(f"{at}/{key}", "")) for key in ("field", "op"))
            typed = str(posted.get(f"{at}/value", ""))
            if posted.get(f"{at}#remove") or not (asked.strip() or typed.strip()):
                continue
            row: dict[str, Any] = {"field": asked} if asked else {}
            if op:
                row["op"] = op
            if typed.strip() and op not in _PRESENCE:
                row["value"] = from_text(typed.replace("\r\n", "\n"))
            rows.append(row)
        how = "any" if posted.get(f"{name}#how") == "any" else "all"
        if not rows:
            return before if before == {} else ABSENT
        if len(rows) == 1 and before != {how: rows}:
            return rows[0]
        return {how: rows}


def _read_json(text: str, name: str, found: Data) -> Any:
    if not text.strip():
        return ABSENT
    try:
        value = parse_json(text)
    except (ValueError, RecursionError) as error:
        # RecursionError says nothing that would help whoever typed it.
        told = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        found.malformed.append(f"What stands at {name} is not JSON: {told}.")
        return Malformed(text, told)
    return value


def _rename(before: Any, after: Any, found: Data) -> None:
    if isinstance(before, str) and isinstance(after, str) and before != after:
        found.renamed[before] = after


def _values_of(schema: Schema) -> Schema:
    inner = schema.get("additionalProperties")
    return inner if isinstance(inner, Mapping) else {}


def _indexes(posted: Mapping[str, Any], name: str) -> range:
    """The rows that were shown: those that there are, and the empty one."""
    number = str(posted.get(f"{name}#rows", ""))
    return range(min(int(number), 10_000) if number.isdecimal() and len(number) < 6 else 0)


def _told(schema: Schema) -> str:
    text = str(schema.get("description", ""))
    if "default" in schema and schema["default"] not in ("", [], {}, False):
        text = f"{text} Left empty: {schema['default']}."
    examples = [one for one in schema.get("examples", ()) if isinstance(one, (str, int, float))]
    if examples and schema.get("type") != "object":
        text = f"{text} For example {', '.join(str(one) for one in examples)}."
    return text.strip()


def _place(root: Part, pointer: str) -> Part:
    """The part that shows what a pointer points at, or the nearest that holds it."""
    best, length = root, -1
    for part in root:
        name = "/".join(one.split("#")[0] for one in part.name.split("/"))
        holds = pointer == name or pointer.startswith(f"{name}/")
        if holds and (len(name) > length or (len(name) == length and part.shape == "json")):
            best, length = part, len(name)
    return best
