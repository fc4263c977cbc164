"""The kinds of triggers: what their details may say, and when they set a workflow off."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from executions.engine import rule_literals, rules
from executions.models.secret import NAME
from workflows.db.json_values import below, canonical, kind, quoted
from workflows.trigger_types import TriggerKind, register
from workflows.values.missing import present


def _unknown(data: Mapping[str, Any], known: Iterable[str]) -> Iterator[tuple[str, str]]:
    names = ", ".join(known)
    says = f"known are: {names}" if names else "it takes none"
    for key in data:
        if key not in known:
            yield below("", key), f"{quoted(key)} means nothing in the details of it; {says}."


class _Plain:
    """What the details of most triggers have: no rule and no secret."""

    def comparison_problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield nothing: nothing is compared."""
        return iter(())

    def normalized(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the details as they are."""
        return data

    def secrets(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield nothing: it uses no secret."""
        return iter(())


class Manual(_Plain):
    """A person starts it."""

    name = "manual"

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """It takes no details."""
        return _unknown(data, ())

    def told(self, data: Mapping[str, Any]) -> str:
        """Nothing but a person."""
        return "Nothing starts it but a person, here or by the API."


class Created(_Plain):
    """An entity of the workflow's context is created."""

    name = "created"

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """It takes no details."""
        return _unknown(data, ())

    def told(self, data: Mapping[str, Any]) -> str:
        """Whatever is created."""
        return "Each entity of its type that is created starts it."


class Changed(_Plain):
    """Fields of an entity of the workflow's context change.

    ``fields`` and ``rule`` name what is looked at; without both, every field is. The rule is
    judged on the fields after the change.
    """

    name = "changed"

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check the names and the rule."""
        yield from _unknown(data, ("fields", "rule"))
        if "fields" in data:
            yield from self._fields_problems(data["fields"])
        if "rule" in data:
            yield from rules.problems(data["rule"], "/rule")

    def comparison_problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield each literal that the rule cannot compare its field with."""
        if "rule" in data:
            yield from rule_literals.problems(data["rule"], {}, "/rule")

    def normalized(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the details with the moments of the rule in UTC."""
        if "rule" not in data:
            return data
        return {**data, "rule": rule_literals.normalized(data["rule"])}

    def _fields_problems(self, fields: object) -> Iterator[tuple[str, str]]:
        if not isinstance(fields, list):
            yield "/fields", f"'fields' takes a list of names, not {kind(fields)}."
        elif not fields:
            yield "/fields", "'fields' names at least one field; without it, every field counts."
        else:
            for index, name in enumerate(fields):
                if not isinstance(name, str) or not name:
                    yield below("/fields", index), "The name of a field is a non-empty text."

    def told(self, data: Mapping[str, Any]) -> str:
        """Which changes."""
        looked_at = self.looked_at(data)
        what = ", ".join(f"“{name}”" for name in sorted(looked_at)) if looked_at else "its fields"
        when = " and its rule holds then" if "rule" in data else ""
        return f"An edit of an entity of its type that changes {what} starts it{when}."

    def looked_at(self, data: Mapping[str, Any]) -> set[str]:
        """The names of the fields that it looks at; empty for all."""
        return {*data.get("fields", ()), *rules.names(data.get("rule", {}))}

    def is_set_off(
        self, data: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> bool:
        """Whether a change of the fields from ``before`` to ``after`` starts the workflow."""
        changed = changed_names(before, after)
        looked_at = self.looked_at(data)
        seen = changed & looked_at if looked_at else changed
        return bool(seen) and ("rule" not in data or rules.holds(data["rule"], after))


class Webhook(_Plain):
    """A POST that is signed with ``secret``."""

    name = "webhook"

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check the name; whether the secret exists, the guard of secrets says."""
        yield from _unknown(data, ("secret",))
        secret = data.get("secret")
        if not isinstance(secret, str) or not re.fullmatch(NAME, secret):
            detail = f"'secret' must name the secret that signs, not {kind(secret)}."
            yield ("/secret" if "secret" in data else ""), detail

    def secrets(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the secret that signs."""
        if isinstance(data.get("secret"), str):
            yield "/secret", data["secret"]

    def told(self, data: Mapping[str, Any]) -> str:
        """Whose POST."""
        return f"A POST that is signed with the secret “{data.get('secret', '')}” starts it."


def changed_names(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """The names of the fields that differ, those that came and went among them.

    A field that is missing before and after has not changed, however that is spelled.
    """
    was, becomes = present(before), present(after)
    return {
        name
        for name in {*was, *becomes}
        if name not in was
        or name not in becomes
        or canonical(was[name]) != canonical(becomes[name])
    }


CHANGED = Changed()
_kinds: tuple[TriggerKind, ...] = (Manual(), Created(), CHANGED, Webhook())
for _kind in _kinds:
    register(_kind)
