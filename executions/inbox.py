"""The inbox: what waits for something that a user may do."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from executions.engine.manager import graphs_of
from executions.engine.nodes.assignees import is_among
from executions.models import SUBMIT, Execution, Step, StepState
from workflows.graph import Node
from workflows.models import Version

FOR_PEOPLE = ("user_action", "approval")


def inbox(user: Any) -> QuerySet[Any, Any]:
    """The ids of the executions with an open step that this user may do."""
    return waiting_for(user).values("execution_id")


def waiting_for(user: Any) -> QuerySet[Step]:
    """The open steps that this user may do: named for it, or where nobody is.

    Who is named stands in the frozen graphs; what is live shares few of them, and each graph is
    parsed once.
    """
    waiting = Step.objects.filter(state=StepState.OPEN, type__in=FOR_PEOPLE)
    if not user.has_perm(SUBMIT):
        return waiting.none()
    live = Version.objects.filter(pk__in=Execution.objects.live().order_by().values("version"))
    groups = set(user.groups.values_list("name", flat=True))
    # Versions whose nodes are called alike are asked for at once: each term of a long
    # disjunction is compared with each open step.
    alike: dict[tuple[str, ...], list[int]] = {}
    for version_id, graph in graphs_of(live).items():
        named = [node.id for node in graph.nodes.values() if _is_for(node, user, groups)]
        if named:
            alike.setdefault(tuple(sorted(named)), []).append(version_id)
    mine = Q(pk__in=[])
    for nodes, versions in alike.items():
        mine |= Q(execution__version_id__in=versions, node_id__in=nodes)
    # What has ended of these versions is no open step's; an index knows what is live.
    mine &= Q(execution__live_key__isnull=False)
    voted = Q(type="approval", votes__username=user.get_username())
    return waiting.filter(mine).exclude(voted)


def _is_for(node: Node, user: Any, groups: set[str]) -> bool:
    if node.type not in FOR_PEOPLE:
        return False
    named = node.data.get("assignees", node.data)
    if not named.get("users") and not named.get("groups"):
        return True
    return bool(groups & set(named.get("groups", []))) or is_among(
        {"users": named.get("users", [])}, user
    )
