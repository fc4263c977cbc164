"""Queries for open steps by their assignees."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from executions.engine.nodes.assignees import eligible_users, user_rows
from executions.models import SUBMIT, Step
from workflows.models import Candidate


def executions_for(user: Any) -> QuerySet[Any, Any]:
    """Return the ids of executions with an open step that the user may do."""
    return waiting_for(user).values("execution_id")


def waiting_for(user: Any) -> QuerySet[Step]:
    """Return the open steps that the user may do: assigned to them, or to nobody.

    The candidate keys of the user are read first, so that the list needs one index lookup.
    """
    waiting = Step.objects.for_people()
    if not user.has_perm(SUBMIT):
        return waiting.none()
    mine = Q(user=user) | Q(group__in=user.groups.order_by().values("pk"))
    # The versions of live executions are in force.
    keys = Candidate.objects.filter(mine, version__in_force=True).order_by()
    assigned = ["", *keys.values_list("key", flat=True).distinct()]
    voted = Q(type="approval", votes__user=user)
    return waiting.filter(assignees__in=assigned).exclude(voted)


def unassigned() -> QuerySet[Step]:
    """Return the open steps with too few active assignees who may do them.

    A form needs one, an approval as many as the approvals it needs.
    """
    waiting = Step.objects.for_people()
    in_force = Candidate.objects.filter(version__in_force=True).order_by()
    nobody = in_force.exclude(key__in=with_able_candidates().values("key")).values("key")
    able = eligible_users().values("pk")
    # An account that is a candidate twice can give one approval.
    number = Count(
        Coalesce("group__user", "user"),
        filter=Q(group__user__in=able) | Q(user__in=able),
        distinct=True,
    )
    candidates = Candidate.objects.filter(key=OuterRef("key")).order_by().values("key")
    too_few = in_force.filter(needed__gt=1).filter(
        needed__gt=Subquery(candidates.annotate(able=number).values("able"))
    )
    # An OR of both conditions would scan every open step; a union does not.
    return waiting.filter(assignees__in=nobody.union(too_few.values("key")))


def with_able_candidates(
    *, users: Collection[int] = (), groups: Collection[int] = ()
) -> QuerySet[Candidate]:
    """Return the candidates that include an active account that may submit.

    Args:
        users: the ids of users to ignore because they are being deleted.
        groups: the ids of groups to ignore because they are being deleted.
    """
    able = eligible_users().exclude(pk__in=users).values("pk")
    members = user_rows("groups").filter(user__in=able).exclude(group__in=groups)
    rows: QuerySet[Candidate] = Candidate.objects.order_by()
    return rows.filter(Q(user__in=able) | Q(group__in=members.values("group_id")))
