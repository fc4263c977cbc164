"""The trigger types: the settings of each, and when it starts a workflow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from executions.engine import rule_literals, rules, value_sources
from executions.models.secret import NAME
from workflows.db.json_values import below, canonical, json_type, quoted
from workflows.trigger_types import TriggerType, register
from workflows.values.missing import drop_missing


def unknown_keys(data: Mapping[str, Any], known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield a problem for each setting that the trigger type does not have."""
    names = ", ".join(known)
    allowed = f"Allowed: {names}." if names else _("This trigger has no settings.")
    for key in data:
        if key not in known:
            yield (
                below("", key),
                _("Unknown key {key}. {allowed}").format(key=quoted(key), allowed=allowed),
            )


RULE_DEFS: dict[str, Any] = {"rule": rules.RULE}
RULE_PROPERTY: dict[str, Any] = {
    "title": "Rule",
    "description": "The rule that must hold for the fields of the entity. By default, none.",
    "$ref": "#/$defs/rule",
}
"""The schema of ``rule`` of a trigger; it refers to ``RULE_DEFS``."""
FIELD: dict[str, Any] = {"title": "Field", "type": "string", "format": "field-name"}
"""The schema of the name of a field of the entity."""


class SimpleTrigger:
    """The base of trigger types: it has no rule and no secret."""

    schema: Mapping[str, Any] = {"type": "object", "properties": {}}

    def comparison_problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield nothing: there is no rule."""
        return iter(())

    def normalize(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the settings unchanged."""
        return data

    def secrets(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield nothing: there is no secret."""
        return iter(())


class RuleTrigger(SimpleTrigger):
    """The base of trigger types that start a workflow only if the optional ``rule`` holds."""

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check the rule."""
        if "rule" in data:
            yield from rules.problems(data["rule"], "/rule")

    def comparison_problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield each literal of the rule that cannot be compared with its field, and variables."""
        if "rule" in data:
            yield from rule_literals.problems(data["rule"], {}, "/rule")
            yield from _variable_problems(data["rule"], "/rule")

    def normalize(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the settings with the moments of the rule in UTC."""
        if "rule" not in data:
            return data
        return {**data, "rule": rule_literals.normalize(data["rule"])}


class Manual(SimpleTrigger):
    """A user starts the workflow."""

    name = "manual"

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Refuse any setting."""
        return unknown_keys(data, ())

    def describe(self, data: Mapping[str, Any]) -> str:
        """Describe the trigger in a sentence."""
        return _("Started manually only.")


class Created(SimpleTrigger):
    """The creation of an entity of the workflow's context starts the workflow."""

    name = "created"

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Refuse any setting."""
        return unknown_keys(data, ())

    def describe(self, data: Mapping[str, Any]) -> str:
        """Describe the trigger in a sentence."""
        return _("Started for each new entity of the type.")


class Changed(RuleTrigger):
    """A change of an entity's fields starts the workflow.

    ``fields`` and the fields of ``rule`` are watched; without both, every field is. The rule is
    evaluated on the fields after the change.
    """

    name = "changed"
    schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "fields": {
                "title": "Fields",
                "description": "The fields whose change starts it, beside those of the rule. By"
                " default, every field.",
                "type": "array",
                "items": FIELD,
            },
            "rule": RULE_PROPERTY,
        },
        "$defs": RULE_DEFS,
    }

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check the field names and the rule."""
        yield from unknown_keys(data, ("fields", "rule"))
        if "fields" in data:
            yield from self._fields_problems(data["fields"])
        yield from super().problems(data)

    def _fields_problems(self, fields: object) -> Iterator[tuple[str, str]]:
        if not isinstance(fields, list):
            yield (
                "/fields",
                _("'fields' must be a list of names, not {type}.").format(type=json_type(fields)),
            )
        elif not fields:
            yield (
                "/fields",
                _("Name at least one field, or leave out 'fields' to watch every field."),
            )
        else:
            for index, name in enumerate(fields):
                if not isinstance(name, str) or not name:
                    yield (
                        below("/fields", index),
                        _("The name of a field must be text that is not empty."),
                    )

    def describe(self, data: Mapping[str, Any]) -> str:
        """Describe the trigger in a sentence."""
        names = ", ".join(f"“{name}”" for name in sorted(self.watched_fields(data)))
        if "rule" in data:
            text = (
                _("Started by an edit of {names}, if its rule holds afterwards.")
                if names
                else _("Started by an edit of any field, if its rule holds afterwards.")
            )
        else:
            text = _("Started by an edit of {names}.") if names else _("Started by any edit.")
        return text.format(names=names)

    def watched_fields(self, data: Mapping[str, Any]) -> set[str]:
        """Return the names of the watched fields; empty for all."""
        return {*data.get("fields", ()), *rules.names(data.get("rule", {}))}

    def fires(
        self, data: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> bool:
        """Return True if a change from ``before`` to ``after`` starts the workflow."""
        changed = changed_fields(before, after)
        watched = self.watched_fields(data)
        is_relevant = bool(changed & watched if watched else changed)
        return is_relevant and ("rule" not in data or rules.holds(data["rule"], after))


class Webhook(SimpleTrigger):
    """A POST that is signed with ``secret`` starts the workflow."""

    name = "webhook"
    schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "secret": {
                "title": "Secret",
                "description": "The name of the secret that signs requests.",
                "type": "string",
                "format": "secret-name",
            }
        },
        "required": ["secret"],
    }

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check the name of the secret. The guard of secrets checks that it exists."""
        yield from unknown_keys(data, ("secret",))
        secret = data.get("secret")
        if not isinstance(secret, str) or not re.fullmatch(NAME, secret):
            detail = _(
                "'secret' must be the name of the signing secret: letters, digits, '_', '.' and"
                " '-', starting with a letter or '_'."
            )
            yield ("/secret" if "secret" in data else ""), detail

    def secrets(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the signing secret."""
        if isinstance(data.get("secret"), str):
            yield "/secret", data["secret"]

    def describe(self, data: Mapping[str, Any]) -> str:
        """Describe the trigger in a sentence."""
        return _("Started by a POST that is signed with the secret “{name}”.").format(
            name=data.get("secret", "")
        )


def _variable_problems(rule: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, str]]:
    """Yield the variables that the rule of a trigger names: there is no execution yet."""
    for name in rules.names(rule):
        if name.startswith(value_sources.VARIABLE):
            detail = _("{name} is a variable. Before a start there are only fields.")
            yield pointer, detail.format(name=quoted(name))


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """Return the names of the fields that differ, added and removed ones included.

    A field that is missing before and after has not changed, whether it is null or left out.
    """
    was, becomes = drop_missing(before), drop_missing(after)
    return {
        name
        for name in {*was, *becomes}
        if name not in was
        or name not in becomes
        or canonical(was[name]) != canonical(becomes[name])
    }


CHANGED = Changed()
_types: tuple[TriggerType, ...] = (Manual(), Created(), CHANGED, Webhook())
for _type in _types:
    register(_type)
