"""The condition: chooses an exit by fields and variables."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.engine import rule_literals, rules
from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.db.json_values import below, quoted
from workflows.graph import Problems

DEFAULT = "default"


def _branch_problems(branches: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for index, branch in enumerate(branches):
        handle = branch["handle"]
        if handle == DEFAULT:
            yield (
                f"/{index}/handle",
                gettext(
                    "'{default}' is reserved for the exit that is taken if no rule holds."
                ).format(default=DEFAULT),
            )
        elif handle in seen:
            yield (
                f"/{index}/handle",
                gettext("Two branches use the exit {handle}.").format(handle=quoted(handle)),
            )
        seen.add(handle)
        yield from rules.combination_problems(branch["rule"], f"/{index}/rule")


class Condition(Behaviour):
    description = _("Leaves by the first branch whose rule holds, otherwise by 'default'.")
    name = "condition"
    waits = False
    exits = None
    schema: ClassVar = {
        "properties": {
            "branches": {
                "title": "Branches",
                "description": "The exits, tried in this order. If no rule holds, 'default' is"
                " taken.",
                "type": "array",
                "minItems": 1,
                "items": {
                    "title": "Branch",
                    "type": "object",
                    "properties": {
                        "handle": {
                            "title": "Exit",
                            "description": "The name of the exit: the sourceHandle of its edge.",
                            "type": "string",
                            "minLength": 1,
                            "maxLength": 64,
                        },
                        "rule": {
                            "title": "Rule",
                            "description": "The rule that must hold for the exit to be taken.",
                            "$ref": "#/$defs/rule",
                        },
                    },
                    "required": ["handle", "rule"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["branches"],
        "$defs": {"rule": rules.RULE},
        "examples": [
            {
                "branches": [
                    {
                        "handle": "severe",
                        "rule": {"field": "severity", "op": "gte", "value": 3},
                    }
                ]
            }
        ],
    }
    parts: ClassVar = {"branches": _branch_problems}

    def comparison_problems(
        self, data: Mapping[str, Any], fields: Mapping[str, Collection[str]]
    ) -> Problems:
        """Yield each literal that cannot be compared with the field of its rule."""
        for index, branch in enumerate(data["branches"]):
            at = below("/branches", index, "rule")
            yield from rule_literals.problems(branch["rule"], fields, at)

    def read_names(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the fields and variables of the rules."""
        for index, branch in enumerate(data["branches"]):
            for name in rules.names(branch["rule"]):
                yield below("/branches", index, "rule"), name

    def normalize(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the data with the moments of the rules in UTC."""
        branches = [
            {**branch, "rule": rule_literals.normalize(branch["rule"])}
            for branch in data["branches"]
        ]
        return {**data, "branches": branches}

    def handles(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the handle of each branch, and ``default``."""
        branches = data.get("branches")
        named = [
            branch["handle"]
            for branch in (branches if isinstance(branches, list) else ())
            if isinstance(branch, dict) and isinstance(branch.get("handle"), str)
        ]
        return (*named, DEFAULT)

    def enter(self, visit: Visit) -> None:
        """Leave by the first branch whose rule holds."""
        fields = visit.fields
        handle = next(
            (
                branch["handle"]
                for branch in visit.node.data["branches"]
                if rules.holds(branch["rule"], fields, visit.now)
            ),
            DEFAULT,
        )
        visit.leave(handle, output={"handle": handle})
