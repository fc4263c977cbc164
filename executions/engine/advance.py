"""One advance: the tree of a root execution walked in memory, and written once.

An advance begins with a start, a submit or a cancel, and goes on until every execution of
the tree waits for something or has ended. Callers hold the locks of a runner.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from executions import wakeups
from executions.engine import joins, undo
from executions.engine.nodes.assignees import asked
from executions.engine.nodes.behaviour import NotSubmittable
from executions.engine.run import NodeVisit, Run, child_of
from executions.engine.store import reading, writing
from executions.engine.store.ids import Ids
from executions.engine.store.writing import Basis, Changes
from executions.models import LIVE, Entity, Execution, Job, Pin, Status, Step, StepState
from workflows.db import raw_rows
from workflows.editing import ended
from workflows.graph import Edge, Node
from workflows.models import Version
from workflows.values.missing import present

STEP_BUDGET = 10_000


class Advance:
    """The work between two resting points of a tree of executions.

    ``basis``: what it was read from, where nothing is locked; ``pins``: of a new root;
    ``pinned``: ids and cuids of the versions, where they were read with an execution;
    ``ids``: where the root's was taken.
    """

    def __init__(
        self,
        root: Execution,
        entity: Entity,
        *,
        now: datetime,
        by: Any = None,
        pins: Iterable[Pin] | None = None,
        basis: Basis | None = None,
        pinned: list[str] | None = None,
        ids: Ids | None = None,
    ) -> None:
        self.root = root
        self.entity = entity
        self.now = now
        self.by = by
        self._by_id = None if by is None else by.pk
        self._basis = basis
        self._pinned = pinned
        self._ids = ids or Ids()
        self._changes = Changes()
        if pins is not None:
            self._changes.pins = list(pins)
            self.pinned = {pin.callee.cuid: pin.version for pin in self._changes.pins}
        self._runs: dict[int, Run] = {}
        self._runs_below: dict[int | None, list[Run]] = {}
        self._has_read_all = False
        self._calling: dict[int, Step] = {}
        self._due: deque[tuple[Run, Node, Edge | None]] = deque()
        self._visits = 0
        self._before = undo.Before(entity)

    @cached_property
    def pinned(self) -> dict[str, Version]:
        """The pinned version of every callee of the closure, by the callee's cuid."""
        return reading.pinned(self.root, self._pinned)

    # What sets an advance going

    def begin(self) -> None:
        """Start the root at its start node."""
        run = self._add(self.root)
        self._before.keep(run)
        visit = self.stand(run, run.manager.graph.start, self.now)
        if self.root.status != Status.SCHEDULED:
            self._visits += 1
            visit.behaviour.enter(visit)
            return
        assert self.root.scheduled_for is not None
        visit.step.due_at = self.root.scheduled_for
        self.later(visit.step, "timer", self.root.scheduled_for)

    def submit(self, visit: NodeVisit, data: object) -> None:
        """Give what a person has submitted to an open step."""
        if visit.step.state == StepState.INCIDENT:
            raise NotSubmittable(f"Node “{visit.node.label}” has an incident and takes no form.")
        visit.step.input = data
        visit.behaviour.submit(visit, data, self.by)

    def cancel(self, execution: Execution, message: str) -> None:
        """Cancel this execution and all that it has started."""
        self.end(self.run_of(execution), Status.CANCELLED, message)

    def run_of(self, execution: Execution) -> Run:
        """The run of an execution; its open steps are read the first time."""
        known = self._runs.get(execution.id)
        return known or self.know(execution, reading.open_steps(execution))

    def know(self, execution: Execution, open_steps: Iterable[Step]) -> Run:
        """The run of an execution whose open steps have been read."""
        run = self._enroll(Run(execution, open_steps))
        self._before.keep(run)
        return run

    def _enroll(self, run: Run) -> Run:
        self._runs[run.execution.id] = run
        self._runs_below.setdefault(run.execution.parent_id, []).append(run)
        return run

    def visit(self, run: Run, step: Step) -> NodeVisit:
        """The visit of an execution to the node of this step."""
        return NodeVisit(self, run, run.manager.node(step.node_id), step)

    def stand(self, run: Run, node: Node, since: datetime) -> NodeVisit:
        """Open a step at which the advance begins: an execution came there at that time."""
        step = self._open(run, node)
        step.opened_at = since
        self._before.keep_opened(run, step)
        return NodeVisit(self, run, node, step)

    # What a visit can bring about

    def follow(self, run: Run, edge: Edge) -> None:
        """Let the execution come by this edge, in its turn."""
        self.enter(run, run.manager.node(edge.target), edge)

    def enter(self, run: Run, node: Node, edge: Edge | None = None) -> None:
        """Let the execution come to this node in its turn."""
        if run.execution.status == Status.SCHEDULED:
            run.execution.status = Status.ACTIVE
            self._changed(run.execution)
        run.due += 1
        self._due.append((run, node, edge))

    def close(
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
        # What is left as soon as it was entered waited for nobody.
        step.closed_by_id = self._by_id if step.id else None
        step.output = None if output is None else dict(output)
        step.handle = handle or ""
        run.open_steps.remove(step)
        self.touch(step)

    def call(self, run: Run, step: Step, callee_cuid: str) -> None:
        """Start a child on the pinned version of the callee."""
        version = self.pinned[callee_cuid]
        child = child_of(run.execution, version, self._ids.take(), self.now)
        child.started_by_id = self._by_id
        step.child_id = child.id
        self._calling[child.id] = step
        self.touch(step)
        child_run = self._add(child)
        self.enter(child_run, child_run.manager.graph.start)

    def _add(self, execution: Execution) -> Run:
        self._changes.executions.append(execution)
        return self._enroll(Run(execution, ()))

    def keep_waiting(self, run: Run, node: Node, step: Step) -> None:
        """Let those branches wait on that a join which goes on does not take along."""
        taken, left = joins.split(step)
        joins.arrive(step, taken)
        if left:
            joins.arrive(self._open(run, node), left)

    def later(self, step: Step, kind: str, at: datetime) -> None:
        """Have the background come back to an open step."""
        self._changes.jobs.append(Job(step=step, kind=kind, due_at=at))

    def tell_stage(self, execution: Execution, state: str, progress: float | None) -> None:
        """Set what operators see as the stage of an execution."""
        execution.stage = state
        if progress is not None:
            execution.progress = progress
        self._changed(execution)

    def write_fields(self, values: Mapping[str, Any], clear: Iterable[str] = ()) -> None:
        """Set fields of the entity, and take others away."""
        fields = {**self.entity.fields, **values}
        for name in clear:
            fields.pop(name, None)
        fields = present(fields)
        # As text: to Python, true equals 1.
        if repr(fields) != repr(self.entity.fields):
            self.entity.fields = fields
            self.entity.updated_at = self.now
            self._changes.entity = self.entity

    def end(self, run: Run, status: Status, message: str = "") -> None:
        """End an execution: what it left open, and all that it started, is cancelled."""
        self._end_tree(run, status, message)
        self._tell_parent(run)

    def tell_caller(self, execution: Execution) -> None:
        """Tell the step that called an execution how that has ended."""
        self._tell_parent(self.run_of(execution))

    # The walk

    def finish(self) -> bool:
        """Go on as far as it goes, and write what came of it, as ``write`` does."""
        self.run()
        return self.write()

    def run(self) -> None:
        """Go on until every execution of the tree waits for something or has ended.

        Where it does not after as many nodes as an advance may pass, all that it did is undone,
        and the steps that it began with have an incident.
        """
        self._before.begin(self._changes)
        for run in list(self._runs.values()):
            # Retrying or skipping an end closes the last step without a walk.
            self._settle(run)
        while self._walk():
            if not self._join_one():
                return
        self._undo()

    def _undo(self) -> None:
        self._due.clear()
        self._runs.clear()
        self._runs_below.clear()
        self._calling.clear()
        for run in self._before.restore(self._changes):
            self._enroll(run)
        for run, step in self._before.blamed():
            if run.execution.status == Status.SCHEDULED:
                run.execution.status = Status.ACTIVE
            self._changed(run.execution)
            self.visit(run, step).incident("step_budget", undo.DETAIL.format(STEP_BUDGET))

    def _join_one(self) -> bool:
        """Let one join go on at which nobody can arrive any more; whether there was one."""
        for run in self._runs.values():
            ready = joins.ready(run.manager.graph, run.open_steps) if run.is_live else None
            if ready is not None:
                self.visit(run, ready).leave()
                return True
        return False

    def _walk(self) -> bool:
        """Go on until nothing is due; False when that takes more nodes than it may pass."""
        while self._due:
            run, node, edge = self._due.popleft()
            run.due -= 1
            if not run.is_live:
                continue
            if self._visits == STEP_BUDGET:
                return False
            self._visits += 1
            step = self._open(run, node)
            visit = NodeVisit(self, run, node, step, edge)
            visit.behaviour.enter(visit)
            self._settle(run)
        return True

    def _open(self, run: Run, node: Node) -> Step:
        step = raw_rows.new(
            Step,
            execution_id=run.execution.id,
            node_id=node.id,
            type=node.type,
            label=node.label[:200],
            assignees=asked(run.execution.version_id, node),
            state=StepState.OPEN,
            opened_at=self.now,
        )
        self._changes.steps.append(step)
        run.open_steps.append(step)
        return step

    def _settle(self, run: Run) -> None:
        if run.is_live and not run.due and not run.open_steps and run.reached_end:
            run.execution.status = Status.COMPLETED
            run.execution.ended_at = self.now
            self._changed(run.execution)
            self._tell_parent(run)

    def _tell_parent(self, run: Run) -> None:
        """A child that completed lets its parent go on; any other end is an incident there."""
        execution = run.execution
        if execution.parent_id is None:
            return
        parent_run = self.run_of(self._parent_of(execution))
        step = self._step_calling(parent_run, execution)
        if step is None or not parent_run.is_live:
            return
        visit = self.visit(parent_run, step)
        if execution.status == Status.COMPLETED:
            visit.leave(output={"execution": execution.cuid})
        else:
            ending = f"The called execution {execution.cuid} {_ENDINGS[execution.status]}"
            reason = f": {execution.message}" if execution.message else "."
            visit.incident(f"child_{execution.status}", ending + reason)

    def _step_calling(self, run: Run, child: Execution) -> Step | None:
        called_now = self._calling.get(child.id)
        steps = run.open_steps if called_now is None else [called_now]
        return next((step for step in steps if step.child_id == child.id and step.is_open), None)

    def _parent_of(self, execution: Execution) -> Execution:
        if execution.parent_id == self.root.pk:
            return self.root
        parent: Any = execution.parent_id
        if parent in self._runs:
            return self._runs[parent].execution
        rows = Execution.objects.select_related("version").defer("version__source")
        return rows.get(pk=parent)

    def _end_tree(self, run: Run, status: Status, message: str) -> None:
        for below in self._live_below(run):
            self._end_one(below, Status.CANCELLED, "The execution that called it has ended.")
        self._end_one(run, status, message)

    def _end_one(self, run: Run, status: Status, message: str) -> None:
        for step in list(run.open_steps):
            self.close(run, step, state=StepState.CANCELLED)
        run.execution.status = status
        run.execution.message = message
        run.execution.ended_at = self.now
        self._changed(run.execution)

    def _live_below(self, run: Run) -> list[Run]:
        """The runs of all that an execution has started and that is live, deepest last."""
        if not (run.execution._state.adding or self._has_read_all):
            self._read_all()
        found = [run]
        for above in found:
            below = self._runs_below.get(above.execution.id, ())
            found += [other for other in below if other.is_live]
        return found[1:]

    def _read_all(self) -> None:
        """Read what is live in this tree and has not been read yet."""
        self._has_read_all = True
        for execution, open_steps in reading.live_below(self.root):
            if execution.id not in self._runs:
                self.know(execution, open_steps)

    # What is written

    def touch(self, step: Step) -> None:
        """Note that a step that is stored already has changed."""
        if step.id:
            self._changes.changed_steps[step.id] = step

    def _changed(self, execution: Execution) -> None:
        execution.updated_at = self.now
        if not execution._state.adding:
            self._changes.changed_executions[execution.id] = execution

    def write(self) -> bool:
        """Write what the advance brought about; False, and nothing is written, when what it was
        read from is no longer so.
        """
        gone_on = {step.execution_id for step in self._changes.steps}
        gone_on |= {step.execution_id for step in self._changes.changed_steps.values()}
        for run in self._runs.values():
            if run.execution.status == Status.ACTIVE:
                run.execution.status = Status.WAITING
                self._changed(run.execution)
            elif run.execution.id in gone_on:
                self._changed(run.execution)
        # Whoever has read the tree without a lock sees by its root that it has gone on.
        self._changed(self.root)
        for pin in self._changes.pins:
            pin.live = self.root.status in LIVE
        # What was left again before it was written needs nobody to come back.
        self._changes.jobs = [job for job in self._changes.jobs if job.step.is_open]
        if not writing.write(self._changes, self._basis):
            return False
        changed = self._changes.changed_executions.values()
        for execution in changed:
            # Generated by the database: read again when somebody asks.
            execution.__dict__.pop("live", None)
            execution.__dict__.pop("live_key", None)
        if self._changes.held:
            # A change on hold may have waited for one of them.
            ended(row.context_key for row in changed if row.status not in LIVE)
        wakeups.on_commit(sum(job.due_at <= self.now for job in self._changes.jobs))
        return True


_ENDINGS: dict[str, str] = {Status.FAILED: "failed", Status.CANCELLED: "was cancelled"}
