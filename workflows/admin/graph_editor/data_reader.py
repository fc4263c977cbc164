"""Reads the object of a form from the submitted inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext

from workflows.admin.graph_editor.data_inputs import (
    ABSENT,
    Schema,
    alternative,
    fits,
    from_scalar,
    from_text,
    plain_name,
    resolved,
    shape_of,
    types_of,
    value_schema,
)
from workflows.admin.graph_editor.data_rows import ordered_rows
from workflows.admin.graph_editor.duration_input import join_duration
from workflows.db.json_values import below, canonical, parse_json

_PRESENCE = ("exists", "missing")
_COMBINED = ("all", "any")


@dataclass(slots=True)
class SubmittedData:
    """The data of a submitted form, and the renamed exits."""

    value: dict[str, Any]
    renamed: dict[str, str] = field(default_factory=dict)
    malformed: dict[str, str] = field(default_factory=dict)
    """Error messages for inputs that are not valid JSON, by the names of their parts."""
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    """The row of each item, by the name of the list and the index or key of the item."""

    def input_name(self, root: str, pointer: str) -> str:
        """Return the name of the input for a value.

        Args:
            root: the first part of the names of the inputs.
            pointer: the JSON pointer of the value. Empty and removed rows have no index in it.
        """
        name = root
        for token in pointer.split("/")[1:]:
            rows = self.rows.get(name, {})
            if token in rows:
                name = f"{name}/{rows[token]}"
            elif rows and token in _COMBINED:
                continue
            elif len(rows) == 1:
                # A rule with one comparison has no list.
                name = f"{name}/{next(iter(rows.values()))}/{token}"
            else:
                name = f"{name}/{token}"
        return name


class DataReader:
    """Reads an object from submitted inputs.

    Args:
        schema: the schema of the object.
        posted: the inputs by name.
        root: the first part of their names.
    """

    def __init__(self, schema: Schema, posted: Mapping[str, Any], root: str) -> None:
        self.schema, self.posted, self.root = schema, posted, root
        self.defs: Schema = schema.get("$defs", {})
        self.found = SubmittedData({})

    def read(self, before: Mapping[str, Any]) -> SubmittedData:
        """Return the submitted data, with the keys in their old order if nothing has changed.

        Args:
            before: the object that the form was rendered with.
        """
        found = self.found
        value = self._read(self.schema, before, self.root)
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
        return self._read_text(schema, shape, before, name)

    def _read_flag(self, schema: Schema, before: Any, name: str) -> Any:
        # Browsers do not send an unchecked box: a hidden input says that it was shown.
        if not {name, f"{name}#flag"} & self.posted.keys():
            return before
        value, default = bool(self.posted.get(name)), schema.get("default", False)
        return value if value is before or value is not default else ABSENT

    def _read_text(self, schema: Schema, shape: str, before: Any, name: str) -> Any:
        text = str(self.posted[name]).replace("\r\n", "\n")
        if shape == "any":
            return from_text(text) if text.strip() else ABSENT
        if not text.strip():
            return before if before is not ABSENT and before in ("", None) else ABSENT
        if shape == "duration":
            unit = str(self.posted.get(f"{name}#unit", ""))
            return join_duration(text, unit, None if before is ABSENT else before)
        if shape == "scalar":
            return from_scalar(text, types_of(schema, self.defs))
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
            rest = typed if isinstance(typed, dict) else {}
        value = {key: one for key, one in {**read, **rest}.items() if one is not ABSENT}
        return value or (before if before == {} else ABSENT)

    def _read_map(self, schema: Schema, before: Any, name: str) -> Any:
        items = [] if before is ABSENT else list(before.values())
        inner, value = value_schema(schema), {}
        for index in ordered_rows(self.posted, name):
            key = str(self.posted.get(f"{name}/{index}/key", ""))
            item = items[index] if index < len(items) else ABSENT
            one = self._read(inner, item, f"{name}/{index}/value")
            if not key.strip() and one is ABSENT:
                continue
            value[key] = "" if one is ABSENT else one
            self._note_row(name, key, index)
        return value or (before if before == {} else ABSENT)

    def _read_rows(self, schema: Schema, before: Any, name: str) -> Any:
        items = [] if before is ABSENT else before
        value: list[Any] = []
        for index in ordered_rows(self.posted, name):
            item = items[index] if index < len(items) else ABSENT
            one = self._read(schema.get("items", {}), item, below(name, index))
            if one is ABSENT:
                continue
            if isinstance(item, dict) and isinstance(one, dict):
                self._note_rename(item.get("handle"), one.get("handle"))
            self._note_row(name, len(value), index)
            value.append(one)
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
        rows: list[dict[str, Any]] = []
        for index in ordered_rows(self.posted, name):
            at = f"{name}/{index}"
            field_name, op = (str(self.posted.get(f"{at}/{key}", "")) for key in ("field", "op"))
            typed = str(self.posted.get(f"{at}/value", ""))
            if not (field_name.strip() or typed.strip()):
                continue
            row: dict[str, Any] = {"field": field_name} if field_name else {}
            if op:
                row["op"] = op
            if typed.strip() and op not in _PRESENCE:
                row["value"] = from_text(typed.replace("\r\n", "\n"))
            self._note_row(name, len(rows), index)
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
            self.found.malformed[name] = message % {"pointer": name, "error": detail}
            return ABSENT

    def _note_row(self, name: str, item: object, row: int) -> None:
        self.found.rows.setdefault(plain_name(name), {})[str(item)] = str(row)

    def _note_rename(self, before: Any, after: Any) -> None:
        if isinstance(before, str) and isinstance(after, str) and before != after:
            self.found.renamed[before] = after
