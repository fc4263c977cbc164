"""The node that sets and clears fields of the entity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.engine import rule_literals
from executions.engine.form_fields import FIELD_NAME
from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.db.json_values import below, quoted
from workflows.graph import Problems
from workflows.values.missing import is_missing


class SetField(Behaviour):
    description = _("Sets and clears fields of the entity.")
    name = "set_field"
    waits = False
    schema: ClassVar = {
        "properties": {
            "values": {
                "title": "Values",
                "description": "The new values by the names of the fields: any JSON. Null and blank"
                " text clear a field.",
                "type": "object",
                "propertyNames": {"$ref": "#/$defs/field_name"},
                "default": {},
            },
            "clear": {
                "title": "Fields to clear",
                "description": "The names of the fields to clear.",
                "type": "array",
                "items": {"$ref": "#/$defs/field_name"},
                "uniqueItems": True,
                "default": [],
            },
        },
        "$defs": {"field_name": FIELD_NAME},
        "examples": [{"values": {"reviewed": True}, "clear": ["reviewer"]}],
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
            if not is_missing(value):
                yield name, rule_literals.type_of(value)

    def enter(self, visit: Visit) -> None:
        """Write the fields and continue."""
        values, clear = (visit.node.data.get("values", {}), visit.node.data.get("clear", []))
        visit.write_fields(values, clear)
        visit.leave(output={"values": values, "clear": clear})
