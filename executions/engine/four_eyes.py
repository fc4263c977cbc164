"""Four eyes: the accounts that an approval excludes from its vote.

``exclude`` of an approval names ``starter`` (the account that started the root) and ``submitter``
(the accounts that submitted a form in the tree of the execution).
"""

from __future__ import annotations

from django.db.models import Q, QuerySet

from executions.engine.nodes.approval import Approval
from executions.engine.nodes.assignees import voter_ids
from executions.models import USER_ACTION, Execution, Step, StepState
from workflows.graph import Node
from workflows.models.candidate import EXCLUDE, STARTER, SUBMITTER


def excluded_ids(step: Step, node: Node) -> set[int]:
    """Return the ids of the accounts that may not vote at an open step.

    A node without ``exclude`` costs no statement.
    """
    excluded = node.data.get(EXCLUDE) if node.type == Approval.name else None
    if not excluded:
        return set()
    own = Execution.objects.filter(pk=step.execution_id).values_list("root", flat=True).first()
    root = own or step.execution_id
    found: set[int | None] = set()
    if STARTER in excluded:
        found.add(Execution.objects.values_list("started_by", flat=True).get(pk=root))
    if SUBMITTER in excluded:
        in_tree = Q(execution=root) | Q(execution__root=root)
        found |= set(submissions().filter(in_tree).values_list("closed_by", flat=True))
    return {pk for pk in found if pk is not None}


def submissions() -> QuerySet[Step]:
    """Return the steps at which somebody has submitted a form; skipped ones have no input."""
    closed = Step.objects.filter(type=USER_ACTION, state=StepState.DONE, input__isnull=False)
    return closed.filter(closed_by__isnull=False).order_by()


def eligible_voters(step: Step, node: Node, key: str) -> set[int]:
    """Return the ids of the accounts that may vote now (the candidates have this key)."""
    return voter_ids(key) - excluded_ids(step, node) if key else set()
