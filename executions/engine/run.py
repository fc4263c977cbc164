"""One execution of a tree in memory, and a snapshot that undoes an advance over its step budget.

An advance writes once, at its end. To undo it, memory is enough.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any

from executions.engine.store import Changes
from executions.models import LIVE, Entity, Execution, Status, Step, StepState
from executions.workflow_manager import WorkflowManager
from workflows.db import raw_rows
from workflows.graph import RUN_WORKFLOW
from workflows.models import Version

Values = dict[str, Any]
PRESERVED = ("input", "attempt")
"""The attributes that a first step keeps: the submitted data and the number of the attempt."""

OVER_BUDGET = (
    "The execution passed {} nodes without waiting for anything: a loop in its graph may never "
    "end. Everything after this step was undone. Change the fields that the loop depends on and "
    "retry the step, or cancel the execution."
)


class OpenSteps(Collection[Step]):
    """The open steps of one execution, in the order in which they were opened.

    Removing a step takes constant time, because thousands may be open. Steps are identified by
    object, because a new step has no id yet.
    """

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self._steps = {id(step): step for step in steps}

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps.values())

    def __contains__(self, step: object) -> bool:
        return id(step) in self._steps

    def find(self, pk: int) -> Step | None:
        """Return the stored step with this id, or None if it is not open."""
        return next((step for step in self if step.pk == pk), None)

    def append(self, step: Step) -> None:
        """Add the step that was opened last."""
        self._steps[id(step)] = step

    def remove(self, step: Step) -> None:
        """Remove a step that was closed. Raise ``KeyError`` if it is not open."""
        del self._steps[id(step)]


class Run:
    """One execution in memory. ``due`` counts the visits that wait in the queue of the walk."""

    def __init__(self, execution: Execution, steps: Iterable[Step]) -> None:
        self.execution = execution
        self.manager = WorkflowManager(execution.version)
        self.open_steps = OpenSteps(steps)
        self.due = 0
        self.has_reached_end = False

    @property
    def is_live(self) -> bool:
        return self.execution.status in LIVE


def new_child(
    parent: Execution, version: Version, pk: int, now: datetime, item: int | None = None
) -> Execution:
    """Return a new execution of this version, on the entity of its parent.

    ``item`` is the index of its item, for a call with ``for_each``.
    """
    child: Execution = raw_rows.build_new(
        Execution,
        id=pk,
        workflow_id=version.workflow_id,
        version_id=version.pk,
        entity_id=parent.entity_id,
        parent_id=parent.id,
        root_id=parent.root_or_self_id,
        status=Status.ACTIVE,
        context_key=parent.context_key,
        started_at=now,
        updated_at=now,
        item=item,
    )
    raw_rows.set_relations(child, version=version)
    return child


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
                if step.type == RUN_WORKFLOW:
                    # It counts items whose steps are undone.
                    del preserved["input"]
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
