"""An advance: walk a tree of executions in memory, then write the result once.

A start, a submit or a cancel begins an advance. The walk continues until every execution of the
tree waits or has ended. Callers hold the locks of a runner, or pass a ``basis``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from executions.engine import joins
from executions.engine.for_each import is_call, item_of
from executions.engine.node_visit import NodeVisit, Walk
from executions.engine.run import OVER_BUDGET, Run
from executions.models import Execution, Status, Step
from workflows.graph import Node

STEP_BUDGET = 10_000
_ENDINGS: dict[str, str] = {Status.FAILED: "failed", Status.CANCELLED: "was cancelled"}


class Advance(Walk):
    """The work between two resting points of a tree of executions."""

    _visits = 0

    # Beginning

    def start(self) -> None:
        """Start the root at its start node, or schedule that for later."""
        run = self._add_new(self.root)
        self._snapshot.add(run)
        visit = self.open_step_at(run, run.manager.graph.start, self.now, origin=self.root)
        if self.root.status != Status.SCHEDULED:
            self._visits += 1
            visit.enter()
            return
        assert self.root.scheduled_for is not None
        visit.step.due_at = self.root.scheduled_for
        self.schedule_job(visit.step, "timer", self.root.scheduled_for)

    def cancel(self, execution: Execution, message: str) -> None:
        """Cancel this execution and all its descendants."""
        self.end(self.get_run(execution), Status.CANCELLED, message)

    def visit_step(self, run: Run, step: Step) -> NodeVisit:
        """Return the visit of an execution to the node of this step."""
        return NodeVisit(self, run, run.manager.node(step.node_id), step)

    def open_step_at(
        self, run: Run, node: Node, since: datetime, origin: Execution | None = None
    ) -> NodeVisit:
        """Open the step at which the advance begins, backdated to ``since``.

        ``origin`` is the new execution that starts there.
        """
        step = self._open_step(run, node, origin)
        step.opened_at = since
        self._snapshot.add_opened(run, step)
        return NodeVisit(self, run, node, step)

    # Ending

    def end(self, run: Run, status: Status, message: str = "") -> None:
        """End an execution; cancel its open steps and its descendants, and notify its parent."""
        self._end_tree(run, status, message)
        self._notify_parent(run)

    def notify_caller(self, execution: Execution) -> None:
        """Pass the end of an execution on to the step that called it."""
        self._notify_parent(self.get_run(execution))

    def _complete_if_done(self, run: Run) -> None:
        if run.is_live and not run.due and not run.open_steps and run.has_reached_end:
            run.execution.status = Status.COMPLETED
            run.execution.ended_at = self.now
            self._mark_execution_changed(run.execution)
            self._notify_parent(run)

    def _notify_parent(self, run: Run) -> None:
        """Continue the parent if the child completed; else let the calling step give up."""
        execution = run.execution
        if execution.parent_id is None:
            return
        parent_run = self.get_run(self._parent_of(execution))
        step = self._calling_step(parent_run, execution)
        if step is None or not parent_run.is_live:
            return
        visit = self.visit_step(parent_run, step)
        if execution.status == Status.COMPLETED:
            visit.finish_call(execution)
        else:
            ending = f"The child execution {_ENDINGS[execution.status]}"
            reason = f": {execution.message}" if execution.message else "."
            code = f"child_{execution.status}"
            visit.give_up(code, ending + reason, execution=execution.cuid)
            self._continue_call(parent_run, step)

    # Calls with for_each

    def _continue_call(self, run: Run, item_step: Step) -> None:
        """Continue the call that an item's step belongs to, if any."""
        call = self.call_of(run, item_step)
        if call is not None:
            self.visit_step(run, call).continue_items()

    def leave_step(
        self,
        run: Run,
        step: Step,
        handle: str | None,
        output: Mapping[str, Any] | None,
        absorbs: list[Any] | None = None,
    ) -> None:
        """Close a step and follow its exit.

        The call of an item goes on with its next items; by a named exit, the whole call is left.
        """
        if is_call(step):
            self.cancel_items(run, step)
        call = self.call_of(run, step)
        self.close_step(run, step, output=output, handle=handle)
        if call is not None and handle:
            self.leave_step(run, call, handle, output)
            return
        if item_of(step) is not None:
            self._continue_call(run, step)
            return
        node = run.manager.node(step.node_id)
        if step.type == joins.JOIN:
            self.keep_other_arrivals(run, node, step, absorbs)
        self.follow(run, step, run.manager.exit(node.id, handle))

    # The walk

    def finish(self) -> bool:
        """Walk, then write as ``write`` does."""
        self.walk()
        return self.write()

    def walk(self) -> None:
        """Walk until every execution of the tree waits or has ended.

        If that takes more than ``STEP_BUDGET`` visits, undo everything and open an incident at
        the steps that began the advance.
        """
        self._snapshot.note_beginning(self._changes)
        for run in list(self._runs.values()):
            # Retrying or skipping an end closes the last step without a visit.
            self._complete_if_done(run)
        while self._visit_due_nodes():
            if not self._release_ready_join():
                return
        self._undo()

    def _visit_due_nodes(self) -> bool:
        """Visit nodes until none is due. Return False if that exceeds the step budget."""
        while self._due:
            run, node, edge, origin = self._due.popleft()
            run.due -= 1
            if not run.is_live:
                continue
            if self._visits == STEP_BUDGET:
                return False
            self._visits += 1
            visit = NodeVisit(self, run, node, self._open_step(run, node, origin), edge)
            visit.enter()
            self._complete_if_done(run)
        return True

    def _release_ready_join(self) -> bool:
        """Release one join that no branch can still reach. Return True if there was one."""
        for run in self._runs.values():
            ready = joins.find_ready(run.manager.graph, run.open_steps) if run.is_live else None
            if ready is not None:
                self._release_join(run, ready)
                return True
        return False

    def _release_join(self, run: Run, step: Step) -> None:
        visit = self.visit_step(run, step)
        if joins.has_continued(step):
            self.end_absorbing(run, visit.node, step)
            self._complete_if_done(run)
            return
        absorbs: list[Any] = []
        data = visit.node.data
        if data.get(joins.NEEDED) is not None:
            graph = run.manager.graph
            if data.get(joins.OTHERS) == joins.CANCEL:
                late = joins.find_late_steps(graph, run.open_steps, step)
                self.cancel_steps(run, late, joins.NOT_NEEDED)
            else:
                absorbs = joins.find_late_edges(graph, run.open_steps, step)
        visit.leave(absorbs=absorbs)

    def _undo(self) -> None:
        self._due.clear()
        self._runs.clear()
        self._runs_by_parent.clear()
        self._calling.clear()
        for run in self._snapshot.restore(self._changes):
            self._register(run)
        for run, step in self._snapshot.first_steps():
            if run.execution.status == Status.SCHEDULED:
                run.execution.status = Status.ACTIVE
            self._mark_execution_changed(run.execution)
            detail = OVER_BUDGET.format(STEP_BUDGET)
            self.visit_step(run, step).open_incident("step_budget", detail)
