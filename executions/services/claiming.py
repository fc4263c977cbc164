"""Claiming an open step, and giving it back."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from executions import guards
from executions.engine.claims import find_claimer, may_do, refuse_claimed
from executions.engine.four_eyes import excluded_ids
from executions.engine.node_visit import NodeVisit
from executions.engine.nodes.assignees import eligible_users
from executions.models import FOR_PEOPLE, OPERATE, Execution, Step, StepState
from executions.services.advancing import lock_tree, visit_open_step
from executions.services.decisions import require_reason
from workflows.audit.log import Action, make_attempt, record, recording_refusals
from workflows.db import locks
from workflows.guards.database_errors import translate_database_errors
from workflows.models import Candidate
from workflows.models.candidate import EXCLUDES_SOMEBODY
from workflows.refusals import Attempt, Refusal

logger = logging.getLogger(__name__)

LOST = "The account may no longer do the step."


class NotClaimable(Refusal):
    message = _("Only open forms and approvals can be claimed.")
    code = "not_claimable"


@translate_database_errors
@locks.retrying
def claim(
    execution: Execution, *, by: Any, node: str | None = None, step: str | None = None
) -> Execution:
    """Take an open form or approval: nobody else may do it until it is unclaimed or reassigned.

    A step that ``by`` has claimed already stays as it is.

    Raises:
        guards.NotOpen, guards.ExecutionEnded: as ``submit``.
        guards.NotAssigned: the step is assigned to others.
        guards.ExcludedVoter: as ``vote``.
        guards.Claimed: somebody else has claimed it.
        NotClaimable: the step does not wait for people.
    """
    with transaction.atomic():
        visit = visit_open_step(lock_tree(execution, by), node, step)
        current, row = visit.run.execution, visit.step
        if row.type not in FOR_PEOPLE or row.state != StepState.OPEN:
            raise NotClaimable
        if by.pk in excluded_ids(row, visit.node):
            raise guards.ExcludedVoter
        if not may_do(row, visit.node, visit.candidates_key, by):
            raise guards.NotAssigned(f"Step “{visit.node.label}” is assigned to others.")
        if row.claimed_by_id == by.pk:
            return current
        refuse_claimed(row, visit.node, visit.candidates_key, by)
        before = _values(visit)
        write_claim(visit, by)
        visit.advance.finish()
        after = _values(visit)
        record([make_attempt(current, Action.CLAIMED, before=before, after=after, by=by)])
        return current


def unclaim(
    execution: Execution,
    *,
    by: Any,
    node: str | None = None,
    step: str | None = None,
    why: str = "",
) -> Execution:
    """Give a claimed step back to its candidates.

    Args:
        by: the account that has claimed the step, or an operator.
        why: the reason; operators have to give one for the claim of somebody else.

    Raises:
        guards.NotOpen, guards.ExecutionEnded: as ``submit``.
        guards.NotAssigned: ``by`` is neither an operator nor the account that has claimed it.
        guards.NotClaimed: nobody has claimed the step.
        ReasonRequired: ``why`` is blank.
    """
    after = {"node": node or step}
    with recording_refusals(
        lambda: [make_attempt(execution, Action.UNCLAIMED, after=after, why=why, by=by)]
    ):
        return _unclaim(execution, by, node, step, why)


@translate_database_errors
@locks.retrying
def _unclaim(
    execution: Execution, by: Any, node: str | None, step: str | None, why: str
) -> Execution:
    with transaction.atomic():
        visit = visit_open_step(lock_tree(execution, by), node, step)
        if visit.step.claimed_by_id is None or visit.step.claimed_by_id != by.pk:
            _refuse_unclaim(visit, by, why)
        _release(visit, why, by)
        return visit.run.execution


def _refuse_unclaim(visit: NodeVisit, by: Any, why: str) -> None:
    if not by.has_perm(OPERATE):
        raise guards.NotAssigned("Only an operator can unclaim a step for somebody else.")
    if visit.step.claimed_by_id is None:
        raise guards.NotClaimed
    require_reason(why)


def _release(visit: NodeVisit, why: str, by: Any) -> None:
    released = end_claim(visit, why, by)
    visit.advance.finish()
    record([released])


def end_claim(visit: NodeVisit, why: str, by: Any) -> Attempt:
    """Release the claim of a step; return the entry for the audit log."""
    before = _values(visit)
    write_claim(visit, None)
    after = _values(visit)
    current = visit.run.execution
    return make_attempt(current, Action.UNCLAIMED, before=before, after=after, why=why, by=by)


def write_claim(visit: NodeVisit, user: Any) -> None:
    """Store who has claimed the step; None for nobody. The caller finishes the advance."""
    step = visit.step
    step.claimed_by, step.claimed_at = user, None if user is None else visit.now
    rows = Step._base_manager.filter(pk=step.pk)
    rows.update(claimed_by=user, claimed_at=step.claimed_at)
    # The execution shows the claim, so it has changed too.
    visit.advance.mark_changed(step)


def _values(visit: NodeVisit) -> dict[str, Any]:
    users: Any = get_user_model()._base_manager
    # Without a database key, the account may be missing.
    user = users.filter(pk=visit.step.claimed_by_id).first()
    name = None if user is None else user.get_username()
    return {"node": visit.node.id, "step": visit.step.cuid, "claimed_by": name}


def release_lost_claims() -> int:
    """Release the claims of accounts that may no longer do their step.

    Such a claim does not bind, so that this only corrects what lists show.

    Returns:
        The number of released claims.
    """
    user = OuterRef("claimed_by")
    candidates = Candidate.objects.filter(Q(user=user) | Q(group__user=user))
    is_candidate = Q(assignees="") | Exists(candidates.filter(key=OuterRef("assignees")))
    claimed = Step.objects.for_people().filter(claimed_by__isnull=False)
    excluding = Candidate.objects.filter(EXCLUDES_SOMEBODY)
    is_excluding = Q(assignees__in=excluding.values("key"))
    able = Q(claimed_by__in=eligible_users().values("pk")) & is_candidate & ~is_excluding
    lost = claimed.exclude(able)
    steps = lost.select_related("execution__version").order_by("pk")
    return sum(_release_if_lost(step) for step in list(steps))


def _release_if_lost(step: Step) -> bool:
    try:
        return _release_lost(step)
    except (Refusal, locks.Contention) as error:
        # The graph is damaged, or others have locked the rows.
        logger.info("The claim of step %s was not released: %s", step.cuid, error)
    return False


@translate_database_errors
@locks.retrying
def _release_lost(step: Step) -> bool:
    with transaction.atomic():
        try:
            visit = visit_open_step(lock_tree(step.execution, None), None, step.cuid)
        except (guards.ExecutionEnded, guards.NotOpen):
            return False
        row = visit.step
        key = visit.candidates_key
        if row.claimed_by_id is None or find_claimer(row, visit.node, key) is not None:
            return False
        _release(visit, LOST, None)
        return True
