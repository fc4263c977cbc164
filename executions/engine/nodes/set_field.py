"""The node that sets fields of the entity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from executions.engine.form_fields import FIELD_NAME
from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.graph import Problems
from workflows.jsontext import below, quoted


class SetField(Behaviour):
    description = _("Writes the values that it names, and takes the fields away that it clears.")
    name = "set_field"
    schema: ClassVar = {
        "properties": {
            "values": {
                "title": "Values",
                "description": "What is written, by the names of the fields; any JSON.",
                "type": "object",
                "propertyNames": {"$ref": "#/$defs/field_name"},
                "default": {},
            },
            "clear": {
                "title": "Fields to clear",
                "description": "The names of the fields that are taken away.",
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
        """It does something, and does not undo it."""
        values, clear = data.get("values", {}), data.get("clear", [])
        if not values and not clear:
            yield "", "It neither sets nor clears a field."
        for index, name in enumerate(clear):
            if name in values:
                detail = f"The field {quoted(name)} cannot be both set and cleared."
                yield below("/clear", index), detail

    def enter(self, visit: Visit) -> None:
        """Write and go on."""
        values, clear = (visit.node.data.get("values", {}), visit.node.data.get("clear", []))
        visit.write(values, clear)
        visit.leave(output={"values": values, "clear": clear})
