"""Lists of steps by the people they ask: what waits for a user, and what waits for nobody."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from executions.engine.nodes.assignees import able_users, through
from executions.models import SUBMIT, Step
from workflows.models import Candidate


def inbox(user: Any) -> QuerySet[Any, Any]:
    """The ids of the executions with an open step that this user may do."""
    return waiting_for(user).values("execution_id")


def waiting_for(user: Any) -> QuerySet[Step]:
    """The open steps that this user may do: named for it, or where nobody is.

    The keys of the user's candidates are read first: the list itself then is one look at an index.
    """
    waiting = Step.objects.for_people()
    if not user.has_perm(SUBMIT):
        return waiting.none()
    mine = Q(user=user) | Q(group__in=user.groups.order_by().values("pk"))
    # A version that a live execution runs is in force.
    keys = Candidate.objects.filter(mine, version__in_force=True).order_by()
    asked = ["", *keys.values_list("key", flat=True).distinct()]
    voted = Q(type="approval", votes__user=user)
    return waiting.filter(assignees__in=asked).exclude(voted)


def unassigned() -> QuerySet[Step]:
    """The open steps that ask people of whom too few can do them: active accounts that may.

    One is enough for a form; an approval needs as many as it takes approvals.
    """
    waiting = Step.objects.for_people()
    in_force = Candidate.objects.filter(version__in_force=True).order_by()
    nobody = in_force.exclude(key__in=answered().values("key")).values("key")
    able = able_users().values("pk")
    # One account that is named twice, or in two of the groups, can give one approval.
    number = Count(
        Coalesce("group__user", "user"),
        filter=Q(group__user__in=able) | Q(user__in=able),
        distinct=True,
    )
    asked = Candidate.objects.filter(key=OuterRef("key")).order_by().values("key")
    too_few = in_force.filter(needed__gt=1).filter(
        needed__gt=Subquery(asked.annotate(able=number).values("able"))
    )
    # A union, for an OR of both would look at every step that waits.
    return waiting.filter(assignees__in=nobody.union(too_few.values("key")))


def answered(*, users: Collection[int] = (), groups: Collection[int] = ()) -> QuerySet[Candidate]:
    """The candidates among which there is an active account that may submit.

    Args:
        users, groups: the ids of accounts that are about to go, which do not count.
    """
    able = able_users().exclude(pk__in=users).values("pk")
    members = through("groups").filter(user__in=able).exclude(group__in=groups)
    rows: QuerySet[Candidate] = Candidate.objects.order_by()
    return rows.filter(Q(user__in=able) | Q(group__in=members.values("group_id")))
