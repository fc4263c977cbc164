"""People: the groups and users that a graph names exist."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workflows.jsontext import quoted
from workflows.refusals import Problem

UNKNOWN_GROUP, UNKNOWN_USER = "unknown_group", "unknown_user"


def unknown_people(named: Iterable[Any], candidates: Iterable[Any]) -> list[Problem]:
    """Return a problem for every group or user of a graph that does not exist.

    Args:
        named: the names in the graph, each with its JSON pointer.
        candidates: their candidates, in the same order.
    """
    return [
        Problem(
            one.pointer,
            UNKNOWN_GROUP if one.is_group else UNKNOWN_USER,
            f"No {'group' if one.is_group else 'user'} is called {quoted(one.name)}.",
        )
        for one, candidate in zip(named, candidates, strict=True)
        if candidate.is_unknown
    ]
