"""What each role may do: a role is a group, and these are the permissions that it is made with.

A migration makes the groups, once: what a maintainer changes in them stays. ``create_roles`` says
where a group and this table differ, and makes them equal when it is told to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import Group, Permission
from django.db import transaction

ALL = ("add", "change", "delete", "view")


def _on(app: str, *models: str, actions: Iterable[str] = ("view",)) -> frozenset[str]:
    return frozenset(f"{app}.{action}_{model}" for model in models for action in actions)


VIEWER = _on(
    "workflows",
    *("findingtype", "recordtype", "workflow", "version", "reference"),
    *("pendingchange", "pendingworkflow"),
) | _on("executions", "entity", "finding", "inventorymodel", "execution", "pin", "step", "vote")
PARTICIPANT = VIEWER | {"executions.submit_execution"}
DESIGNER = (
    VIEWER
    | _on("workflows", "findingtype", "recordtype", "workflow", actions=ALL)
    | {"workflows.add_version"}
)
OPERATOR = (
    VIEWER
    | _on("executions", "finding", "inventorymodel", actions=ALL)
    | {
        "executions.add_execution",
        "executions.change_execution",
        "executions.redeliver_outgoingdelivery",
        "workflows.change_entity_context",
    }
    | _on("executions", "subscription", "outgoingdelivery")
)
ADMINISTRATOR = (
    PARTICIPANT
    | DESIGNER
    | OPERATOR
    | {"workflows.view_auditentry", "workflows.share_savedfilter", "admin.view_logentry"}
    | _on("executions", "secret", "subscription", actions=ALL)
    | _on("auth", "user", "group", actions=ALL)
    | _on("knox", "authtoken", actions=("view", "delete"))
)
ROLES: dict[str, frozenset[str]] = {
    "viewer": VIEWER,
    "participant": PARTICIPANT,
    "designer": DESIGNER,
    "operator": OPERATOR,
    "administrator": ADMINISTRATOR,
}
"""The permissions of each role (``app.codename``), by the name of its group."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How a group differs from its role."""

    role: str
    is_missing: bool
    lacks: list[str]
    has_more: list[str]


def differences(names: Iterable[str] = ROLES) -> list[Difference]:
    """How the groups of these roles differ from the table; those that do not are left out."""
    found = []
    for name in names:
        held = _held(name)
        lacks, has_more = sorted(ROLES[name] - held), sorted(held - ROLES[name])
        is_missing = not Group.objects.filter(name=name).exists()
        if lacks or has_more:
            found.append(Difference(name, is_missing, lacks, has_more))
    return found


def _held(group: str) -> set[str]:
    rows = Permission.objects.filter(group__name=group)
    named = rows.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in named}


def put_right(found: Iterable[Difference]) -> None:
    """Make these groups what their roles are: all of them or none."""
    with transaction.atomic():
        rows = Permission.objects.select_related("content_type")
        known = {f"{row.content_type.app_label}.{row.codename}": row for row in rows}
        for row in found:
            group, _ = Group.objects.get_or_create(name=row.role)
            group.permissions.add(*(known[name] for name in row.lacks))
            group.permissions.remove(*(known[name] for name in row.has_more))
