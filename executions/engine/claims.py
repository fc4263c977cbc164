"""Claims: a candidate takes an open step, and nobody else may do it meanwhile.

A claim binds only while its account may do the step. So a step is never stranded by an account that
is deactivated, deleted or leaves its group.
"""

from __future__ import annotations

from typing import Any

from executions import guards
from executions.engine.four_eyes import excluded_ids
from executions.engine.nodes.approval import Approval
from executions.engine.nodes.assignees import eligible_users, is_candidate, may_submit
from executions.engine.nodes.behaviour import Person
from executions.models import Step
from workflows.graph import Node
from workflows.refusals import Remedy


def may_do(step: Step, node: Node, key: str, user: Person) -> bool:
    """Return True if this user may do the step, whose candidates have this key."""
    if node.type == Approval.name:
        return is_candidate(key, user) and user.pk not in excluded_ids(step, node)
    return may_submit(key, user)


def find_claimer(step: Step, node: Node, key: str) -> Any:
    """Return the account whose claim binds, or None."""
    if step.claimed_by_id is None:
        return None
    user = eligible_users().filter(pk=step.claimed_by_id).first()
    return user if user is not None and may_do(step, node, key, user) else None


def refuse_claimed(step: Step, node: Node, key: str, user: Person | None) -> None:
    """Raise ``guards.Claimed`` if somebody else has claimed the step.

    A claim costs no statement unless somebody else has it.
    """
    if user is None or step.claimed_by_id in (None, user.pk):
        return
    claimer = find_claimer(step, node, key)
    if claimer is None:
        return
    values = {"step": step.label or step.node_id, "user": claimer.get_username()}
    raise guards.Claimed(
        guards.Claimed.exact_message.format(**values),
        remedies=[Remedy("unclaim", guards.Claimed.remedy.format(**values))],
    )
