"""The condition: chooses a way by the fields of the entity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from executions.engine import rules
from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.jsontext import below, kind, quoted

DEFAULT = "default"
MAX_HANDLE_LENGTH = 64


class Condition(Behaviour):
    """Leaves by the first branch whose rule holds, else by ``default``."""

    name = "condition"
    keys = frozenset({"branches"})

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check the branches: a handle of its own and a rule for each."""
        branches = data.get("branches")
        if not isinstance(branches, list) or not branches:
            yield "/branches", "A condition needs branches: a list that is not empty."
            return
        seen: set[str] = set()
        for index, branch in enumerate(branches):
            at = below("/branches", index)
            if not isinstance(branch, dict):
                yield (at, f"A branch is an object with a handle and a rule, not {kind(branch)}.")
                continue
            for key in branch:
                if key not in ("handle", "rule"):
                    detail = f"{quoted(key)} means nothing in a branch; it has a handle and a rule."
                    yield below(at, key), detail
            handle = branch.get("handle")
            if not isinstance(handle, str) or not handle:
                yield (f"{at}/handle", "A branch needs a handle, a text that is not empty.")
            elif len(handle) > MAX_HANDLE_LENGTH:
                detail = f"has more than {MAX_HANDLE_LENGTH} characters."
                yield f"{at}/handle", f"The handle {quoted(handle)} {detail}"
            elif handle == DEFAULT:
                yield f"{at}/handle", f"'{DEFAULT}' is the exit for when no rule holds."
            elif handle in seen:
                yield (f"{at}/handle", f"The handle {quoted(handle)} is used by two branches.")
            else:
                seen.add(handle)
            if "rule" not in branch:
                yield at, "A branch needs a rule."
            else:
                yield from rules.problems(branch["rule"], f"{at}/rule")

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
        """Leave by the branch that holds."""
        handle = next(
            (
                branch["handle"]
                for branch in visit.node.data["branches"]
                if rules.holds(branch["rule"], visit.fields)
            ),
            DEFAULT,
        )
        visit.leave(handle, output={"handle": handle})
