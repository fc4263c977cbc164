"""Counting votes: when one is given, and again when those who may vote have changed."""

from __future__ import annotations

import logging

from django.db import transaction
from django.db.models import Exists, OuterRef

from executions import guards
from executions.engine.nodes.approval import Approval
from executions.engine.nodes.assignees import voters
from executions.engine.run import NodeVisit
from executions.models import Execution, PeopleChange, Step, StepState, Vote
from executions.services.advancing import locked_advance, visit_to
from workflows.db import locks
from workflows.guards.database_errors import translated
from workflows.refusals import Refusal

logger = logging.getLogger(__name__)

BATCH = 1_000


def count_votes(visit: NodeVisit) -> None:
    """Leave the step if the votes of the accounts that may vote now decide it.

    Raises:
        behaviour.NotAwaited: the step is no approval.
    """
    may_vote = voters(visit.asks) if visit.asks else set()
    votes = list(Vote.objects.filter(step=visit.step, user__in=may_vote))
    visit.behaviour.decide(visit, votes, len(may_vote))


def count_votes_again() -> int:
    """Count the open votes again if users, groups or memberships have changed since the last time.

    Returns:
        How many votes were decided by it.
    """
    changes = list(PeopleChange.objects.values_list("pk", flat=True)[:BATCH])
    if not changes:
        return 0
    given = Vote.objects.filter(step=OuterRef("pk"))
    waiting = Step.objects.filter(state=StepState.OPEN, type=Approval.name)
    steps = waiting.filter(Exists(given)).select_related("execution__version").order_by("pk")
    decided = sum(_count_again(step) for step in list(steps))
    # Last: a round that was interrupted is made again.
    PeopleChange.objects.filter(pk__in=changes).delete()
    return decided


def _count_again(step: Step) -> bool:
    try:
        return _decided(step.execution, step.cuid)
    except (Refusal, locks.Contention) as error:
        # It has ended or gone on meanwhile, or its graph is damaged.
        logger.info("The votes of step %s were not counted again: %s", step.cuid, error)
    return False


@translated
@locks.retrying
def _decided(execution: Execution, cuid: str) -> bool:
    with transaction.atomic():
        try:
            visit = visit_to(locked_advance(execution, None), None, cuid)
        except (guards.Ended, guards.NotOpen):
            return False
        count_votes(visit)
        if visit.step.is_open:
            return False
        visit.advance.finish()
        return True
