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
from executions.engine.advance import Advance
from executions.engine.node_visit import NodeVisit
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
from executions.services.deadlines import finish_notice, pass_deadline
from workflows.audit.log import record
from workflows.db import clock, locks
from workflows.guards.database_errors import translate_database_errors
from workflows.refusals import Attempt

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
        # Mail servers may drop a mail whose id they know: each reminder has its own.
        step=f"{step.cuid}-{job.pk}" if frozen.get("reminder") else step.cuid,
        data=node.data,
        fields=frozen.get("fields", {}),
        attempt=job.attempt + 1,
        # The host is part of the graph: no field of an entity can change it.
        read_secret=partial(Secret.value_for, url=node.data.get("url", "")),
    )
    if not is_notice:
        return OutsideTask(behaviour(node.type).perform, task)
    message = frozen.get("mail") or deadline.mail_of(node) or {}
    return OutsideTask(partial(mail.send, message), task)


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

    def advance_step(visit: NodeVisit) -> list[Attempt] | None:
        if job.kind == JobKind.DEADLINE:
            return pass_deadline(visit)
        if job.kind == JobKind.OVERDUE:
            finish_notice(visit, state="sent", **result)
        elif job.kind in PERFORMED:
            visit.resume(result)
        else:
            visit.behaviour.wake(visit)
        return None

    return _visit_step(job, advance_step)


@translate_database_errors
@locks.retrying
def fail_job(job: Job, code: str, detail: str) -> bool:
    """Give up the step of a job that would fail again, and delete the job.

    Returns:
        False when another worker has served the job.
    """
    sentence = f"{detail} That was attempt {job.attempt + 1}."
    return _visit_step(job, lambda visit: _give_up(visit, job, code, sentence))


@translate_database_errors
@locks.retrying
def fail_lost_job(job: Job) -> bool:
    """Give up the step of a job whose workers have ended without a result.

    Returns:
        False when another worker has served the job.
    """
    detail = f"Its worker was lost, or it failed, {job.attempt} times."
    return _visit_step(job, lambda visit: _give_up(visit, job, "worker_lost", detail))


@translate_database_errors
@locks.retrying
def retry_job_later(
    job: Job, error: str, *, code: str = "background", after: timedelta | None = None
) -> None:
    """Reschedule a failed job; after the last attempt, give up its step."""
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
        has_result = job.claimed().filter(result__isnull=False).exists()
        if not job.claimed().delete()[0]:
            return
        run = advance.get_run(execution)
        found = run.open_steps.find(step.pk)
        if found is not None:
            sentence = f"It failed {attempt} times. The last error: {error}"
            visit = advance.visit_step(run, found)
            if has_result:
                # The call has succeeded; the execution could not continue with its result.
                visit.open_incident(code, sentence)
            else:
                _give_up(visit, job, code, sentence)
            advance.finish()


def _visit_step(job: Job, act: Callable[[NodeVisit], list[Attempt] | None]) -> bool:
    """Advance the open step of a job. ``act`` may return entries for the audit log."""
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
        found = run.open_steps.find(step.pk)
        if found is None or found.state != StepState.OPEN:
            return False
        entries = act(advance.visit_step(run, found))
        advance.finish()
        if entries:
            record(entries)
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


def _give_up(visit: NodeVisit, job: Job, code: str, sentence: str) -> None:
    """Give up a step. If a mail about its deadline failed, only store that: it stays open."""
    if job.kind == JobKind.OVERDUE:
        finish_notice(visit, state="failed", code=code, detail=sentence)
    elif job.kind in PERFORMED:
        visit.give_up(code, sentence)
    else:
        visit.open_incident(code, sentence)
