"""The node that sets and clears fields of the entity and variables of the execution."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.engine import rule_literals, value_sources
from executions.engine.form_fields import VALUE_NAME
from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.db.json_values import below, quoted
from workflows.graph import Problems
from workflows.values.missing import is_missing


class SetField(Behaviour):
    description = _("Sets and clears fields of the entity, and variables of the execution.")
    name = "set_field"
    waits = False
    schema: ClassVar = {
        "properties": {
            "values": {
                "title": "Values",
                "description": "The new values by the names of the fields, or of the variables with"
                f" $: any JSON, or {value_sources.SOURCES}. Null, blank text and a source of a"
                " missing value clear the field.",
                "type": "object",
                "propertyNames": {"$ref": "#/$defs/value_name"},
                "default": {},
            },
            "clear": {
                "title": "Fields to clear",
                "description": "The names of the fields, or of the variables with $, to clear.",
                "type": "array",
                "items": {"$ref": "#/$defs/value_name"},
                "uniqueItems": True,
                "default": [],
            },
        },
        "$defs": {"value_name": VALUE_NAME},
        "examples": [
            {"values": {"reviewed": True}, "clear": ["reviewer"]},
            {
                "values": {
                    "due_on": {"add": [{"today": True}, "P30D"]},
                    "$approver": {"field": "owner"},
                    "summary": {"text": "{{title}}, owned by {{owner}}"},
                }
            },
        ],
    }

    def problems(self, data: Mapping[str, Any]) -> Problems:
        """Require an effect, and no field that is both set and cleared."""
        values, clear = data.get("values", {}), data.get("clear", [])
        if not values and not clear:
            yield "", gettext("Set or clear at least one field.")
        for index, name in enumerate(clear):
            if name in values:
                detail = gettext("The field {name} cannot be both set and cleared.").format(
                    name=quoted(name)
                )
                yield below("/clear", index), detail

    def field_types(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the fields that are set, with the types of their values."""
        for name, value in data.get("values", {}).items():
            if value_sources.is_source(value):
                yield name, value_sources.type_of(value) or rule_literals.ANY
            elif not is_missing(value):
                yield name, rule_literals.type_of(value)

    def read_names(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the fields and variables that the values are computed from."""
        return value_sources.names_by_place(data.get("values", {}), "/values")

    def comparison_problems(
        self, data: Mapping[str, Any], fields: Mapping[str, Collection[str]]
    ) -> Problems:
        """Yield the problems of the value sources."""
        for name, value in data.get("values", {}).items():
            yield from value_sources.problems(value, below("/values", name))

    def enter(self, visit: Visit) -> None:
        """Write the values and continue. All sources are read before the first is written."""
        sources, clear = visit.node.data.get("values", {}), visit.node.data.get("clear", [])
        values = value_sources.evaluate_all(sources, visit.fields, visit.now)
        visit.write_fields(values, clear)
        visit.leave(output={"values": values, "clear": clear})
