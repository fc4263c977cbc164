"""The node that sets fields of the entity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from executions.engine import forms
from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.jsontext import below, kind, quoted


class SetField(Behaviour):
    """Writes the values that it names, and takes the fields away that it clears."""

    name = "set_field"
    keys = frozenset({"values", "clear"})

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check the names; the values may be any JSON."""
        values, clear = data.get("values", {}), data.get("clear", [])
        sound = True
        if not isinstance(values, dict):
            sound = False
            yield "/values", f"The values must be an object, not {kind(values)}."
        if not isinstance(clear, list):
            sound = False
            yield ("/clear", f"What is cleared must be a list of field names, not {kind(clear)}.")
        if not sound:
            return
        if not values and not clear:
            yield "", "It neither sets nor clears a field."
        for name in values:
            if reason := forms.name_problem(name):
                yield below("/values", name), reason
        for index, name in enumerate(clear):
            place = below("/clear", index)
            if reason := forms.name_problem(name):
                yield place, reason
            elif name in values:
                yield place, f"The field {quoted(name)} cannot be both set and cleared."
            elif name in clear[:index]:
                yield place, f"The field {quoted(name)} is cleared twice."

    def enter(self, visit: Visit) -> None:
        """Write and go on."""
        values, clear = (visit.node.data.get("values", {}), visit.node.data.get("clear", []))
        visit.write(values, clear)
        visit.leave(output={"values": values, "clear": clear})
