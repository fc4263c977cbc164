"""The inbox: what waits for something that a user may do."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from executions.engine.nodes.assignees import asks
from executions.models import SUBMIT, Step


def inbox(user: Any) -> QuerySet[Any, Any]:
    """The ids of the executions with an open step that this user may do."""
    return waiting_for(user).values("execution_id")


def waiting_for(user: Any) -> QuerySet[Step]:
    """The open steps that this user may do: named for it, or where nobody is.

    Much waits, but few are asked in how many ways: those are read, and each is judged once.
    """
    waiting = Step.objects.for_people()
    if not user.has_perm(SUBMIT):
        return waiting.none()
    groups = set(user.groups.values_list("name", flat=True))
    asked = waiting.order_by().values_list("assignees", flat=True).distinct()
    mine = [assignees for assignees in asked if asks(assignees, user.get_username(), groups)]
    voted = Q(type="approval", votes__username=user.get_username())
    return waiting.filter(assignees__in=mine).exclude(voted)
