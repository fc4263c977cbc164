"""A tree of executions in memory, and the changes to it that are written at once."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from django.utils.translation import gettext

from executions import wakeups
from executions.engine import joins
from executions.engine.nodes.assignees import candidates_key
from executions.engine.run import Run, Snapshot, new_child
from executions.engine.store import Basis, Changes, store
from executions.engine.value_sources import InvalidValue
from executions.models import LIVE, Entity, Execution, Job, Status, Step, StepState
from executions.models.visits import VARIABLES, passed_entry
from workflows.db import raw_rows
from workflows.editing import try_waiting_changes
from workflows.graph import START, Edge, Node
from workflows.models import Version
from workflows.values.missing import drop_missing

MAX_VARIABLES = 1_000_000
"""The maximum length of the variables of an execution as JSON."""
Origin = Step | Execution
"""The closed step or the new execution that led to a visit: it stores the nodes passed since."""


class Tree:
    """The executions of one tree. Every method changes memory only; ``write`` writes.

    Args:
        basis: the rows that were read without a lock, for ``write`` to compare.
        pinned: the pinned versions of a new root, by the callee's cuid.
        closure: the checksum of its closure, if it was read with an execution.
        ids: the iterator that the id of a new root was taken from.
    """

    def __init__(
        self,
        root: Execution,
        entity: Entity,
        *,
        now: datetime,
        by: Any = None,
        pinned: dict[str, Version] | None = None,
        basis: Basis | None = None,
        closure: str | None = None,
        ids: Iterator[int] | None = None,
    ) -> None:
        self.root = root
        self.entity = entity
        self.now = now
        self.by = by
        self._by_id = None if by is None else by.pk
        self._basis = basis
        self._closure = closure
        self._ids = ids or store.execution_ids()
        self._changes = Changes()
        if pinned is not None:
            self.pinned = pinned
        self._runs: dict[int, Run] = {}
        self._runs_by_parent: dict[int | None, list[Run]] = {}
        self._has_read_all = False
        self._calling: dict[int, Step] = {}
        self._due: deque[tuple[Run, Node, Edge | None, Origin | None]] = deque()
        self._snapshot = Snapshot(entity)
        self.answer: Callable[[], Sequence[Any]] | None = None
        """Returns the row of the answer that is stored with the changes; see ``Changes``."""

    @cached_property
    def pinned(self) -> dict[str, Version]:
        """The pinned version of every callee of the closure, by the callee's cuid."""
        return store.pinned(self.root, self._closure)

    # Executions

    def get_run(self, execution: Execution) -> Run:
        """Return the run of an execution; read its open steps the first time."""
        known = self._runs.get(execution.id)
        return known or self.add_run(execution, store.open_steps(execution))

    def add_run(self, execution: Execution, open_steps: Iterable[Step]) -> Run:
        """Add an execution whose open steps have been read."""
        run = self._register(Run(execution, open_steps))
        self._snapshot.add(run)
        return run

    def _add_new(self, execution: Execution) -> Run:
        self._changes.executions.append(execution)
        return self._register(Run(execution, ()))

    def _register(self, run: Run) -> Run:
        self._runs[run.execution.id] = run
        self._runs_by_parent.setdefault(run.execution.parent_id, []).append(run)
        return run

    def start_child(
        self,
        run: Run,
        step: Step,
        callee_cuid: str,
        variables: Mapping[str, Any],
        item: int | None = None,
    ) -> None:
        """Start a child on the pinned version of the callee, with these variables."""
        version = self.pinned[callee_cuid]
        child = new_child(run.execution, version, next(self._ids), self.now, item)
        child.variables = checked_variables(variables)
        child.started_by_id = self._by_id
        step.child_id = child.id
        self._calling[child.id] = step
        self.mark_changed(step)
        child_run = self._add_new(child)
        self.enter(child_run, child_run.manager.graph.start, origin=child)

    def cancel_child(self, step: Step, message: str) -> None:
        """Cancel the child that a step has called, if it is live. The step is not notified."""
        if step.child_id is None:
            return
        if step.child_id not in self._runs and not self._has_read_all:
            self._read_all()
        child = self._runs.get(step.child_id)
        if child is not None and child.is_live:
            self._end_tree(child, Status.CANCELLED, message)

    def set_stage(self, execution: Execution, state: str, progress: float | None) -> None:
        """Set the stage of an execution, and its progress in percent unless that is None."""
        execution.stage = state
        if progress is not None:
            execution.progress = progress
        self._mark_execution_changed(execution)

    def _end_tree(self, run: Run, status: Status, message: str) -> None:
        for below in self._live_below(run):
            self._end_one(below, Status.CANCELLED, "The execution that called it has ended.")
        self._end_one(run, status, message)

    def _end_one(self, run: Run, status: Status, message: str) -> None:
        for step in list(run.open_steps):
            self.close_step(run, step, state=StepState.CANCELLED)
        run.execution.status = status
        run.execution.message = message
        run.execution.ended_at = self.now
        self._mark_execution_changed(run.execution)

    def _live_below(self, run: Run) -> list[Run]:
        """Return the runs of all live executions below this one, deepest last."""
        if not (run.execution._state.adding or self._has_read_all):
            self._read_all()
        found = [run]
        for above in found:
            below = self._runs_by_parent.get(above.execution.id, ())
            found += [other for other in below if other.is_live]
        return found[1:]

    def new_children(self, execution: Execution) -> list[Execution]:
        """Return the children that this advance has started, the latest first."""
        found = [row for row in self._changes.executions if row.parent_id == execution.id]
        return sorted(found, key=lambda row: -row.id)

    def _read_all(self) -> None:
        """Read the live executions of this tree that have not been read yet."""
        self._has_read_all = True
        for execution, open_steps in store.live_below(self.root):
            if execution.id not in self._runs:
                self.add_run(execution, open_steps)

    def _parent_of(self, execution: Execution) -> Execution:
        if execution.parent_id == self.root.pk:
            return self.root
        parent: Any = execution.parent_id
        if parent in self._runs:
            return self._runs[parent].execution
        rows = Execution.objects.select_related("version").defer("version__source")
        return rows.get(pk=parent)

    def _calling_step(self, run: Run, child: Execution) -> Step | None:
        """Return the open step of ``run`` that called this child."""
        called_now = self._calling.get(child.id)
        steps = run.open_steps if called_now is None else [called_now]
        return next((step for step in steps if step.child_id == child.id and step.is_open), None)

    # Steps

    def enter(
        self, run: Run, node: Node, edge: Edge | None = None, *, origin: Origin | None
    ) -> None:
        """Queue a visit of the execution to this node, over ``edge``."""
        if run.execution.status == Status.SCHEDULED:
            run.execution.status = Status.ACTIVE
            self._mark_execution_changed(run.execution)
        run.due += 1
        self._due.append((run, node, edge, origin))

    def follow(self, run: Run, step: Step, edge: Edge) -> None:
        """Queue a visit to the target of this edge, which a closed step is left by."""
        self.enter(run, run.manager.node(edge.target), edge, origin=origin_after(step))

    def _open_step(self, run: Run, node: Node, origin: Origin | None) -> Step:
        step = raw_rows.build_new(
            Step,
            execution_id=run.execution.id,
            node_id=node.id,
            type=node.type,
            label=node.label[:200],
            assignees=candidates_key(run.execution.version_id, node),
            state=StepState.OPEN,
            opened_at=self.now,
            origin=origin,
        )
        if node.type == START and run.execution.variables:
            step.input = {VARIABLES: run.execution.variables}
        self._changes.steps.append(step)
        run.open_steps.append(step)
        return step

    def close_step(
        self,
        run: Run,
        step: Step,
        *,
        output: Mapping[str, Any] | None = None,
        handle: str | None = None,
        state: StepState = StepState.DONE,
    ) -> None:
        """Close an open step."""
        step.state = state
        step.closed_at = self.now
        # A step that is left as soon as it is entered waited for nobody.
        step.closed_by_id = self._by_id if step.id else None
        step.output = None if output is None else dict(output)
        step.handle = handle or ""
        run.open_steps.remove(step)
        self.mark_changed(step)

    def keep_other_arrivals(
        self, run: Run, node: Node, step: Step, absorbs: list[Any] | None = None
    ) -> None:
        """Keep a join open for the branches that it does not consume when it continues.

        Args:
            absorbs: the names of the edges over which later branches are absorbed.
        """
        taken, left = joins.split(step)
        joins.set_arrivals(step, taken)
        if absorbs:
            opened = self._open_step(run, node, origin_after(step))
            joins.absorb_later(opened, left, taken, absorbs)
        elif left:
            joins.set_arrivals(self._open_step(run, node, origin_after(step)), left)

    def cancel_steps(self, run: Run, steps: Iterable[Step], message: str) -> None:
        """Cancel open steps, with their child executions."""
        for step in steps:
            self.close_step(run, step, state=StepState.CANCELLED)
            self.cancel_child(step, message)

    def end_absorbing(self, run: Run, node: Node, step: Step) -> None:
        """Close the step of a join that has absorbed the last branch of its round."""
        left = joins.arrivals(step)
        self.close_step(run, step, output={"absorbed": True})
        run.has_reached_end = True
        if left:
            joins.set_arrivals(self._open_step(run, node, origin_after(step)), left)

    def schedule_job(self, step: Step, kind: str, at: datetime) -> None:
        """Schedule a background job for an open step."""
        self._changes.jobs.append(Job(step=step, kind=kind, due_at=at))

    def mark_changed(self, step: Step) -> None:
        """Add a step to the changes, if it is stored already."""
        if step.id:
            self._changes.changed_steps[step.id] = step

    def _mark_execution_changed(self, execution: Execution) -> None:
        execution.updated_at = self.now
        if not execution._state.adding:
            self._changes.changed_executions[execution.id] = execution

    # The entity, and the variables

    def write_variables(
        self, execution: Execution, values: Mapping[str, Any], clear: Iterable[str] = ()
    ) -> None:
        """Set and clear variables of an execution. Raise ``InvalidValue`` if they are too large."""
        variables = {**execution.variables, **values}
        for name in clear:
            variables.pop(name, None)
        execution.variables = checked_variables(variables)
        self._mark_execution_changed(execution)

    def write_fields(self, values: Mapping[str, Any], clear: Iterable[str] = ()) -> None:
        """Set and clear fields of the entity."""
        fields = {**self.entity.fields, **values}
        for name in clear:
            fields.pop(name, None)
        fields = drop_missing(fields)
        # Compared as text: in Python, True equals 1.
        if repr(fields) != repr(self.entity.fields):
            self.entity.fields = fields
            self.entity.updated_at = self.now
            self._changes.entity = self.entity

    # The database

    def write(self) -> bool:
        """Write all changes. Return False, having written nothing, if the basis has changed."""
        moved = {step.execution_id for step in self._changes.steps}
        moved |= {step.execution_id for step in self._changes.changed_steps.values()}
        for run in self._runs.values():
            if run.execution.status == Status.ACTIVE:
                run.execution.status = Status.WAITING
                self._mark_execution_changed(run.execution)
            elif run.execution.id in moved:
                self._mark_execution_changed(run.execution)
        # Readers without a lock detect a change of the tree by its root.
        self._mark_execution_changed(self.root)
        self._store_passed_nodes()
        # A step that was opened and closed in this advance needs no job.
        self._changes.jobs = [job for job in self._changes.jobs if job.step.is_open]
        if self.answer is not None:
            self._changes.answer = self.answer()
        if not store.write(self._changes, self._basis):
            return False
        changed = self._changes.changed_executions.values()
        for execution in changed:
            # Generated by the database: Django reads them again on access.
            execution.__dict__.pop("live", None)
            execution.__dict__.pop("live_key", None)
        contexts = {row.context_key for row in changed if row.status not in LIVE}
        if contexts and self._changes.may_unblock:
            # A pending change may have waited for one of them.
            try_waiting_changes(contexts)
        if due := sum(job.due_at <= self.now for job in self._changes.jobs):
            wakeups.on_commit(due)
        return True

    def _store_passed_nodes(self) -> None:
        """Move new steps that are closed already to the list of passed nodes of their origin."""
        rows: list[Step] = []
        passed: dict[int, tuple[Origin, list[dict[str, Any]]]] = {}
        for step in self._changes.steps:
            origin = step.origin
            if origin is None or step.is_open:
                rows.append(step)
                continue
            child = self._runs[step.child_id].execution.cuid if step.child_id else None
            # An open origin is closed later: its passed nodes have times of their own.
            at = None if isinstance(origin, Step) and origin.is_open else self.now
            entry = passed_entry(step, at, child)
            passed.setdefault(id(origin), (origin, []))[1].append(entry)
        self._changes.steps = rows
        for origin, entries in passed.values():
            # A step that a repair has opened again may have passed nodes already.
            origin.passed = [*(origin.passed or ()), *entries]


def checked_variables(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables as they are stored. Raise ``InvalidValue`` if they are too large."""
    found = drop_missing(variables)
    if len(json.dumps(found)) > MAX_VARIABLES:
        raise InvalidValue(
            gettext(
                "The variables of the execution would take more than {most} characters as JSON."
            ).format(most=MAX_VARIABLES)
        )
    return found


def origin_after(step: Step) -> Origin:
    """Return the origin of the visits that the end of a step leads to."""
    return step if step.id or step.origin is None else step.origin
