"""How an operator moves an execution on: wake, retry, skip or postpone one of its open steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from executions import guards, wakeups
from executions.engine.nodes.deadline import DEADLINE
from executions.engine.nodes.join import Join
from executions.engine.run import NodeVisit
from executions.models import SLEEPING, Execution, Job, JobKind, Status, Step, StepState
from executions.services.advancing import locked_advance, visit_to
from workflows.audit.log import Action, attempting, record, told
from workflows.db import locks
from workflows.db.json_values import quoted
from workflows.graph import RUN_WORKFLOW
from workflows.guards.database_errors import translated
from workflows.models import unsealed
from workflows.refusals import Attempt, Problem, Refusal, Remedy

DB = "default"
OUTGOING = (JobKind.MAIL, JobKind.CALL)


class ReasonRequired(Refusal):
    message = _("Say why: the reason is recorded in the audit log.")
    code = "reason_required"


class NotSkippable(Refusal):
    message = _("The step cannot be skipped.")
    code = "not_skippable"


class NotPostponable(Refusal):
    message = _("The step has no date and no deadline that could be moved.")
    code = "not_postponable"


class NotInFuture(Refusal):
    message = _("The new time is not in the future.")
    code = "not_in_future"


def wake(
    execution: Execution,
    *,
    node: str | None = None,
    step: str | None = None,
    by: Any = None,
    why: str = "",
) -> Execution:
    """Let a step that sleeps go on before its time.

    Raises:
        guards.NotOpen, guards.Ended: as ``submit``.
        behaviour.NotAwaited: the step does not sleep.
    """

    def go_on(visit: NodeVisit) -> None:
        _require_no_incident(visit.step)
        visit.behaviour.wake(visit)

    return _Decision(execution, Action.WOKEN, node, step, by, why).make(go_on)


def retry(
    execution: Execution,
    *,
    node: str | None = None,
    step: str | None = None,
    by: Any = None,
    why: str = "",
) -> Execution:
    """Begin an open step again: its incident is forgotten, its dates are computed anew.

    An incident is entered once more. So is a wait, which reads its date again, and a webhook,
    whose deadline begins anew. A call or a mail that is still being tried is due at once.

    Raises:
        guards.NotOpen, guards.Ended: as ``submit``.
        guards.NoIncident: the step waits for people or for other steps; the remedies say what
            can be done instead.
    """

    def go_on(visit: NodeVisit) -> None:
        if visit.step.state == StepState.OPEN:
            _require_retryable(visit)
            if _made_due(visit):
                return
        Job.objects.filter(step=visit.step).delete()
        _forget_notice(visit.step)
        visit.reopen()
        visit.behaviour.enter(visit)

    return _Decision(execution, Action.RETRIED, node, step, by, why).make(go_on)


def skip(
    execution: Execution,
    *,
    handle: str | None = None,
    node: str | None = None,
    step: str | None = None,
    by: Any = None,
    why: str = "",
) -> Execution:
    """Close an open step that nobody has done, and go on by the exit that the operator names.

    What the step has called is cancelled; the votes of an approval stay.

    Args:
        handle: an exit of the node; needed where it has more than one.
        why: the reason, for the audit log; needed.

    Raises:
        guards.NotOpen, guards.Ended: as ``submit``.
        guards.NoSuchHandle: the node has no such exit, or has several and none was named.
        NotSkippable: a join, which waits only for steps that can be skipped.
        ReasonRequired: ``why`` is blank.
    """

    def go_on(visit: NodeVisit) -> None:
        behaviour = visit.behaviour
        if isinstance(behaviour, Join) and visit.step.state == StepState.OPEN:
            raise _not_skippable(visit)
        by_handle = _exit(visit, handle)
        if behaviour.ends:
            visit.finish()
        elif behaviour.forks:
            visit.fork()
        else:
            visit.leave(by_handle, output={"skipped": True})
        _cancel_child(visit)

    return _Decision(execution, Action.SKIPPED, node, step, by, why, needs_why=True).make(go_on)


def postpone(
    execution: Execution,
    *,
    until: datetime,
    node: str | None = None,
    step: str | None = None,
    by: Any = None,
    why: str = "",
) -> Execution:
    """Move the date that a wait or a scheduled start sleeps until, or the deadline of a step.

    A step that was overdue is not any more, and is again when the new deadline has passed.

    Args:
        until: the new time, which may be earlier than the present one; without a zone it is
            in ``TIME_ZONE``.
        why: the reason, for the audit log; needed.

    Raises:
        guards.NotOpen, guards.Ended: as ``submit``.
        guards.NoIncident: the step has an incident.
        NotPostponable: the step has neither a date nor a deadline.
        NotInFuture: ``until`` has passed.
        ReasonRequired: ``why`` is blank.
    """
    moment = timezone.make_aware(until) if timezone.is_naive(until) else until

    def go_on(visit: NodeVisit) -> None:
        _require_no_incident(visit.step)
        kind = moved_by_postponing(visit.node.type, visit.node.data)
        if kind is None:
            raise NotPostponable(
                f"Step “{visit.step.label}” has no date and no deadline that could be moved."
            )
        if moment <= visit.now:
            detail = "Choose a time in the future. To go on now, wake or skip the step."
            problems = [Problem("/until", NotInFuture.code, detail)]
            raise NotInFuture(detail, problems=problems)
        Job.objects.filter(step=visit.step).delete()
        _forget_notice(visit.step)
        visit.step.overdue = False
        visit.wait(due=moment)
        visit.later(kind, moment)
        visit.advance.touch(visit.step)
        if visit.run.execution.status == Status.SCHEDULED:
            _schedule(visit.run.execution, moment, why)

    decision = _Decision(
        execution,
        Action.POSTPONED,
        node,
        step,
        by,
        why,
        needs_why=True,
        asked={"due": _text(moment)},
    )
    return decision.make(go_on)


def moved_by_postponing(node_type: str, data: Any) -> JobKind | None:
    """The job that an open step at such a node has for its date; None where it has no date."""
    if node_type in SLEEPING:
        return JobKind.TIMER
    return JobKind.DEADLINE if data.get(DEADLINE) is not None else None


def _schedule(execution: Execution, moment: datetime, why: str) -> None:
    # The time of a scheduled start is written once, for everybody but an operator.
    with unsealed(execution, why=f"postponed: {why}"):
        Execution._base_manager.filter(pk=execution.pk).update(scheduled_for=moment)
    execution.scheduled_for = moment


def _forget_notice(step: Step) -> None:
    # Beside the advance, as it is written.
    if step.notice is not None:
        Step._base_manager.filter(pk=step.pk).update(notice=None)


def _require_no_incident(step: Step) -> None:
    if step.state == StepState.INCIDENT:
        raise guards.NoIncident(f"Step “{step.label}” has an incident: retry it or skip it.")


def _require_retryable(visit: NodeVisit) -> None:
    if visit.behaviour.can_begin_again:
        return
    instead = [Remedy("skip", "Skip the step, with a reason.")]
    if moved_by_postponing(visit.node.type, visit.node.data) is not None:
        instead.append(Remedy("postpone", "Postpone it, with a reason."))
    if visit.node.type == RUN_WORKFLOW:
        instead.append(Remedy("cancel", "Cancel the called execution; then retry the step."))
    raise guards.NoIncident(
        f"Step “{visit.step.label}” has no incident, and cannot be begun again.",
        remedies=[] if isinstance(visit.behaviour, Join) else instead,
    )


def _made_due(visit: NodeVisit) -> bool:
    """Have the background try an open call or mail at once; False where nothing is to be tried."""
    jobs = Job.objects.filter(step=visit.step, kind__in=OUTGOING)
    if not jobs.update(due_at=visit.now):
        return False
    visit.wait(due=visit.now)
    visit.advance.touch(visit.step)
    wakeups.on_commit(1)
    return True


def _exit(visit: NodeVisit, handle: str | None) -> str | None:
    """The exit to leave by. Raises ``guards.NoSuchHandle``."""
    handles = visit.behaviour.handles(visit.node.data)
    if handles is None:
        if handle is not None:
            detail = f"Node {quoted(visit.node.id)} has no named exits."
            problems = [Problem("/handle", guards.NoSuchHandle.code, detail)]
            raise guards.NoSuchHandle(detail, problems=problems)
        return None
    if handle is None and len(handles) == 1:
        return handles[0]
    if handle not in handles:
        known = ", ".join(quoted(name) for name in handles)
        raise guards.NoSuchHandle(
            f"Name the exit to leave by: {known}.",
            problems=[Problem("/handle", guards.NoSuchHandle.code, f"One of: {known}.")],
        )
    return handle


def _not_skippable(visit: NodeVisit) -> NotSkippable:
    others = [row for row in visit.run.open_steps if row.pk != visit.step.pk]
    named = ", ".join(f"“{row.label or row.node_id}”" for row in others)
    return NotSkippable(
        f"Step “{visit.step.label}” waits for other branches. Skip the steps where these are: "
        f"{named}.",
        remedies=[Remedy("skip_branches", f"Skip or finish these steps: {named}.")],
    )


def _cancel_child(visit: NodeVisit) -> None:
    """Cancel what a step that was skipped had called, and all that this has started."""
    if visit.step.child_id is None:
        return
    rows = Execution.objects.select_related("version").defer("version__source")
    child = rows.live().filter(pk=visit.step.child_id).first()
    if child is not None:
        visit.advance.cancel(child, "The step that called it was skipped.")


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


@dataclass(frozen=True, slots=True)
class _Decision:
    """What an operator decides at an open step: in the log, whether it is refused or made."""

    execution: Execution
    action: Action
    node: str | None
    step: str | None
    by: Any
    why: str
    needs_why: bool = False
    asked: dict[str, Any] = field(default_factory=dict)

    def make(self, go_on: Callable[[NodeVisit], None]) -> Execution:
        after = {"node": self.node or self.step, **self.asked}
        with attempting(lambda: [self._told(self.execution, after=after)], using=DB):
            if self.needs_why and not self.why.strip():
                detail = "Say why: the reason is recorded in the audit log."
                problems = [Problem("/why", ReasonRequired.code, detail)]
                raise ReasonRequired(detail, problems=problems)
            return self._made(go_on)

    @translated
    @locks.retrying
    def _made(self, go_on: Callable[[NodeVisit], None]) -> Execution:
        with transaction.atomic():
            visit = visit_to(locked_advance(self.execution, self.by), self.node, self.step)
            current, step = visit.run.execution, visit.step
            before = {"status": current.status, "incident": step.incident}
            due = _text(step.due_at)
            go_on(visit)
            visit.advance.finish()
            after: dict[str, Any] = {"status": current.status, "node": visit.node.id}
            if step.is_open and _text(step.due_at) != due:
                before["due"], after["due"] = due, _text(step.due_at)
            if step.handle:
                after["handle"] = step.handle
            record([self._told(current, before=before, after=after)], using=DB)
            return current

    def _told(self, execution: Execution, **values: Any) -> Attempt:
        return told(execution, self.action, why=self.why, by=self.by, **values)
