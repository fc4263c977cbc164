"""Rules for concurrent edits: an edit writes only its changes and overwrites nobody else's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from workflows.db.json_values import canonical
from workflows.refusals import Problem, Refusal, Remedy

MISSING: Any = object()
"""The value of a name that an object does not have."""


class Stale(Refusal):
    code = "stale"
    message = _("Someone else has changed this since you opened the page.")
    remedy: str | Promise = _("Compare both values, correct yours if needed, and save again.")

    def __init__(self, problems: list[Problem]) -> None:
        remedies = [Remedy("save_again", str(self.remedy))]
        super().__init__(problems=problems, remedies=remedies)


def is_same(one: Any, other: Any) -> bool:
    """Return True if two JSON values are equal. Unlike in Python, true does not equal 1."""
    if one is MISSING or other is MISSING:
        return one is other
    return canonical(one) == canonical(other)


def overlay(
    read: Mapping[str, Any], own: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, Any]:
    """Apply to ``now`` the changes between ``read`` and ``own``, name by name; ``own`` wins."""
    whole = dict(now)
    for name in dict.fromkeys([*read, *own]):
        if repr(read.get(name, MISSING)) == repr(own.get(name, MISSING)):
            continue
        if name in own:
            whole[name] = own[name]
        else:
            whole.pop(name, None)
    return whole


def merge(
    read: Mapping[str, Any], typed: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Apply to ``now`` the changes between ``read`` and ``typed``, name by name.

    Args:
        read: the object when it was read.
        typed: the object as it was sent back.
        now: the object that is stored.

    Returns:
        The object to store, and the names that both sides changed to different values.
    """
    merged, conflicts = dict(now), []
    for name in dict.fromkeys([*read, *typed]):
        was, wanted, is_now = (side.get(name, MISSING) for side in (read, typed, now))
        if is_same(was, wanted) or is_same(wanted, is_now):
            continue
        if not is_same(was, is_now):
            conflicts.append(name)
        elif wanted is MISSING:
            merged.pop(name, None)
        else:
            merged[name] = wanted
    return merged, conflicts


def apply_merge_patch(now: Any, patch: Any) -> Any:
    """Return ``now`` with a JSON Merge Patch (RFC 7396) applied: null removes a name."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(now) if isinstance(now, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = apply_merge_patch(merged.get(name), value)
    return merged
