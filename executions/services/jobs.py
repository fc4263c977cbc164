"""What the background does when it comes back to an open step."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from executions import guards
from executions.engine.nodes import deadline, mail
from executions.engine.nodes.tasks import GiveUp, Task, TryAgain
from executions.engine.run import NodeVisit
from executions.models import LIVE, PERFORMED, Job, JobKind, Secret, Step, StepState
from executions.services.advancing import locked_advance
from workflows.db import locks
from workflows.guards.database_errors import translated

logger = logging.getLogger(__name__)

ATTEMPTS = 5
FIRST_BACKOFF = timedelta(seconds=10)
LONGEST_BACKOFF = timedelta(hours=1)
NOT_SHOWN = _("The reason is not shown: it may hold a secret.")


@dataclass(frozen=True, slots=True)
class Held:
    """A job that reaches outside, and what it takes to perform it."""

    performed: Callable[[Task], Any]
    task: Task

    def perform(self) -> Any:
        """Perform it. Raises ``TryAgain`` and ``GiveUp``, which tell no secret."""
        try:
            return self.performed(self.task)
        except GiveUp as failure:
            raise GiveUp(failure.code, self._redacted(failure.detail)) from None
        except TryAgain as failure:
            detail = self._redacted(failure.detail)
            raise TryAgain(failure.code, detail, failure.after) from None
        except Exception as error:
            # Its text may quote what was sent, and its trace ends up in a log.
            detail = self._redacted(f"{type(error).__name__}: {error}")[:500]
            logger.error("Step %s could not be performed: %s", self.task.step, detail)
            raise TryAgain("background", detail) from None

    def _redacted(self, detail: str) -> str:
        try:
            return str(self.task.redacted(detail))
        except Exception as error:
            logger.error("Step %s: %s while redacting.", self.task.step, type(error).__name__)
            return str(NOT_SHOWN)


def hold(job: Job, lease: timedelta) -> Held | None:
    """Make sure of a job before it is performed; None when it is no longer due, or another's.

    The lease begins anew: those that were claimed along with it may have taken their time.
    """
    step = Step.objects.select_related("execution__version").filter(jobs=job).first()
    if step is None:
        return None
    mine = Job.objects.filter(pk=job.pk, fence=job.fence)
    if step.execution.status not in LIVE or step.state != StepState.OPEN:
        mine.delete()
        return None
    if not mine.update(leased_until=timezone.now() + lease):
        return None
    manager = step.execution.get_workflow_manager()
    node = manager.node(step.node_id)
    is_notice = job.kind == JobKind.OVERDUE
    frozen = (step.notice if is_notice else step.input) or {}
    task = Task(
        step=step.cuid,
        data=node.data,
        fields=frozen.get("fields", {}),
        attempt=job.attempt + 1,
        # No field changes the host of an address.
        read_secret=partial(Secret.value_for, url=node.data.get("url", "")),
    )
    performed = partial(deadline.tell, node) if is_notice else manager.behaviour(node).perform
    return Held(performed, task)


@locks.retrying
def keep_result(job: Job, result: dict[str, Any]) -> None:
    """Write down what was performed, before the execution takes it.

    After a failure the job is served again with this result, and performed no more. Only the
    row of the job is written, which no runner locks.
    """
    Job.objects.filter(pk=job.pk, fence=job.fence).update(result=result)


@translated
@locks.retrying
def come_back(job: Job, result: Any = None) -> bool:
    """Do what is due at a step, once; False when another has done it or it is no longer due.

    The root's lock lets one at a time do anything to the tree, and the job is looked for under
    it: whoever claimed it later has raised its fence. ``result`` is what was performed before.
    """

    def go_on(visit: NodeVisit) -> None:
        behaviour = visit.behaviour
        if job.kind == JobKind.DEADLINE:
            _pass_deadline(visit)
        elif job.kind == JobKind.OVERDUE:
            _note(visit, state="sent", **result)
        elif job.kind in PERFORMED:
            behaviour.resume(visit, result)
        else:
            behaviour.wake(visit)

    return _done(job, go_on)


@translated
@locks.retrying
def give_up(job: Job, code: str, detail: str) -> bool:
    """Make an incident of a job that would fail again, unless another has served it."""
    sentence = f"{detail} That was attempt {job.attempt + 1}."
    return _done(job, lambda visit: _fail(visit, job, code, sentence))


def _pass_deadline(visit: NodeVisit) -> None:
    visit.step.overdue = True
    visit.advance.touch(visit.step)
    told = deadline.mail_of(visit.node)
    if told is not None:
        _note(visit, state="pending", fields=visit.known(mail.names_in(told)))
        visit.later(JobKind.OVERDUE, visit.now)


def _fail(visit: NodeVisit, job: Job, code: str, sentence: str) -> None:
    """What could not be performed is an incident; what could not be told keeps nobody waiting."""
    if job.kind == JobKind.OVERDUE:
        _note(visit, state="failed", code=code, detail=sentence)
    else:
        visit.incident(code, sentence)


def _note(visit: NodeVisit, **notice: Any) -> None:
    # Beside the advance, which does not read it; who polls sees that the execution has changed.
    visit.advance.touch(visit.step)
    told = {"at": visit.now.isoformat().replace("+00:00", "Z"), **notice}
    Step._base_manager.filter(pk=visit.step.pk).update(notice=told)


def _done(job: Job, go_on: Callable[[NodeVisit], None]) -> bool:
    with transaction.atomic():
        step = Step.objects.select_related("execution").filter(jobs=job).first()
        if step is None:
            return False
        try:
            advance, current = locked_advance(step.execution, None)
        except guards.Ended:
            Job.objects.filter(pk=job.pk).delete()
            return False
        if not Job.objects.filter(pk=job.pk, fence=job.fence).exists():
            return False
        Job.objects.filter(pk=job.pk).delete()
        run = advance.run_of(current)
        found = next((row for row in run.open_steps if row.pk == step.pk), None)
        if found is None or found.state != StepState.OPEN:
            return False
        go_on(advance.visit(run, found))
        advance.finish()
        return True


@translated
@locks.retrying
def put_off(
    job: Job, error: str, *, code: str = "background", after: timedelta | None = None
) -> None:
    """Try a job that failed again later; after the last attempt the step has an incident."""
    with transaction.atomic():
        step = Step.objects.select_related("execution").filter(jobs=job).first()
        if step is None:
            return
        try:
            advance, current = locked_advance(step.execution, None)
        except guards.Ended:
            return
        mine = Job.objects.filter(pk=job.pk, fence=job.fence)
        attempt = job.attempt + 1
        if attempt < ATTEMPTS:
            length = max(backoff(attempt), after or timedelta(0))
            mine.update(attempt=attempt, leased_until=None, due_at=timezone.now() + length)
            return
        if not mine.delete()[0]:
            return
        run = advance.run_of(current)
        found = next((row for row in run.open_steps if row.pk == step.pk), None)
        if found is not None:
            visit = advance.visit(run, found)
            _fail(visit, job, code, f"It failed {attempt} times, at last with: {error}")
            advance.write()


def backoff(attempt: int) -> timedelta:
    """How long to wait after this many attempts: longer each time, and never in step."""
    length = min(LONGEST_BACKOFF, FIRST_BACKOFF * int(2 ** (attempt - 1)))
    return length * random.uniform(0.8, 1.2)
