"""Undoing an advance that has passed too many nodes: in memory, for nothing was written yet."""

from __future__ import annotations

from typing import Any

from executions.engine.run import OpenSteps, Run
from executions.engine.store.writing import Changes
from executions.models import Entity, Step, StepState

Image = dict[str, Any]
KEPT = ("input", "attempt")
"""What stays of a step that set the advance going: what was submitted, and which attempt it was."""

DETAIL = (
    "The execution passed {} nodes without waiting for anything: a loop in its graph may never "
    "end. Everything after this step was undone. Change the fields that the loop depends on and "
    "retry the step, or cancel the execution."
)


class Before:
    """The rows of a tree as an advance has read them, and the steps that it began with."""

    __slots__ = ("_begun", "_changed", "_entity", "_opened", "_runs", "_waiting")

    def __init__(self, entity: Entity) -> None:
        self._entity = (entity, entity.fields, entity.updated_at)
        self._runs: list[tuple[Run, Image, list[tuple[Step, Image]]]] = []
        self._opened: list[tuple[Run, Step]] = []
        self._waiting: list[tuple[Step, Image]] = []
        self._changed: list[Step] = []
        self._begun = 0

    def keep(self, run: Run) -> None:
        """Keep an execution and its open steps as they are now."""
        steps = [(step, dict(step.__dict__)) for step in run.open_steps]
        self._runs.append((run, dict(run.execution.__dict__), steps))

    def keep_opened(self, run: Run, step: Step) -> None:
        """Keep a new step, at which the advance begins."""
        self._opened.append((run, step))

    def begin(self, changes: Changes) -> None:
        """Note which steps set the advance going: all that has changed before it walks."""
        self._begun = len(changes.changed_steps)
        for _, step in self._opened:
            if step.is_open and step.child_id is None:
                self._waiting.append((step, dict(step.__dict__)))

    def restore(self, changes: Changes) -> list[Run]:
        """Put everything back, and return the runs that there were."""
        entity, fields, updated_at = self._entity
        entity.fields, entity.updated_at = fields, updated_at
        self._changed = list(changes.changed_steps.values())[: self._begun]
        for run, execution, steps in self._runs:
            run.execution.__dict__.update(execution)
            run.due, run.reached_end = 0, False
            run.open_steps = OpenSteps(step for step, _ in steps)
            for step, values in steps:
                kept = {name: step.__dict__[name] for name in KEPT}
                step.__dict__.update(values | (kept if step in self._changed else {}))
        waiting = [step for step, _ in self._waiting]
        for run, step in self._opened:
            run.open_steps.append(step)
            _reopen(step)
        for step, values in self._waiting:
            step.__dict__.update(values)
        known = [run.execution for run, *_ in self._runs]
        changes.executions = [row for row in changes.executions if row in known]
        changes.steps = [step for _, step in self._opened]
        changes.jobs = [job for job in changes.jobs if job.step in waiting]
        changes.changed_steps.clear()
        changes.changed_executions.clear()
        changes.entity = None
        return [run for run, *_ in self._runs]

    def blamed(self) -> list[tuple[Run, Step]]:
        """Return the steps that set the advance going, with their runs."""
        waiting = [step for step, _ in self._waiting]
        begun = [(run, step) for run, step in self._opened if step not in waiting]
        stored = [(run, step) for run, _, steps in self._runs for step, _ in steps]
        # An advance that nothing but a join sets going has changed no step before it walks.
        return begun + [row for row in stored if row[1] in self._changed] or stored[:1]


def _reopen(step: Step) -> None:
    step.state = StepState.OPEN
    step.handle = ""
    step.incident = step.output = step.closed_at = step.due_at = None
    step.closed_by_id = step.child_id = None
