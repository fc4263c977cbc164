"""The form of a node's data, generated from the schema of its type.

Values that the inputs cannot hold are shown as JSON, so that a save loses nothing. Empty inputs are
left out. The form does not validate: invalid values are saved, and the graph page lists the
problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext

from workflows.admin.base.formatting import pretty_json
from workflows.admin.graph_editor.data_inputs import (
    ABSENT,
    OPERATOR_LABELS,
    SINGLE,
    Choices,
    Malformed,
    Part,
    Schema,
    alternative,
    as_scalar,
    as_text,
    find_part,
    fits,
    from_scalar,
    from_text,
    help_text,
    resolved,
    row_indexes,
    rule_rows,
    shape_of,
    types_of,
    value_schema,
)
from workflows.db.json_values import below, canonical, parse_json

ROOT = "data"
MAX_OPEN_ROWS = 3
"""Items of longer lists are collapsed."""
_PRESENCE = ("exists", "missing")


@dataclass(slots=True)
class SubmittedData:
    """The data of a submitted form, and the renamed exits."""

    value: dict[str, Any]
    renamed: dict[str, str] = field(default_factory=dict)
    malformed: list[str] = field(default_factory=list)
    """Error messages for inputs that are not valid JSON."""


class DataForm:
    """The form of one node type."""

    def __init__(self, schema: Schema, choices: Choices | None = None) -> None:
        self.schema = schema
        self.defs: Schema = schema.get("$defs", {})
        self.choices: Choices = choices or {}

    def build_parts(self, data: Mapping[str, Any], problems: Any = ()) -> list[Part]:
        """Return the parts of the form.

        Args:
            data: the data of the node.
            problems: pairs of a JSON pointer relative to the data and a message.
        """
        root = self._part(self.schema, dict(data), ROOT, "", required=True)
        for pointer, detail in problems:
            find_part(root, f"{ROOT}{pointer}").problems.append(detail)
        root.parts.sort(key=lambda part: part.name != f"{ROOT}/label")
        if root.problems:
            root.parts[0].problems[:0] = root.problems
        return root.parts

    def _part(
        self, schema: Schema, value: Any, name: str, key: str, *, required: bool = False
    ) -> Part:
        schema = resolved(schema, self.defs)
        title = str(schema.get("title", key or "Value"))
        part = Part(name, "", title, help_text(schema), required)
        if isinstance(value, Malformed) or not fits(value, schema, self.defs):
            part.shape = "json"
            part.value = value.text if isinstance(value, Malformed) else pretty_json(value)
            return part
        part.shape = shape_of(schema, self.defs, key)
        fill = getattr(self, f"_fill_{part.shape}")
        fill(part, schema, value)
        return part

    def _fill_text(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = "" if value is ABSENT else value
        choices = self.choices.get(str(schema.get("format", "")))
        if choices is not None:
            part.shape, part.options = "choice", list(choices)
            if part.value and part.value not in dict(choices):
                part.options.append(
                    (part.value, gettext("%(value)s (not available)") % {"value": part.value})
                )
        elif "\n" in part.value or "\r" in part.value:
            part.shape = "long"

    _fill_long = _fill_text

    def _fill_choice(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = "" if value is ABSENT else value
        part.options = [(str(one), str(one)) for one in schema["enum"]]
        if part.value and part.value not in schema["enum"]:
            part.options.append(
                (part.value, gettext("%(value)s (unknown)") % {"value": part.value})
            )

    def _fill_flag(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = schema.get("default", False) if value is ABSENT else value is True

    def _fill_scalar(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = as_scalar(value, types_of(schema, self.defs))

    def _fill_any(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = as_text(value)

    def _fill_lines(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = "" if value is ABSENT else "\n".join(value)

    def _fill_object(self, part: Part, schema: Schema, value: Any) -> None:
        values = {} if value is ABSENT else value
        required = schema.get("required", ())
        part.parts = [
            self._part(
                one, values.get(key, ABSENT), below(part.name, key), key, required=key in required
            )
            for key, one in schema["properties"].items()
        ]
        rest = {key: values[key] for key in values if key not in schema["properties"]}
        if rest:
            title = gettext("Other keys")
            note = gettext("Unknown keys as JSON. Clear the field to remove them.")
            part.parts.append(
                Part(f"{part.name}#rest", "json", title, note, value=pretty_json(rest))
            )

    def _fill_map(self, part: Part, schema: Schema, value: Any) -> None:
        items = [] if value is ABSENT else list(value.items())
        inner = value_schema(schema)
        for index, (key, one) in enumerate([*items, ("", ABSENT)]):
            row = self._part(inner, one, f"{part.name}/{index}/value", "Value")
            row.is_new = index == len(items)
            row.key = Part(f"{part.name}/{index}/key", "text", gettext("Name"), value=key)
            part.parts.append(row)
        part.value = len(items)

    def _fill_rows(self, part: Part, schema: Schema, value: Any) -> None:
        items = [] if value is ABSENT else list(value)
        for index, item in enumerate([*items, ABSENT]):
            row = self._part(schema.get("items", {}), item, below(part.name, index), "")
            row.is_new = index == len(items)
            row.is_open = len(items) <= MAX_OPEN_ROWS
            part.parts.append(row)
        part.value = len(items)

    def _fill_either(self, part: Part, schema: Schema, value: Any) -> None:
        chosen = None if value is ABSENT else alternative(value, schema, self.defs)
        if (
            chosen is None
            and shape_of(resolved(schema["anyOf"][0], self.defs), self.defs) in SINGLE
        ):
            # An empty single input means that the value is left out.
            chosen = 0
        part.value = "" if chosen is None else str(chosen)
        for index, one in enumerate(schema["anyOf"]):
            inner = value if index == chosen else ABSENT
            part.parts.append(self._part(one, inner, f"{part.name}#{index}", ""))
        part.options = [("", gettext("none"))] if part.value == "" else []

    def _fill_rule(self, part: Part, schema: Schema, value: Any) -> None:
        how, rows = rule_rows({} if value is ABSENT else value) or ("all", [])
        part.value = how
        for index, row in enumerate([*rows, {}]):
            name = below(part.name, index)
            op = Part(f"{name}/op", "choice", gettext("Operator"), value=row.get("op", ""))
            known = schema["properties"]["op"].get("enum", ())
            op.options = [(one, str(OPERATOR_LABELS.get(one, one))) for one in known]
            if op.value and op.value not in known:
                op.options.append((op.value, gettext("%(value)s (unknown)") % {"value": op.value}))
            part.parts.append(
                Part(
                    name,
                    "comparison",
                    gettext("Comparison"),
                    parts=[
                        Part(f"{name}/field", "text", gettext("Field"), value=row.get("field", "")),
                        op,
                        Part(
                            f"{name}/value",
                            "any",
                            gettext("Value"),
                            value=as_text(row.get("value", ABSENT)),
                        ),
                    ],
                    is_new=index >= len(rows),
                )
            )

    def read(self, posted: Mapping[str, Any], before: Mapping[str, Any]) -> SubmittedData:
        """Return the submitted data, on top of the data that the form was rendered with."""
        return _Reader(self.defs, posted).read(self.schema, before)


class _Reader:
    """Reads the data of a node from the submitted inputs."""

    def __init__(self, defs: Schema, posted: Mapping[str, Any]) -> None:
        self.defs = defs
        self.posted = posted
        self.found = SubmittedData({})

    def read(self, schema: Schema, before: Mapping[str, Any]) -> SubmittedData:
        """Return the submitted data, with the keys in their old order if nothing has changed."""
        found = self.found
        value = self._read(schema, before, ROOT)
        found.value = {} if value is ABSENT else value
        if not found.malformed and canonical(found.value) == canonical(before):
            found.value = dict(before)
        return found

    def _read(self, schema: Schema, before: Any, name: str) -> Any:
        if f"{name}#json" in self.posted:
            return self._read_json(name)
        schema = resolved(schema, self.defs)
        shape = shape_of(schema, self.defs)
        if not fits(before, schema, self.defs):
            before = ABSENT
        if shape in ("object", "map", "rows", "either", "rule"):
            read = getattr(self, f"_read_{shape}")
            return read(schema, before, name)
        if shape == "flag":
            return self._read_flag(schema, before, name)
        if name not in self.posted:
            return before
        return self._read_text(schema, shape, before, str(self.posted[name]).replace("\r\n", "\n"))

    def _read_flag(self, schema: Schema, before: Any, name: str) -> Any:
        # Browsers do not send an unchecked box: a hidden input says that it was shown.
        if not {name, f"{name}#flag"} & self.posted.keys():
            return before
        value, default = bool(self.posted.get(name)), schema.get("default", False)
        return value if value is before or value is not default else ABSENT

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

    def _read_object(self, schema: Schema, before: Any, name: str) -> Any:
        values = {} if before is ABSENT else before
        read = {
            key: self._read(one, values.get(key, ABSENT), below(name, key))
            for key, one in schema["properties"].items()
        }
        rest = {key: values[key] for key in values if key not in schema["properties"]}
        if f"{name}#rest#json" in self.posted:
            typed = self._read_json(f"{name}#rest")
            if isinstance(typed, dict):
                rest = typed
            elif not isinstance(typed, Malformed):
                rest = {}
        value = {key: one for key, one in {**read, **rest}.items() if one is not ABSENT}
        return value or (before if before == {} else ABSENT)

    def _read_map(self, schema: Schema, before: Any, name: str) -> Any:
        items = [] if before is ABSENT else list(before.values())
        inner, value = value_schema(schema), {}
        for index in row_indexes(self.posted, name):
            key = str(self.posted.get(f"{name}/{index}/key", ""))
            item = items[index] if index < len(items) else ABSENT
            one = self._read(inner, item, f"{name}/{index}/value")
            if self.posted.get(f"{name}/{index}#remove") or (not key.strip() and one is ABSENT):
                continue
            value[key] = "" if one is ABSENT else one
        return value or (before if before == {} else ABSENT)

    def _read_rows(self, schema: Schema, before: Any, name: str) -> Any:
        items = [] if before is ABSENT else before
        value: list[Any] = []
        for index in row_indexes(self.posted, name):
            item = items[index] if index < len(items) else ABSENT
            at = below(name, index)
            one = self._read(schema.get("items", {}), item, at)
            if one is ABSENT or self.posted.get(f"{at}#remove"):
                continue
            if isinstance(item, dict) and isinstance(one, dict):
                self._note_rename(item.get("handle"), one.get("handle"))
            value.append(one)
            if self.posted.get("up") == at and len(value) > 1:
                value[-2:] = value[:-3:-1]
        return value or (before if before == [] else ABSENT)

    def _read_either(self, schema: Schema, before: Any, name: str) -> Any:
        if f"{name}#as" not in self.posted:
            return before
        parts = schema["anyOf"]
        choices = {str(index): index for index in range(len(parts))}
        index = choices.get(str(self.posted[f"{name}#as"]))
        if index is None:
            return ABSENT
        was_chosen = before is not ABSENT and alternative(before, schema, self.defs) == index
        return self._read(parts[index], before if was_chosen else ABSENT, f"{name}#{index}")

    def _read_rule(self, schema: Schema, before: Any, name: str) -> Any:
        rows = []
        for index in row_indexes(self.posted, name):
            at = f"{name}/{index}"
            field_name, op = (str(self.posted.get(f"{at}/{key}", "")) for key in ("field", "op"))
            typed = str(self.posted.get(f"{at}/value", ""))
            if self.posted.get(f"{at}#remove") or not (field_name.strip() or typed.strip()):
                continue
            row: dict[str, Any] = {"field": field_name} if field_name else {}
            if op:
                row["op"] = op
            if typed.strip() and op not in _PRESENCE:
                row["value"] = from_text(typed.replace("\r\n", "\n"))
            rows.append(row)
        how = "any" if self.posted.get(f"{name}#how") == "any" else "all"
        if not rows:
            return before if before == {} else ABSENT
        if len(rows) == 1 and before != {how: rows}:
            return rows[0]
        return {how: rows}

    def _read_json(self, name: str) -> Any:
        text = str(self.posted[f"{name}#json"])
        if not text.strip():
            return ABSENT
        try:
            return parse_json(text)
        except (ValueError, RecursionError) as error:
            # The message of a RecursionError does not help users.
            is_value_error = isinstance(error, ValueError)
            detail = str(error) if is_value_error else gettext("nested too deeply")
            message = gettext("%(pointer)s is not valid JSON: %(error)s.")
            self.found.malformed.append(message % {"pointer": name, "error": detail})
            return Malformed(text, detail)

    def _note_rename(self, before: Any, after: Any) -> None:
        if isinstance(before, str) and isinstance(after, str) and before != after:
            self.found.renamed[before] = after
