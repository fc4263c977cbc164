"""Which join of an execution goes on next."""

from __future__ import annotations

from executions.engine.run import Run
from executions.models import Step, StepState

JOIN = "join"


def ready(run: Run) -> Step | None:
    """A waiting join at which nobody can arrive any more, or None.

    Joins that wait for nobody but one another would do so for ever: the first of them goes on.
    What else is open far away from them does not hold them up, and a join that lies behind
    them waits for them.
    """
    joins: list[Step] = []
    others: list[Step] = []
    for step in run.open_steps:
        waits = step.type == JOIN and step.state == StepState.OPEN
        (joins if waits else others).append(step)
    free = [join for join in joins if not any(_reaches(run, step, join) for step in others)]
    for join in free:
        awaited = [other for other in free if other is not join and _reaches(run, other, join)]
        if all(_reaches(run, join, other) for other in awaited):
            return join
    return None


def _reaches(run: Run, step: Step, join: Step) -> bool:
    # One that could not enter the join itself, and has an incident there, is still to arrive.
    return step.node_id == join.node_id or run.manager.can_reach(step.node_id, join.node_id)
