"""Moving the date or the deadline of an open step."""

from __future__ import annotations

from datetime import datetime
from typing import Unpack

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from executions.engine.for_each import item_of
from executions.engine.node_visit import NodeVisit
from executions.engine.nodes.deadline import next_wakeup
from executions.models import SLEEPING, Execution, JobKind, Status, Step
from executions.services.decisions import (
    StepDecision,
    decide,
    iso_time,
    refuse_incident,
    reset_timers,
)
from workflows.audit.log import Action
from workflows.graph import Node
from workflows.models import unsealed
from workflows.models.candidate import DEADLINE
from workflows.refusals import Problem, Refusal


class NotPostponable(Refusal):
    message = _("The step has no date and no deadline that can be moved.")
    code = "not_postponable"


class NotInFuture(Refusal):
    message = _("The new time is not in the future.")
    code = "not_in_future"


def postpone(
    execution: Execution, *, until: datetime, **decision: Unpack[StepDecision]
) -> Execution:
    """Move the date of a wait or a scheduled start, or the deadline of another step.

    An overdue step is no longer overdue, until the new deadline passes.

    Args:
        until: the new time, which may be earlier than the present one. Without a time zone it
            is in ``TIME_ZONE``.

    Raises:
        guards.NotOpen, guards.ExecutionEnded, ReasonRequired: as ``decide``.
        guards.NoIncident: the step has an incident.
        NotPostponable: the step has neither a date nor a deadline.
        NotInFuture: ``until`` has passed.
    """
    moment = timezone.make_aware(until) if timezone.is_naive(until) else until

    def act(visit: NodeVisit) -> None:
        refuse_incident(visit.step)
        job_kind = job_to_postpone(visit.step, visit.node)
        if job_kind is None:
            raise NotPostponable(
                f"Step “{visit.step.label}” has no date and no deadline that can be moved."
            )
        _refuse_past(moment, visit.now)
        # The call of an HTTP request goes on.
        reset_timers(visit.step, job_kind, JobKind.OVERDUE)
        visit.step.overdue = False
        visit.wait(due=moment)
        is_deadline = job_kind == JobKind.DEADLINE
        at = next_wakeup(visit.node, moment, visit.now) if is_deadline else moment
        visit.schedule_job(job_kind, at)
        visit.advance.mark_changed(visit.step)
        if visit.run.execution.status == Status.SCHEDULED:
            _reschedule(visit.run.execution, moment, decision.get("why", ""))

    return decide(
        execution,
        Action.POSTPONED,
        act,
        requires_reason=True,
        requested={"due": iso_time(moment)},
        **decision,
    )


def job_to_postpone(step: Step, node: Node) -> JobKind | None:
    """Return the type of the job that an open step has for its date or deadline, or None."""
    if node.type in SLEEPING:
        return JobKind.TIMER
    # The deadline of a call with items is that of its own step.
    has_deadline = node.data.get(DEADLINE) is not None and item_of(step) is None
    return JobKind.DEADLINE if has_deadline else None


def _refuse_past(moment: datetime, now: datetime) -> None:
    if moment <= now:
        detail = "Choose a time in the future. To continue now, skip the wait or the step."
        raise NotInFuture(detail, problems=[Problem("/until", NotInFuture.code, detail)])


def _reschedule(execution: Execution, moment: datetime, why: str) -> None:
    # The time of a scheduled start is write-once for everybody but an operator.
    with unsealed(execution, why=f"postponed: {why}"):
        Execution._base_manager.filter(pk=execution.pk).update(scheduled_for=moment)
    execution.scheduled_for = moment
