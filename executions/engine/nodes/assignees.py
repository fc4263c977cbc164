"""Who is meant: users and groups by their names, as a drawing has them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q

from executions.engine.nodes.behaviour import Person
from executions.models import FOR_PEOPLE
from workflows.jsontext import canonical

_NAMES: dict[str, Any] = {
    "type": "array",
    "items": {"title": "Name", "type": "string", "minLength": 1},
}
NAMED: dict[str, Any] = {
    "groups": {
        "title": "Groups",
        "description": "The names of groups; everybody in one of them is meant.",
        **_NAMES,
        "examples": [["risk"]],
    },
    "users": {
        "title": "Users",
        "description": "The names that users log in with.",
        **_NAMES,
        "examples": [["ada"]],
    },
}
"""The schemas of ``groups`` and ``users``."""


def asked(kind: str, data: Mapping[str, Any]) -> str:
    """Who is asked at a node of this type, as ``Step.assignees`` has it; empty for everybody."""
    if kind not in FOR_PEOPLE:
        return ""
    named = data.get("assignees", data)
    found = {name: sorted(set(named[name])) for name in NAMED if named.get(name)}
    return canonical(found) if found else ""


def only_user(assignees: str) -> str | None:
    """Return the one user whom ``Step.assignees`` means by name; None where more may be meant."""
    named = json.loads(assignees) if assignees else {}
    users = named.get("users", [])
    return users[0] if len(users) == 1 and not named.get("groups") else None


def asks(assignees: str, username: str, groups: Iterable[str]) -> bool:
    """Say whether ``Step.assignees`` means whoever has this name and is in these groups."""
    return not assignees or _means(json.loads(assignees), username, groups)


def is_among(named: Mapping[str, Any], user: Person) -> bool:
    """Say whether this user is named, alone or with a group."""
    wanted = named.get("groups", [])
    groups = user.groups.filter(name__in=wanted).values_list("name", flat=True) if wanted else ()
    return _means(named, user.get_username(), groups)


def _means(named: Mapping[str, Any], username: str, groups: Iterable[str]) -> bool:
    if username in named.get("users", []):
        return True
    return not set(named.get("groups", [])).isdisjoint(groups)


def voters(named: Mapping[str, Any]) -> set[str]:
    """Who may vote now: those who are named and can still log in."""
    users = get_user_model()._default_manager.filter(is_active=True)
    among = Q(username__in=named.get("users", [])) | Q(groups__name__in=named.get("groups", []))
    return set(users.filter(among).values_list("username", flat=True))


def unknown_among(usernames: Iterable[str]) -> set[str]:
    """Those of these names that nobody has who can still log in; one look for all of them."""
    wanted = set(usernames)
    users = get_user_model()._default_manager.filter(is_active=True, username__in=wanted)
    return wanted - set(users.values_list("username", flat=True))


def may_submit(data: Mapping[str, Any], user: Person) -> bool:
    """Say whether this user may fill in a form; everybody may where nobody is named."""
    assignees = data.get("assignees", {})
    if not (assignees.get("users") or assignees.get("groups")) or user.is_superuser:
        return True
    return is_among(assignees, user)
