"""What the background does when it comes back to an open step."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from executions import guards
from executions.engine.nodes import Behaviour
from executions.engine.nodes.performed import GiveUp, Task, TryAgain
from executions.engine.run import NodeVisit
from executions.models import LIVE, PERFORMED, Job, JobKind, Secret, Step, StepState
from executions.services.advancing import locked_advance
from workflows import locks
from workflows.database_refusals import translated

logger = logging.getLogger(__name__)

ATTEMPTS = 5
FIRST_BACKOFF = timedelta(seconds=10)
LONGEST_BACKOFF = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Held:
    """A job that reaches outside, and what it takes to perform it."""

    behaviour: Behaviour
    task: Task

    def perform(self) -> Any:
        """Perform it. Raises ``TryAgain`` and ``GiveUp``, which tell no secret."""
        try:
            return self.behaviour.perform(self.task)
        except GiveUp as failure:
            raise GiveUp(failure.code, self.task.redacted(failure.detail)) from None
        except TryAgain as failure:
            detail = self.task.redacted(failure.detail)
            raise TryAgain(failure.code, detail, failure.after) from None
        except Exception as error:
            # Its text may quote what was sent, and its trace ends up in a log.
            detail = self.task.redacted(f"{type(error).__name__}: {error}"[:500])
            logger.error("Step %s could not be performed: %s", self.task.step, detail)
            raise TryAgain("background", detail) from None


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
    task = Task(
        step=step.cuid,
        data=node.data,
        fields=(step.input or {}).get("fields", {}),
        attempt=job.attempt + 1,
        read_secret=Secret.value_of,
    )
    return Held(manager.behaviour(node), task)


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
            visit.step.overdue = True
            visit.advance.touch(visit.step)
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
    return _done(job, lambda visit: visit.incident(code, sentence))


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
            visit.incident(code, f"It failed {attempt} times, at last with: {error}")
            advance.write()


def backoff(attempt: int) -> timedelta:
    """How long to wait after this many attempts: longer each time, and never in step."""
    length = min(LONGEST_BACKOFF, FIRST_BACKOFF * int(2 ** (attempt - 1)))
    return length * random.uniform(0.8, 1.2)
