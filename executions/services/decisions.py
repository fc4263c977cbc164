"""Decisions of operators about one open step: the part that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypedDict, Unpack

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from executions import guards
from executions.engine.node_visit import NodeVisit
from executions.models import Execution, Job, Step, StepState
from executions.services.advancing import lock_tree, visit_open_step
from workflows.audit.log import Action, make_attempt, record, recording_refusals
from workflows.db import locks
from workflows.guards.database_errors import translate_database_errors
from workflows.refusals import Problem, Refusal


class ReasonRequired(Refusal):
    message = _("Give a reason: it is recorded in the audit log.")
    code = "reason_required"


class StepDecision(TypedDict, total=False):
    """The arguments that every decision takes.

    Attributes:
        node: the id of the node where the step is open.
        step: the cuid of the open step; needed where a node has several.
        by: the account that decides.
        why: the reason, for the audit log.
    """

    node: str | None
    step: str | None
    by: Any
    why: str


def decide(
    execution: Execution,
    action: Action,
    act: Callable[[NodeVisit], None],
    *,
    requires_reason: bool = False,
    requested: Mapping[str, Any] | None = None,
    **decision: Unpack[StepDecision],
) -> Execution:
    """Apply a decision to one open step, and record it in the audit log, refused or made.

    Args:
        action: the action of the audit entry.
        act: checks the decision and changes the step, under the locks of a runner.
        requires_reason: refuse a blank ``why``.
        requested: further values for the audit entry of a refused decision.

    Raises:
        guards.NotOpen, guards.ExecutionEnded: there is no such open step.
        ReasonRequired: ``why`` is blank.
        Refusal: what ``act`` raises.
    """
    why, by = decision.get("why", ""), decision.get("by")
    after = {"node": decision.get("node") or decision.get("step"), **(requested or {})}
    with recording_refusals(lambda: [make_attempt(execution, action, after=after, why=why, by=by)]):
        if requires_reason:
            require_reason(why)
        return _apply(execution, action, act, decision)


def require_reason(why: str) -> None:
    """Raise ``ReasonRequired`` for a blank reason."""
    if not why.strip():
        detail = str(ReasonRequired.message)
        raise ReasonRequired(detail, problems=[Problem("/why", ReasonRequired.code, detail)])


@translate_database_errors
@locks.retrying
def _apply(
    execution: Execution, action: Action, act: Callable[[NodeVisit], None], decision: StepDecision
) -> Execution:
    by = decision.get("by")
    with transaction.atomic():
        runner = lock_tree(execution, by)
        visit = visit_open_step(runner, decision.get("node"), decision.get("step"))
        current, step = visit.run.execution, visit.step
        before = {"status": current.status, "incident": step.incident}
        due = iso_time(step.due_at)
        act(visit)
        visit.advance.finish()
        after: dict[str, Any] = {"status": current.status, "node": visit.node.id}
        after["step"] = step.cuid
        if step.is_open and iso_time(step.due_at) != due:
            before["due"], after["due"] = due, iso_time(step.due_at)
        if step.handle:
            after["handle"] = step.handle
        why = decision.get("why", "")
        record([make_attempt(current, action, before=before, after=after, why=why, by=by)])
        return current


def refuse_incident(step: Step) -> None:
    """Raise ``guards.NoIncident`` when the step has an incident."""
    if step.state == StepState.INCIDENT:
        raise guards.NoIncident(f"Step “{step.label}” has an incident: retry it or skip it.")


def reset_timers(step: Step, *kinds: str) -> None:
    """Delete the jobs of a step, or only those of some kinds, and its notice of its deadline."""
    jobs = Job.objects.filter(step=step)
    (jobs.filter(kind__in=kinds) if kinds else jobs).delete()
    # The advance does not write the notice.
    if step.notice is not None:
        Step._base_manager.filter(pk=step.pk).update(notice=None)


def iso_time(moment: datetime | None) -> str | None:
    """Return the moment as the audit log stores it."""
    return None if moment is None else moment.isoformat()
