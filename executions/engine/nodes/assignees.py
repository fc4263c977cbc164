"""The people that a step asks: the candidates of its node, or its own after a reassignment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db.models import Q, QuerySet

from executions.engine.nodes.behaviour import Person
from executions.models import SUBMIT, Step
from workflows.graph import Node
from workflows.models.candidate import Candidate, named_by, node_key, step_key

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


def asked(version_id: int | None, node: Node) -> str:
    """Return the key of the candidates that a node names (``Step.assignees``); empty for all."""
    return "" if named_by(node.type, node.data) is None else node_key(version_id, node.id)


def asked_at(step: Step, version_id: int | None, node: Node) -> str:
    """Return the key of the candidates of an open step: its own where it was reassigned."""
    own = step_key(step.cuid)
    return own if step.assignees == own else asked(version_id, node)


def only_user(key: str) -> Any:
    """Return the one account that these candidates are; None where more may be meant."""
    rows = list(candidates(key)[:2]) if key else []
    return rows[0].user if len(rows) == 1 else None


def candidates(key: str) -> QuerySet[Candidate]:
    """Return the candidates with this key, with their accounts."""
    return Candidate.objects.filter(key=key).select_related("group", "user")


def is_among(key: str, user: Person) -> bool:
    """Say whether these candidates are this user, alone or as a member of a group."""
    mine = Q(user=user.pk) | Q(group__user=user.pk)
    return Candidate.objects.filter(mine, key=key).exists()


def able_users() -> QuerySet[Any]:
    """The active accounts that may fill in forms and vote."""
    app, codename = SUBMIT.split(".")
    may = Permission.objects.filter(content_type__app_label=app, codename=codename).values("pk")
    own = through("user_permissions").filter(permission__in=may).values("user_id")
    by_group = through("groups").filter(group__permissions__in=may).values("user_id")
    users = get_user_model()._default_manager.filter(is_active=True).order_by()
    return users.filter(Q(is_superuser=True) | Q(pk__in=own) | Q(pk__in=by_group))


def through(name: str) -> QuerySet[Any]:
    """Return the rows between users and what this field of theirs names."""
    field: Any = get_user_model()._meta.get_field(name)
    rows: QuerySet[Any] = field.remote_field.through._default_manager.order_by()
    return rows


def voters(key: str) -> set[int]:
    """Return the ids of the accounts that may vote now: the candidates who can log in and may."""
    rows = Candidate.objects.filter(key=key)
    among = Q(pk__in=rows.filter(user__isnull=False).values("user")) | Q(
        groups__in=rows.filter(group__isnull=False).values("group")
    )
    return set(able_users().filter(among).values_list("pk", flat=True))


def may_submit(key: str, user: Person) -> bool:
    """Say whether this user may fill in a form; everybody may where nobody is named."""
    return not key or user.is_superuser or is_among(key, user)


def unknown_among(usernames: Iterable[str]) -> set[str]:
    """Those of these names that nobody has who can still log in; one look for all of them."""
    wanted = set(usernames)
    users = get_user_model()._default_manager.filter(is_active=True, username__in=wanted)
    return wanted - set(users.values_list("username", flat=True))
