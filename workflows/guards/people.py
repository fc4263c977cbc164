"""The rule that the groups and users of a graph exist."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext

from workflows.db.json_values import quoted
from workflows.refusals import Problem

UNKNOWN_GROUP = "unknown_group"
UNKNOWN_USER = "unknown_user"


def find_unknown_people(named: Iterable[Any], candidates: Iterable[Any]) -> list[Problem]:
    """Return a problem for every group or user of a graph that does not exist.

    Args:
        named: the names in the graph, each with its JSON pointer.
        candidates: their candidates, in the same order.
    """
    return [
        _unknown(one)
        for one, candidate in zip(named, candidates, strict=True)
        if candidate.is_unknown
    ]


def _unknown(one: Any) -> Problem:
    if one.is_group:
        detail = gettext("There is no group named {name}.").format(name=quoted(one.name))
        return Problem(one.pointer, UNKNOWN_GROUP, detail)
    detail = gettext("There is no user named {name}.").format(name=quoted(one.name))
    return Problem(one.pointer, UNKNOWN_USER, detail)
