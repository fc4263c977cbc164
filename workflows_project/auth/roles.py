"""Roles: groups with predefined permissions.

A migration creates the groups once. Later changes by maintainers are kept. The command
``create_roles`` lists the differences, and resets groups with ``--reset``.
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
PARTICIPANT = VIEWER | {"executions.submit_execution", "executions.add_comment"}
DESIGNER = (
    VIEWER
    | _on("workflows", "findingtype", "recordtype", "workflow", actions=ALL)
    | {"workflows.add_version"}
)
OPERATOR = (
    VIEWER
    | _on("executions", "finding", "inventorymodel", actions=ALL)
    | {
        "executions.add_comment",
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
    | _on("holdfast", "failedlogins", actions=("view", "delete"))
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
    """The difference between a group and its role."""

    role: str
    is_missing: bool
    lacks: list[str]
    has_more: list[str]


def find_differences(names: Iterable[str] = ROLES) -> list[Difference]:
    """Return how the groups of these roles differ from the roles, without groups that do not."""
    found = []
    for name in names:
        current = _permissions_of(name)
        lacks, has_more = sorted(ROLES[name] - current), sorted(current - ROLES[name])
        is_missing = not Group.objects.filter(name=name).exists()
        if lacks or has_more:
            found.append(Difference(name, is_missing, lacks, has_more))
    return found


def _permissions_of(group: str) -> set[str]:
    rows = Permission.objects.filter(group__name=group)
    names = rows.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in names}


def reset_groups(found: Iterable[Difference]) -> None:
    """Give these groups the permissions of their roles, all or none."""
    with transaction.atomic():
        rows = Permission.objects.select_related("content_type")
        known = {f"{row.content_type.app_label}.{row.codename}": row for row in rows}
        for row in found:
            group, _ = Group.objects.get_or_create(name=row.role)
            group.permissions.add(*(known[name] for name in row.lacks))
            group.permissions.remove(*(known[name] for name in row.has_more))
