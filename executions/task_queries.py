"""Queries for open steps by their assignees."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from executions.engine.four_eyes import submissions
from executions.engine.nodes.assignees import eligible_users, user_rows
from executions.engine.unassigned_sql import IsUnassigned
from executions.models import SUBMIT, Execution, Step
from workflows.models import Candidate
from workflows.models.candidate import EXCLUDES_SOMEBODY


def executions_for(user: Any) -> QuerySet[Any, Any]:
    """Return the ids of executions with an open step that the user may do."""
    return waiting_for(user).values("execution_id")


def waiting_for(user: Any, among: Any = Step.objects) -> QuerySet[Step]:
    """Return the open steps that the user may do: assigned to them, or to nobody.

    The candidate keys of the user are read first, so that the list needs one index lookup.

    Args:
        among: the steps to choose from.
    """
    waiting: QuerySet[Step] = among.for_people()
    if not user.has_perm(SUBMIT):
        return waiting.none()
    mine = Q(user=user) | Q(group__in=user.groups.order_by().values("pk"))
    # The versions of live executions are in force.
    candidates = Candidate.objects.filter(mine, version__in_force=True).order_by()
    flags = ("key", "excludes_starter", "excludes_submitters")
    keys = list(candidates.values_list(*flags).distinct())
    voted = Q(type="approval", votes__user=user)
    steps = waiting.filter(assignees__in=["", *(key for key, *_ in keys)]).exclude(voted)
    root = Coalesce(OuterRef("execution__root"), OuterRef("execution"))
    started = Execution.objects.filter(pk=root, started_by=user)
    if excluding := [key for key, excludes_starter, _ in keys if excludes_starter]:
        steps = steps.exclude(Q(assignees__in=excluding) & Exists(started))
    own = submissions().filter(closed_by=user)
    submitted = own.annotate(tree=Coalesce("execution__root", "execution")).filter(tree=root)
    if excluding := [key for key, _, excludes_submitters in keys if excludes_submitters]:
        steps = steps.exclude(Q(assignees__in=excluding) & Exists(submitted))
    return steps


def unassigned() -> QuerySet[Step]:
    """Return the open steps with too few active assignees who may do them.

    A form needs one, an approval as many as the approvals it needs, without those whom it excludes.
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
    excluding = in_force.filter(EXCLUDES_SOMEBODY)
    # An OR of both conditions would scan every open step; a union does not.
    by_key = Q(assignees__in=nobody.union(too_few.values("key")))
    # Few steps exclude somebody. Read beforehand, because SQLite limits the depth of a query.
    by_step = waiting.filter(IsUnassigned(), assignees__in=excluding.values("key")).order_by()
    ids = list(by_step.values_list("pk", flat=True))
    return waiting.filter(by_key | Q(pk__in=ids) if ids else by_key)


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
