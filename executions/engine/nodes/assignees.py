"""The assignees of a step: the candidates of its node, or its own after a reassignment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db.models import Q, QuerySet

from executions.engine.nodes.behaviour import Person
from executions.models import SUBMIT, Step
from workflows.graph import Node
from workflows.models.candidate import Candidate, node_key, read_assignees, step_key

_NAME: dict[str, Any] = {"type": "string", "minLength": 1}
NAMED: dict[str, Any] = {
    "groups": {
        "title": "Groups",
        "description": "The names of groups. Every member is a candidate.",
        "type": "array",
        "items": {"title": "Group", **_NAME, "format": "group-name"},
        "examples": [["risk"]],
    },
    "users": {
        "title": "Users",
        "description": "The usernames of users.",
        "type": "array",
        "items": {"title": "User", **_NAME, "format": "username"},
        "examples": [["ada"]],
    },
}
"""The schemas of ``groups`` and ``users``."""


def candidates_key(version_id: int | None, node: Node) -> str:
    """Return the key of a node's candidates (``Step.assignees``); empty for everybody."""
    return "" if read_assignees(node.type, node.data) is None else node_key(version_id, node.id)


def current_candidates_key(step: Step, version_id: int | None, node: Node) -> str:
    """Return the key of an open step's candidates: its own key after a reassignment."""
    own = step_key(step.cuid)
    return own if step.assignees == own else candidates_key(version_id, node)


def single_user(key: str) -> Any:
    """Return the user if the candidates are one single user, else None."""
    rows = list(candidates(key)[:2]) if key else []
    return rows[0].user if len(rows) == 1 else None


def candidates(key: str) -> QuerySet[Candidate]:
    """Return the candidates with this key, with their accounts."""
    return Candidate.objects.filter(key=key).select_related("group", "user")


def is_candidate(key: str, user: Person) -> bool:
    """Return True if this user is a candidate, in person or as a member of a group."""
    mine = Q(user=user.pk) | Q(group__user=user.pk)
    return Candidate.objects.filter(mine, key=key).exists()


def eligible_users() -> QuerySet[Any]:
    """Return the active users who may submit forms and vote."""
    app, codename = SUBMIT.split(".")
    may = Permission.objects.filter(content_type__app_label=app, codename=codename).values("pk")
    own = user_rows("user_permissions").filter(permission__in=may).values("user_id")
    by_group = user_rows("groups").filter(group__permissions__in=may).values("user_id")
    users = get_user_model()._default_manager.filter(is_active=True).order_by()
    return users.filter(Q(is_superuser=True) | Q(pk__in=own) | Q(pk__in=by_group))


def user_rows(name: str) -> QuerySet[Any]:
    """Return the rows of a many-to-many field of users."""
    field: Any = get_user_model()._meta.get_field(name)
    rows: QuerySet[Any] = field.remote_field.through._default_manager.order_by()
    return rows


def eligible_candidates(key: str) -> QuerySet[Any]:
    """Return the candidates, and the members of their groups, who may submit forms and vote.

    A user may occur several times.
    """
    rows = Candidate.objects.filter(key=key)
    among = Q(pk__in=rows.filter(user__isnull=False).values("user")) | Q(
        groups__in=rows.filter(group__isnull=False).values("group")
    )
    return eligible_users().filter(among)


def voter_ids(key: str) -> set[int]:
    """Return the ids of the candidates who are active and have the permission to vote."""
    return set(eligible_candidates(key).values_list("pk", flat=True))


def may_submit(key: str, user: Person) -> bool:
    """Return True if this user may submit the form; without candidates, everybody may."""
    return not key or user.is_superuser or is_candidate(key, user)


def find_unknown_users(usernames: Iterable[str]) -> set[str]:
    """Return the usernames that no active user has, with one query."""
    wanted = set(usernames)
    users = get_user_model()._default_manager.filter(is_active=True, username__in=wanted)
    return wanted - set(users.values_list("username", flat=True))
