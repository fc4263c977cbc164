"""Votes: giving one, counting them, and counting again when the voters have changed."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef

from executions import guards
from executions.engine.claims import refuse_claimed
from executions.engine.four_eyes import eligible_voters, excluded_ids
from executions.engine.node_visit import NodeVisit
from executions.engine.nodes.approval import Approval
from executions.engine.nodes.assignees import is_candidate
from executions.models import Execution, PeopleChange, Step, StepState, Vote
from executions.services.advancing import lock_tree, visit_open_step
from executions.services.claiming import end_claim, release_lost_claims
from workflows.audit.log import Action, make_attempt, record
from workflows.db import locks
from workflows.guards.database_errors import translate_database_errors
from workflows.refusals import Attempt, Refusal

logger = logging.getLogger(__name__)

BATCH = 1_000


@translate_database_errors
@locks.retrying
def vote(
    execution: Execution,
    *,
    approves: bool,
    by: Any,
    node: str | None = None,
    step: str | None = None,
    notes: str = "",
) -> Execution:
    """Approve or reject at an open approval; a second vote of an account replaces its first.

    The step is left when the votes decide it.

    Raises:
        guards.NotOpen, guards.ExecutionEnded: as ``submit``.
        guards.NotAssigned: ``by`` may not vote here.
        guards.ExcludedVoter: ``by`` has started the execution or submitted a form in it.
        guards.Claimed: somebody else has claimed the step.
        behaviour.NotAwaited: the step is no approval.
    """
    with transaction.atomic():
        visit = visit_open_step(lock_tree(execution, by), node, step)
        earlier = None
        released: list[Attempt] = []
        if visit.node.type == Approval.name:
            earlier = _write_vote(visit, by, approves, notes)
            if visit.step.claimed_by_id is not None:
                # The voter has done their part: the others can vote now.
                released = [end_claim(visit, "", by)]
        count_votes(visit)
        visit.advance.finish()
        current = visit.run.execution
        after = {"node": visit.node.id, "approves": approves, "notes": notes}
        # A vote may be changed until the step is decided: the audit log has each of them.
        voted = make_attempt(current, Action.VOTED, before=earlier, after=after, by=by)
        # A claim of a step that is done ends with it.
        record([voted, *(released if visit.step.is_open else [])])
        return current


def _write_vote(visit: NodeVisit, by: Any, approves: bool, notes: str) -> dict[str, Any] | None:
    """Store the vote, and return the one that it replaces."""
    if not is_candidate(visit.candidates_key, by):
        raise guards.NotAssigned(f"Others vote on “{visit.node.label}”.")
    if by.pk in excluded_ids(visit.step, visit.node):
        raise guards.ExcludedVoter
    refuse_claimed(visit.step, visit.node, visit.candidates_key, by)
    votes = Vote.objects.filter(step=visit.step, user=by)
    row = votes.values("approves", "notes").first()
    earlier = dict(row) if row else None
    Vote.objects.update_or_create(
        step=visit.step,
        user=by,
        defaults={
            "username": by.get_username(),
            "approves": approves,
            "notes": notes,
            "at": visit.now,
        },
    )
    # Clients that poll see each vote, also one that decides nothing.
    visit.advance.mark_changed(visit.step)
    return earlier


def count_votes(visit: NodeVisit) -> None:
    """Leave the step if the votes of the accounts that may vote now decide it.

    Raises:
        behaviour.NotAwaited: the step is no approval.
    """
    may_vote = eligible_voters(visit.step, visit.node, visit.candidates_key)
    votes = list(Vote.objects.filter(step=visit.step, user__in=may_vote))
    visit.behaviour.decide(visit, votes, len(may_vote))


def recount_votes() -> int:
    """Recount the votes of open approvals if users, groups or memberships have changed, and
    release the claims of accounts that may no longer do their step.

    Returns:
        The number of steps that the recount decided.
    """
    changes = list(PeopleChange.objects.values_list("pk", flat=True)[:BATCH])
    if not changes:
        return 0
    given = Vote.objects.filter(step=OuterRef("pk"))
    waiting = Step.objects.filter(state=StepState.OPEN, type=Approval.name)
    steps = waiting.filter(Exists(given)).select_related("execution__version").order_by("pk")
    decided = sum(_recount(step) for step in list(steps))
    release_lost_claims()
    # Deleted last: a recount that was interrupted is repeated.
    PeopleChange.objects.filter(pk__in=changes).delete()
    return decided


def _recount(step: Step) -> bool:
    try:
        return _decide_step(step.execution, step.cuid)
    except (Refusal, locks.Contention) as error:
        # The graph is damaged, or others have locked the rows.
        logger.info("The votes of step %s were not recounted: %s", step.cuid, error)
    return False


@translate_database_errors
@locks.retrying
def _decide_step(execution: Execution, cuid: str) -> bool:
    with transaction.atomic():
        try:
            visit = visit_open_step(lock_tree(execution, None), None, cuid)
        except (guards.ExecutionEnded, guards.NotOpen):
            return False
        count_votes(visit)
        if visit.step.is_open:
            return False
        visit.advance.finish()
        return True
