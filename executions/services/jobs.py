"""What the background does when it comes back to an open step."""

from __future__ import annotations

import random
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from executions import guards
from executions.engine.run import NodeVisit
from executions.models import Job, JobKind, Step, StepState
from executions.services.advancing import locked_advance
from workflows import locks
from workflows.database_refusals import translated

ATTEMPTS = 5
FIRST_BACKOFF = timedelta(seconds=10)
LONGEST_BACKOFF = timedelta(hours=1)


@translated
@locks.retrying
def come_back(job: Job) -> bool:
    """Do what is due at a step, once; False when another has done it or it is no longer due.

    The root's lock lets one at a time do anything to the tree, and the job is looked for under
    it: whoever claimed it later has raised its fence.
    """
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
        if job.kind == JobKind.DEADLINE:
            found.overdue = True
            advance.touch(found)
        else:
            node = run.manager.node(found.node_id)
            run.manager.behaviour(node).wake(NodeVisit(advance, run, node, found))
        advance.run()
        advance.write()
        return True


@translated
@locks.retrying
def put_off(job: Job, error: str) -> None:
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
            mine.update(
                attempt=attempt, leased_until=None, due_at=timezone.now() + backoff(attempt)
            )
            return
        if not mine.delete()[0]:
            return
        found = next((row for row in advance.run_of(current).open_steps if row.pk == step.pk), None)
        if found is not None:
            run = advance.run_of(current)
            visit = NodeVisit(advance, run, run.manager.node(found.node_id), found)
            visit.incident("background", f"It failed {attempt} times, at last with: {error}")
            advance.write()


def backoff(attempt: int) -> timedelta:
    """How long to wait after this many attempts: longer each time, and never in step."""
    length = min(LONGEST_BACKOFF, FIRST_BACKOFF * int(2 ** (attempt - 1)))
    return length * random.uniform(0.8, 1.2)
