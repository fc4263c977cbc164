"""The form of a JSON object, generated from its schema: the data of a node, or of a trigger.

Values that the inputs cannot hold are shown as JSON, so that a save loses nothing. Empty inputs are
left out. The form does not validate: invalid values are saved, and the graph page lists the
problems.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext

from workflows.admin.base.formatting import pretty_json
from workflows.admin.graph_editor.data_inputs import (
    ABSENT,
    OPERATOR_LABELS,
    SINGLE,
    Part,
    Schema,
    alternative,
    as_scalar,
    as_text,
    find_part,
    fits,
    help_text,
    resolved,
    rule_rows,
    shape_of,
    types_of,
    value_schema,
)
from workflows.admin.graph_editor.data_reader import DataReader, SubmittedData
from workflows.admin.graph_editor.data_rows import count_rows, ordered_rows, removed_rows
from workflows.admin.graph_editor.duration_input import HINT, UNITS, split_duration
from workflows.admin.graph_editor.offers import NO_OFFERS, Offers
from workflows.db.json_values import below

ROOT = "data"
MAX_OPEN_ROWS = 3
"""Items of longer lists are collapsed."""
NEW = "+"
"""The number of the row that is copied for a new one."""


class DataForm:
    """The form of an object.

    Args:
        schema: its schema.
        offers: the values that its pickers offer.
        root: the first part of the names of its inputs.
    """

    def __init__(self, schema: Schema, offers: Offers = NO_OFFERS, root: str = ROOT) -> None:
        self.schema, self.offers, self.root = schema, offers, root

    def build_parts(self, data: Mapping[str, Any], problems: Any = ()) -> list[Part]:
        """Return the parts of the form.

        Args:
            data: the object.
            problems: pairs of a JSON pointer relative to the object and a message.
        """
        found = [(f"{self.root}{pointer}", detail) for pointer, detail in problems]
        return self._parts(_Builder(self, None).build(dict(data)), found)

    def rebuild_parts(self, posted: Mapping[str, Any], problems: Any = ()) -> list[Part]:
        """Return the parts of the form with the inputs as they were submitted.

        Args:
            posted: the inputs by name.
            problems: as in ``build_parts``. Malformed JSON is added to them.
        """
        read = self.read(posted, {})
        found = [(read.input_name(self.root, pointer), detail) for pointer, detail in problems]
        return self._parts(_Builder(self, posted).build(ABSENT), [*found, *read.malformed.items()])

    def _parts(self, root: Part, problems: Iterable[tuple[str, str]]) -> list[Part]:
        """Return the parts of the form, with problems by the names of the inputs."""
        for name, detail in problems:
            find_part(root, name).problems.append(detail)
        root.parts.sort(key=lambda part: part.name != f"{self.root}/label")
        if root.problems:
            root.parts[0].problems[:0] = root.problems
        return root.parts

    def read(self, posted: Mapping[str, Any], before: Mapping[str, Any]) -> SubmittedData:
        """Return the submitted object, on top of the object that the form was rendered with."""
        return DataReader(self.schema, posted, self.root).read(before)


class _Builder:
    """Builds the parts for an object, or for submitted inputs."""

    def __init__(self, form: DataForm, posted: Mapping[str, Any] | None) -> None:
        self.form, self.posted = form, posted
        self.defs: Schema = form.schema.get("$defs", {})

    def build(self, value: Any) -> Part:
        return self._part(self.form.schema, value, self.form.root, "", required=True)

    def _typed(self, name: str) -> str | None:
        """Return the submitted text of an input, or None."""
        text = None if self.posted is None else self.posted.get(name)
        return None if text is None else str(text).replace("\r\n", "\n")

    def _part(
        self, schema: Schema, value: Any, name: str, key: str, *, required: bool = False
    ) -> Part:
        own_help = str(schema.get("description", ""))
        schema = resolved(schema, self.defs)
        title = str(schema.get("title", key or gettext("Value")))
        part = Part(name, "json", title, help_text(schema), required)
        typed = self._typed(f"{name}#json")
        if typed is not None or not fits(value, schema, self.defs):
            part.value = pretty_json(value) if typed is None else typed
            return part
        part.shape = shape_of(schema, self.defs, key)
        if part.shape == "duration":
            # The description of durations explains their text.
            part.help = f"{own_help} {HINT}".strip()
        if self._is_submitted(part):
            value = self._typed(name)
        fill = getattr(self, f"_fill_{part.shape}")
        fill(part, schema, value)
        if self._is_submitted(part):
            part.value = self._typed(name)
        return part

    def _is_submitted(self, part: Part) -> bool:
        is_text = part.is_single and part.shape != "flag"
        return is_text and self._typed(part.name) is not None

    def _fill_text(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = "" if value is ABSENT else value
        format_ = str(schema.get("format", ""))
        if format_ in self.form.offers.choices:
            part.shape, part.options = "choice", list(self.form.offers.choices[format_])
            if part.value and part.value not in dict(part.options):
                part.options.append(
                    (part.value, gettext("%(value)s (not available)") % {"value": part.value})
                )
        elif "\n" in part.value or "\r" in part.value:
            part.shape = "long"
        elif format_ in self.form.offers.suggestions:
            part.offers = format_

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
        if self._typed(f"{part.name}#flag") is not None:
            part.value = bool(self._typed(part.name))

    def _fill_scalar(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = as_scalar(value, types_of(schema, self.defs))

    def _fill_duration(self, part: Part, schema: Schema, value: Any) -> None:
        part.value, part.unit = split_duration(None if value is ABSENT else value)
        part.unit = self._typed(f"{part.name}#unit") or part.unit
        part.options = [(unit, str(label)) for unit, label in UNITS.items()]

    def _fill_any(self, part: Part, schema: Schema, value: Any) -> None:
        part.value = as_text(value)

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
        typed = self._typed(f"{part.name}#rest#json")
        if rest or typed is not None:
            title = gettext("Other keys")
            note = gettext("Unknown keys as JSON. Clear the field to remove them.")
            text = pretty_json(rest) if typed is None else typed
            part.parts.append(Part(f"{part.name}#rest", "json", title, note, value=text))

    # Lists

    def _fill_map(self, part: Part, schema: Schema, value: Any) -> None:
        names, inner = resolved(schema.get("propertyNames", {}), self.defs), value_schema(schema)

        def build_row(name: str, item: Any) -> Part:
            key, one = ("", ABSENT) if item is ABSENT else item
            key_schema = {"title": gettext("Name"), "type": "string", **names, "description": ""}
            key_part = self._part({**key_schema, "examples": ()}, key, f"{name}/key", "")
            value_part = self._part(inner, one, f"{name}/value", "")
            return Part(name, "pair", gettext("Entry"), parts=[key_part, value_part])

        self._fill_list(part, [] if value is ABSENT else list(value.items()), build_row)

    def _fill_rows(self, part: Part, schema: Schema, value: Any) -> None:
        items = schema.get("items", {})
        part.is_ordered = "object" in types_of(items, self.defs)
        self._fill_list(
            part,
            [] if value is ABSENT else list(value),
            lambda name, item: self._part(items, item, name, ""),
        )

    def _fill_rule(self, part: Part, schema: Schema, value: Any) -> None:
        how, rows = rule_rows({} if value is ABSENT else value) or ("all", [])
        part.value = self._typed(f"{part.name}#how") or how
        properties = schema["properties"]

        def build_row(name: str, row: Any) -> Part:
            row = {} if row is ABSENT else row
            values = {key: row.get(key, ABSENT) for key in ("field", "op", "value")}
            parts = [
                self._part({**properties[key], "description": ""}, one, below(name, key), key)
                for key, one in values.items()
            ]
            parts[1].options = [
                (op, str(OPERATOR_LABELS.get(op, label))) for op, label in parts[1].options
            ]
            return Part(name, "comparison", gettext("Comparison"), parts=parts)

        self._fill_list(part, rows, build_row)

    def _fill_list(self, part: Part, items: list[Any], build_row: Any) -> None:
        """Add the rows of a list. An empty list starts with a row, if that is a single line."""
        part.blank = build_row(below(part.name, NEW), ABSENT)
        if not items and (part.required or part.blank.is_compact):
            items = [ABSENT]
        part.count = len(items)
        for number, item in self._number_rows(part, items):
            row = build_row(below(part.name, number), item)
            row.is_open = len(items) <= MAX_OPEN_ROWS or row.has_problems
            part.parts.append(row)

    def _number_rows(self, part: Part, items: list[Any]) -> Iterator[tuple[int, Any]]:
        if self.posted is None or self._typed(f"{part.name}#rows") is None:
            yield from enumerate(items)
            return
        part.count = count_rows(self.posted, part.name)
        part.removed = [below(part.name, row) for row in removed_rows(self.posted, part.name)]
        for row in ordered_rows(self.posted, part.name):
            yield row, ABSENT

    def _fill_either(self, part: Part, schema: Schema, value: Any) -> None:
        chosen = None if value is ABSENT else alternative(value, schema, self.defs)
        first = shape_of(resolved(schema["anyOf"][0], self.defs), self.defs)
        if chosen is None and first in SINGLE:
            # An empty single input means that the value is left out.
            chosen = 0
        part.value = "" if chosen is None else str(chosen)
        typed = self._typed(f"{part.name}#as")
        part.value = part.value if typed is None else typed
        for index, one in enumerate(schema["anyOf"]):
            inner = value if index == chosen else ABSENT
            part.parts.append(self._part(one, inner, f"{part.name}#{index}", ""))
        part.options = [("", gettext("none"))] if part.value == "" else []
