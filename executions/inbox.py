"""The inbox: what waits for something that a user may do."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from executions.engine.manager import graph_of
from executions.engine.nodes.assignees import is_among
from executions.models import SUBMIT, Step, StepState
from workflows.models import Version
from workflows.refusals import Refusal

FOR_PEOPLE = ("user_action", "approval")


def inbox(user: Any) -> QuerySet[Any, Any]:
    """The ids of the executions with an open step that this user may do."""
    return waiting_for(user).values("execution_id")


def waiting_for(user: Any) -> QuerySet[Step]:
    """The open steps that this user may do: named for it, or where nobody is.

    Who is named stands in the frozen graphs; open steps share few of them, and each graph is
    parsed once.
    """
    waiting = Step.objects.filter(state=StepState.OPEN, type__in=FOR_PEOPLE)
    if not user.has_perm(SUBMIT):
        return waiting.none()
    places: dict[int, list[str]] = {}
    pairs = waiting.order_by().values_list("execution__version_id", "node_id").distinct()
    for version_id, node_id in pairs:
        places.setdefault(version_id, []).append(node_id)
    groups = set(user.groups.values_list("name", flat=True))
    # Versions whose nodes are called alike are asked for at once: each term of a long
    # disjunction is compared with each open step.
    alike: dict[tuple[str, ...], list[int]] = {}
    for version in Version.objects.filter(pk__in=places):
        named = [node for node in places[version.pk] if _is_for(version, node, user, groups)]
        if named:
            alike.setdefault(tuple(sorted(named)), []).append(version.pk)
    mine = Q(pk__in=[])
    for nodes, versions in alike.items():
        mine |= Q(execution__version_id__in=versions, node_id__in=nodes)
    voted = Q(type="approval", votes__username=user.get_username())
    return waiting.filter(mine).exclude(voted)


def _is_for(version: Version, node_id: str, user: Any, groups: set[str]) -> bool:
    try:
        data = graph_of(version).node(node_id).data
    except (Refusal, KeyError):
        # A damaged version is a finding of check_integrity.
        return False
    named = data.get("assignees", data)
    if not named.get("users") and not named.get("groups"):
        return True
    return bool(groups & set(named.get("groups", []))) or is_among(
        {"users": named.get("users", [])}, user
    )
