"""Retrying an open step."""

from __future__ import annotations

from typing import Unpack

from executions import guards, wakeups
from executions.engine.node_visit import NodeVisit
from executions.engine.nodes.join import Join
from executions.models import Execution, Job, JobKind, StepState
from executions.services.decisions import StepDecision, decide, reset_timers
from executions.services.postponing import job_to_postpone
from workflows.audit.log import Action
from workflows.graph import RUN_WORKFLOW
from workflows.models.candidate import DEADLINE
from workflows.refusals import Remedy

OUTGOING = (JobKind.MAIL, JobKind.CALL)


def retry(execution: Execution, **decision: Unpack[StepDecision]) -> Execution:
    """Enter an open step again: remove its incident and compute its dates anew.

    A wait reads its date again, and the deadline of a webhook starts again. A call or a mail
    that is still being tried is due at once.

    Raises:
        guards.NotOpen, guards.ExecutionEnded: as ``decide``.
        guards.NoIncident: the step waits for people or for other steps; the remedies name what
            can be done instead.
    """
    return decide(execution, Action.RETRIED, _retry, **decision)


def _retry(visit: NodeVisit) -> None:
    if visit.step.state == StepState.OPEN:
        _refuse_unrepeatable(visit)
        if _make_due(visit):
            return
    reset_timers(visit.step)
    visit.reopen()
    visit.enter()


def _refuse_unrepeatable(visit: NodeVisit) -> None:
    if visit.behaviour.can_be_retried:
        return
    remedies = [Remedy("skip", "Skip the step, with a reason.")]
    if job_to_postpone(visit.step, visit.node) is not None:
        remedies.append(Remedy("postpone", "Postpone the step, with a reason."))
    if visit.node.type == RUN_WORKFLOW:
        remedies.append(Remedy("cancel", "Cancel the child execution, then retry the step."))
    raise guards.NoIncident(
        f"Step “{visit.step.label}” has no incident, and a step of this type cannot be retried.",
        remedies=[] if isinstance(visit.behaviour, Join) else remedies,
    )


def _make_due(visit: NodeVisit) -> bool:
    """Make the open call or mail of a step due now. Return False when it has none."""
    jobs = Job.objects.filter(step=visit.step, kind__in=OUTGOING)
    if not jobs.update(due_at=visit.now):
        return False
    if visit.node.data.get(DEADLINE) is None:
        visit.wait(due=visit.now)
    visit.advance.mark_changed(visit.step)
    wakeups.on_commit(1)
    return True
