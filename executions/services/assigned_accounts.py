"""The guard against deleting a group or user that is assigned to open steps."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.assignees import eligible_users
from executions.engine.unassigned_sql import IsUnassigned
from executions.models import LIVE, Execution, Step
from executions.task_queries import with_able_candidates
from workflows.guards import blocking_executions, count
from workflows.models import Candidate
from workflows.models.candidate import EXCLUDES_SOMEBODY
from workflows.refusals import Blockers, Refusal, Remedy

REASSIGN = _("Reassign these steps to others first.")
MAX_LISTED = 100


class PeopleInUse(Refusal):
    message = _("Open steps are assigned to this group or user, and nobody else can do them.")
    code = "in_use"


def refuse_people_deletion(row: Any, deleted: Collection[int]) -> None:
    """Refuse to delete a group or user whose open steps nobody else could do.

    Args:
        row: the group or user.
        deleted: the ids of all groups (or users) that are deleted together, including ``row``.

    Raises:
        PeopleInUse: nobody else could do one of the steps.
    """
    is_group = isinstance(row, Group)
    without: dict[str, Collection[int]] = {"groups" if is_group else "users": deleted}
    assigned = Step.objects.for_people().filter(assignees__in=_candidates(row).values("key"))
    alone = assigned.exclude(assignees__in=with_able_candidates(**without).values("key"))
    excluding = Candidate.objects.filter(EXCLUDES_SOMEBODY)
    # Others remain, but a step may exclude all of them.
    excluded = assigned.filter(IsUnassigned(**without), assignees__in=excluding.values("key"))
    ids = excluded.exclude(IsUnassigned()).order_by().values_list("execution_id", flat=True)
    at_them = Q(pk__in=alone.values("execution_id")) | Q(pk__in=list(ids))
    executions = Execution.objects.filter(at_them, status__in=LIVE)
    rows, total = blocking_executions(executions)
    if rows:
        noun = "group" if is_group else "user"
        raise PeopleInUse(
            f"Cannot delete the {noun} “{row}”: {count(total, 'live execution')} "
            f"{'waits' if total == 1 else 'wait'} at a step that nobody else can do.",
            blockers=Blockers(rows, (), total),
            remedies=[
                Remedy("reassign", str(REASSIGN), sorted({one.workflow_cuid for one in rows}))
            ],
        )


def _candidates(row: Any) -> QuerySet[Candidate]:
    """Return the candidate rows of a group or user.

    For a user who may submit, they include the rows of the user's groups.
    """
    candidates: QuerySet[Candidate] = Candidate.objects.order_by()
    if isinstance(row, Group):
        return candidates.filter(group=row)
    matches = Q(user=row)
    if eligible_users().filter(pk=row.pk).exists():
        matches |= Q(group__in=row.groups.order_by().values("pk"))
    return candidates.filter(matches)


def cascade_of(row: Any) -> dict[str, Any]:
    """Return the memberships and candidacies that are deleted with a group or user."""
    if isinstance(row, Group):
        members = [user.get_username() for user in row.user_set.order_by("pk")[:MAX_LISTED]]
        own: dict[str, Any] = {"name": row.name, "members": members}
        candidates = Candidate.objects.filter(group=row)
    else:
        groups = list(row.groups.order_by("pk").values_list("name", flat=True)[:MAX_LISTED])
        own = {"name": row.get_username(), "groups": groups}
        candidates = Candidate.objects.filter(user=row)
    rows = candidates.select_related("version__workflow").order_by("-version_id", "pk")[:MAX_LISTED]
    own["candidate_of"] = [
        {
            "workflow": one.version.workflow.cuid,
            "version": one.version.number,
            "node": one.node_id,
            **({"step": one.step} if one.step else {}),
        }
        for one in rows
    ]
    return own
