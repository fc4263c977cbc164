"""Jobs: the background work that is due at an open step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from executions import guards
from executions.engine.advance import Advance, NodeVisit
from executions.engine.nodes import behaviour, deadline, mail
from executions.engine.nodes.tasks import GiveUp, Task, TryAgain
from executions.models import (
    LIVE,
    PERFORMED,
    Execution,
    Job,
    JobKind,
    Secret,
    Step,
    StepState,
)
from executions.models.leased_row import ATTEMPTS, backoff
from executions.services.advancing import lock_tree
from workflows.db import clock, locks
from workflows.guards.database_errors import translate_database_errors

logger = logging.getLogger(__name__)

HIDDEN_REASON = _("The reason is not shown: it may contain a secret.")


@dataclass(frozen=True, slots=True)
class OutsideTask:
    """The mail or call of a job, with all that is needed to perform it without a lock."""

    performer: Callable[[Task], Any]
    task: Task

    def perform(self) -> Any:
        """Send the mail or make the call, and return its result.

        Raises:
            TryAgain: a later attempt may succeed. The detail contains no secret.
            GiveUp: every further attempt would fail. The detail contains no secret.
        """
        try:
            return self.performer(self.task)
        except GiveUp as failure:
            raise GiveUp(failure.code, self._redact(failure.detail)) from None
        except TryAgain as failure:
            detail = self._redact(failure.detail)
            raise TryAgain(failure.code, detail, failure.after) from None
        except Exception as error:
            # The text may quote what was sent, and the traceback would end up in a log.
            detail = self._redact(f"{type(error).__name__}: {error}")[:500]
            logger.error("Step %s could not be performed: %s", self.task.step, detail)
            raise TryAgain("background", detail) from None

    def _redact(self, detail: str) -> str:
        try:
            return str(self.task.redacted(detail))
        except Exception as error:
            logger.error("Step %s: %s while redacting.", self.task.step, type(error).__name__)
            return str(HIDDEN_REASON)


def prepare_task(job: Job, lease: timedelta) -> OutsideTask | None:
    """Renew the lease on a claimed job and return its task.

    Returns:
        None when the job is no longer due, or another worker has claimed it.
    """
    step = Step.objects.select_related("execution__version").filter(jobs=job).first()
    if step is None:
        return None
    if step.execution.status not in LIVE or step.state != StepState.OPEN:
        job.claimed().delete()
        return None
    if not job.renew_lease(lease):
        return None
    node = step.execution.get_workflow_manager().node(step.node_id)
    is_notice = job.kind == JobKind.OVERDUE
    frozen = (step.notice if is_notice else step.input) or {}
    task = Task(
        step=step.cuid,
        data=node.data,
        fields=frozen.get("fields", {}),
        attempt=job.attempt + 1,
        # The host is part of the graph: no field of an entity can change it.
        read_secret=partial(Secret.value_for, url=node.data.get("url", "")),
    )
    performer = partial(deadline.send_mail, node) if is_notice else behaviour(node.type).perform
    return OutsideTask(performer, task)


@locks.retrying
def store_result(job: Job, result: dict[str, Any]) -> None:
    """Write the result of a task to its job, before the execution takes it.

    If a later statement fails, the job is served again with this result and the task is not
    performed a second time. Only the row of the job is written, which no runner locks.
    """
    job.claimed().update(result=result)


@translate_database_errors
@locks.retrying
def finish_job(job: Job, result: Any = None) -> bool:
    """Advance the step of a job, and delete the job.

    The root's lock lets one worker at a time change the execution tree. The job is read under
    this lock: a worker that claimed it later has raised its fence.

    Args:
        result: the result of the job's task, where it has one.

    Returns:
        False when another worker has served the job, or it is no longer due.
    """

    def advance_step(visit: NodeVisit) -> None:
        behaviour = visit.behaviour
        if job.kind == JobKind.DEADLINE:
            _pass_deadline(visit)
        elif job.kind == JobKind.OVERDUE:
            _write_notice(visit, state="sent", **result)
        elif job.kind in PERFORMED:
            visit.resume(result)
        else:
            behaviour.wake(visit)

    return _visit_step(job, advance_step)


@translate_database_errors
@locks.retrying
def fail_job(job: Job, code: str, detail: str) -> bool:
    """Open an incident at the step of a job that would fail again, and delete the job.

    Returns:
        False when another worker has served the job.
    """
    return _open_incident(job, code, f"{detail} That was attempt {job.attempt + 1}.")


@translate_database_errors
@locks.retrying
def fail_lost_job(job: Job) -> bool:
    """Open an incident at the step of a job whose workers have ended without a result.

    Returns:
        False when another worker has served the job.
    """
    detail = f"Its worker was lost, or it failed, {job.attempt} times."
    return _open_incident(job, "worker_lost", detail)


def _open_incident(job: Job, code: str, sentence: str) -> bool:
    return _visit_step(job, lambda visit: _fail_step(visit, job, code, sentence))


@translate_database_errors
@locks.retrying
def retry_job_later(
    job: Job, error: str, *, code: str = "background", after: timedelta | None = None
) -> None:
    """Reschedule a failed job; after the last attempt, open an incident at its step."""
    with transaction.atomic():
        locked = _lock_tree_of(job)
        if locked is None:
            return
        step, advance, execution = locked
        attempt = job.attempt + 1
        if attempt < ATTEMPTS:
            due_at = clock.now() + max(backoff(attempt), after or timedelta(0))
            job.claimed().update(attempt=attempt, leased_until=None, due_at=due_at)
            return
        if not job.claimed().delete()[0]:
            return
        run = advance.get_run(execution)
        found = next((row for row in run.open_steps if row.pk == step.pk), None)
        if found is not None:
            sentence = f"It failed {attempt} times. The last error: {error}"
            _fail_step(advance.visit_step(run, found), job, code, sentence)
            advance.write()


def _visit_step(job: Job, act: Callable[[NodeVisit], None]) -> bool:
    with transaction.atomic():
        locked = _lock_tree_of(job)
        if locked is None:
            # The execution has ended: nothing is due any more.
            Job.objects.filter(pk=job.pk).delete()
            return False
        step, advance, execution = locked
        if not job.claimed().exists():
            return False
        Job.objects.filter(pk=job.pk).delete()
        run = advance.get_run(execution)
        found = next((row for row in run.open_steps if row.pk == step.pk), None)
        if found is None or found.state != StepState.OPEN:
            return False
        act(advance.visit_step(run, found))
        advance.finish()
        return True


def _lock_tree_of(job: Job) -> tuple[Step, Advance, Execution] | None:
    """Lock the execution tree of a job. Return None when the job or the execution is gone."""
    step = Step.objects.select_related("execution").filter(jobs=job).first()
    if step is None:
        return None
    try:
        advance, execution = lock_tree(step.execution, None)
    except guards.ExecutionEnded:
        return None
    return step, advance, execution


def _pass_deadline(visit: NodeVisit) -> None:
    visit.step.overdue = True
    visit.advance.mark_changed(visit.step)
    notice = deadline.mail_of(visit.node)
    if notice is not None:
        _write_notice(visit, state="pending", fields=visit.read_fields(mail.names_in(notice)))
        visit.schedule_job(JobKind.OVERDUE, visit.now)


def _fail_step(visit: NodeVisit, job: Job, code: str, sentence: str) -> None:
    """Open an incident. If an overdue notice failed, only store that: the step stays open."""
    if job.kind == JobKind.OVERDUE:
        _write_notice(visit, state="failed", code=code, detail=sentence)
    else:
        visit.open_incident(code, sentence)


def _write_notice(visit: NodeVisit, **values: Any) -> None:
    # The advance does not read the notice. Clients that poll see that the execution has changed.
    visit.advance.mark_changed(visit.step)
    notice = {"at": visit.now.isoformat().replace("+00:00", "Z"), **values}
    Step._base_manager.filter(pk=visit.step.pk).update(notice=notice)
