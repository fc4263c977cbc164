"""Users and groups that open steps ask: what keeps one from being deleted."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.assignees import able_users
from executions.inbox import answered
from executions.models import FOR_PEOPLE, LIVE, Execution, Step, StepState
from workflows.guards import blocking_executions, count
from workflows.models import Candidate
from workflows.refusals import Blockers, Refusal, Remedy

REASSIGN = _("Reassign these steps to others first.")
LISTED = 100


class PeopleInUse(Refusal):
    message = _("Open steps ask this group or user, and nobody else can do them.")
    code = "in_use"


def refuse_people_deletion(row: Any, going: Collection[int]) -> None:
    """Refuse to delete a group or user that an open step asks, unless others remain.

    Args:
        row: the group or user.
        going: the ids of all of its kind that are deleted together, its own among them.

    Raises:
        PeopleInUse: nobody else could do one of the steps.
    """
    is_group = isinstance(row, Group)
    gone: dict[str, Collection[int]] = {"groups" if is_group else "users": going}
    asked = Step.objects.filter(
        state=StepState.OPEN, type__in=FOR_PEOPLE, assignees__in=_asking(row).values("key")
    )
    alone = asked.exclude(assignees__in=answered(**gone).values("key"))
    executions = Execution.objects.filter(status__in=LIVE, pk__in=alone.values("execution_id"))
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


def _asking(row: Any) -> QuerySet[Candidate]:
    """The candidates that are this group or user; with the groups of a user who can do steps."""
    candidates: QuerySet[Candidate] = Candidate.objects.order_by()
    if isinstance(row, Group):
        return candidates.filter(group=row)
    among = Q(user=row)
    if able_users().filter(pk=row.pk).exists():
        among |= Q(group__in=row.groups.order_by().values("pk"))
    return candidates.filter(among)


def cascade_of(row: Any) -> dict[str, Any]:
    """Return what goes along with a group or user that is deleted, for the audit log."""
    if isinstance(row, Group):
        members = [user.get_username() for user in row.user_set.order_by("pk")[:LISTED]]
        own: dict[str, Any] = {"name": row.name, "members": members}
        asked = Candidate.objects.filter(group=row)
    else:
        groups = list(row.groups.order_by("pk").values_list("name", flat=True)[:LISTED])
        own = {"name": row.get_username(), "groups": groups}
        asked = Candidate.objects.filter(user=row)
    places = asked.select_related("version__workflow").order_by("-version_id", "pk")[:LISTED]
    own["candidate_of"] = [
        {
            "workflow": one.version.workflow.cuid,
            "version": one.version.number,
            "node": one.node_id,
            **({"step": one.step} if one.step else {}),
        }
        for one in places
    ]
    return own
