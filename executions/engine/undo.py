"""Undo an advance that exceeded its step budget. Nothing has been written at that point."""

from __future__ import annotations

from typing import Any

from executions.engine.run import OpenSteps, Run
from executions.engine.store import Changes
from executions.models import Entity, Step, StepState

Values = dict[str, Any]
PRESERVED = ("input", "attempt")
"""The attributes that a first step keeps: the submitted data and the number of the attempt."""

DETAIL = (
    "The execution passed {} nodes without waiting for anything: a loop in its graph may never "
    "end. Everything after this step was undone. Change the fields that the loop depends on and "
    "retry the step, or cancel the execution."
)


class Snapshot:
    """The rows of a tree as an advance read them, and the steps that began it (first steps)."""

    __slots__ = ("_changed", "_entity", "_number_changed", "_opened", "_runs", "_waiting")

    def __init__(self, entity: Entity) -> None:
        self._entity = (entity, entity.fields, entity.updated_at)
        self._runs: list[tuple[Run, Values, list[tuple[Step, Values]]]] = []
        self._opened: list[tuple[Run, Step]] = []
        self._waiting: list[tuple[Step, Values]] = []
        self._changed: list[Step] = []
        self._number_changed = 0

    def add(self, run: Run) -> None:
        """Add an execution and its open steps in their current state."""
        steps = [(step, dict(step.__dict__)) for step in run.open_steps]
        self._runs.append((run, dict(run.execution.__dict__), steps))

    def add_opened(self, run: Run, step: Step) -> None:
        """Add a new step at which the advance begins."""
        self._opened.append((run, step))

    def note_beginning(self, changes: Changes) -> None:
        """Note the first steps: those that have changed before the walk."""
        self._number_changed = len(changes.changed_steps)
        for _, step in self._opened:
            if step.is_open and step.child_id is None:
                self._waiting.append((step, dict(step.__dict__)))

    def restore(self, changes: Changes) -> list[Run]:
        """Restore all rows, and return the runs of the snapshot."""
        entity, fields, updated_at = self._entity
        entity.fields, entity.updated_at = fields, updated_at
        self._changed = list(changes.changed_steps.values())[: self._number_changed]
        for run, execution, steps in self._runs:
            run.execution.__dict__.update(execution)
            run.due, run.has_reached_end = 0, False
            run.open_steps = OpenSteps(step for step, _ in steps)
            for step, values in steps:
                preserved = {name: step.__dict__[name] for name in PRESERVED}
                step.__dict__.update(values | (preserved if step in self._changed else {}))
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

    def first_steps(self) -> list[tuple[Run, Step]]:
        """Return the steps that began the advance, with their runs."""
        waiting = [step for step, _ in self._waiting]
        opened = [(run, step) for run, step in self._opened if step not in waiting]
        stored = [(run, step) for run, _, steps in self._runs for step, _ in steps]
        # An advance that only releases a join has changed no step before the walk.
        return opened + [row for row in stored if row[1] in self._changed] or stored[:1]


def _reopen(step: Step) -> None:
    step.state = StepState.OPEN
    step.handle = ""
    step.incident = step.output = step.closed_at = step.due_at = None
    step.closed_by_id = step.child_id = None
