"""An advance: walk a tree of executions in memory, then write the result once.

A start, a submit or a cancel begins an advance. The walk continues until every execution of the
tree waits or has ended. Callers hold the locks of a runner, or pass a ``basis``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from executions.engine import joins
from executions.engine.for_each import (
    COMPLETED,
    RESULTS,
    ItemCalls,
    counts_of,
    is_call,
    item_of,
    items_of,
)
from executions.engine.nodes import Behaviour, behaviour
from executions.engine.nodes.assignees import current_candidates_key
from executions.engine.nodes.behaviour import ERROR, FAILED, Item, NotSubmittable
from executions.engine.nodes.deadline import schedule_deadline
from executions.engine.run import OVER_BUDGET, Run
from executions.engine.value_sources import VARIABLE, InvalidValue
from executions.models import FOR_EACH, ITEMS, Execution, Status, Step, StepState
from workflows.graph import Edge, Node
from workflows.values.missing import is_missing

STEP_BUDGET = 10_000


class Advance(ItemCalls):
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

    def submit(self, visit: NodeVisit, data: object, action: str | None = None) -> None:
        """Submit a form to an open step, by one of its actions if it has any."""
        if visit.step.state == StepState.INCIDENT:
            raise NotSubmittable(f"Node “{visit.node.label}” has an incident and takes no form.")
        visit.step.input = data
        visit.behaviour.submit(visit, data, self.by, action)

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


class NodeVisit:
    """A visit of an execution to a node (implements ``nodes.behaviour.Visit``).

    ``edge`` is the edge by which the execution has just arrived.
    """

    def __init__(
        self, advance: Advance, run: Run, node: Node, step: Step, edge: Edge | None = None
    ) -> None:
        self.advance = advance
        self.run = run
        self.node = node
        self.step = step
        self.edge = edge

    @property
    def behaviour(self) -> Behaviour:
        return behaviour(self.node.type)

    @property
    def candidates_key(self) -> str:
        """The key of the step's candidates; empty if everybody may do it."""
        return current_candidates_key(self.step, self.run.execution.version_id, self.node)

    @property
    def fields(self) -> Mapping[str, Any]:
        fields = {
            name: value
            for name, value in self.advance.entity.fields.items()
            if not is_missing(value) and name[:1] != VARIABLE
        }
        variables = self.run.execution.variables
        return fields | {VARIABLE + name: variables[name] for name in variables}

    @property
    def now(self) -> datetime:
        return self.advance.now

    def enter(self) -> None:
        """Let the node act on the arrival. A call that has its items already goes on with them."""
        if is_call(self.step):
            schedule_deadline(self)
            self.continue_items()
        else:
            self._attempt(lambda: self.behaviour.enter(self))

    def resume(self, result: Any) -> None:
        """Let the node take the result of its job, or a delivery."""
        self._attempt(lambda: self.behaviour.resume(self, result))

    def _attempt(self, act: Callable[[], None]) -> None:
        """Act. Open an incident if a value cannot be computed or stored."""
        try:
            act()
        except InvalidValue as refusal:
            self.open_incident(refusal.code, str(refusal.message))

    def leave(
        self,
        handle: str | None = None,
        output: Mapping[str, Any] | None = None,
        absorbs: list[Any] | None = None,
    ) -> None:
        self.advance.leave_step(self.run, self.step, handle, output, absorbs)

    def fork(self) -> None:
        self.advance.close_step(self.run, self.step)
        for edge in self.run.manager.branches(self.node.id):
            self.advance.follow(self.run, self.step, edge)

    def join(self) -> None:
        """Wait at the join. Branches that arrived earlier share one step."""
        step = self.step
        if joins.has_continued(step):
            # The step had an incident at the join itself, and waits for later branches again.
            return
        # The step has arrivals already if it had an incident at the join itself.
        names = [self.edge and self.edge.name] if step.input is None else joins.arrivals(step)
        joins.set_arrivals(step, names)
        for other in self.run.open_steps:
            if other is not step and other.node_id == step.node_id and not other.incident:
                joins.add_arrivals(other, names)
                self.advance.mark_changed(other)
                self.advance.close_step(self.run, step, output={"joined": other.cuid})
                return

    def wait(self, due: datetime | None = None) -> None:
        self.step.due_at = due

    def schedule_job(self, kind: str, at: datetime) -> None:
        self.advance.schedule_job(self.step, kind, at)

    def perform(self, kind: str, fields: Iterable[str]) -> None:
        # Frozen, so that a retry with the same idempotency key sends the same request.
        self.step.input = {"fields": self.read_fields(fields)}
        self.advance.mark_changed(self.step)
        self.wait(due=self.now)
        self.schedule_job(kind, self.now)

    def read_fields(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the current values of these fields, without the missing ones."""
        fields = self.fields
        return {name: fields[name] for name in sorted(names) if name in fields}

    def set_stage(self, state: str, progress: float | None) -> None:
        self.advance.set_stage(self.run.execution, state, progress)

    @property
    def item(self) -> Item | None:
        """The item that the step belongs to, for a call with ``for_each``."""
        index, call = item_of(self.step), self.advance.call_of(self.run, self.step)
        return None if index is None or call is None else Item(items_of(call)[ITEMS][index])

    def start_items(self, items: list[Any]) -> None:
        self.advance.begin_items(self.step, items)
        self.continue_items()

    def continue_items(self) -> None:
        """Start the next items of a call, and leave it if it has enough."""
        if self.step.state == StepState.OPEN:
            self._attempt(self._start_next_items)

    def _start_next_items(self) -> None:
        call, loop = self.step, self.node.data[FOR_EACH]
        started, limit = self.advance.open_items(self.run, call), loop.get("limit")
        live = sum(step.state == StepState.OPEN for step in started)
        while not self.advance.has_enough(self.node, call) and (limit is None or live < limit):
            step = self.advance.open_next_item(self.run, self.node, call)
            if step is None:
                break
            NodeVisit(self.advance, self.run, self.node, step).enter()
            live += step.state == StepState.OPEN
        if self.advance.is_done(self.run, self.node, call):
            if name := loop.get("collect"):
                results = {name: items_of(call)[RESULTS]}
                self.advance.write_variables(self.run.execution, results)
            self.leave(output={key: counts_of(call)[key] for key in (ITEMS, COMPLETED)})

    def start_child(self, callee_cuid: str, variables: Mapping[str, Any]) -> None:
        item = item_of(self.step)
        # An advance that was undone can leave an incident with a live child.
        self.advance.cancel_child(self.step, "The step that called it was retried.")
        self.advance.start_child(self.run, self.step, callee_cuid, variables, item)

    def finish_call(self, child: Execution) -> None:
        """Take the output of a child that completed, and continue."""

        def take_output() -> None:
            names = self.node.data.get("output", {})
            values = {name: child.variables.get(source) for name, source in names.items()}
            item, call = item_of(self.step), self.advance.call_of(self.run, self.step)
            if item is not None and call is not None:
                self.advance.store_result(call, item, values)
            elif values:
                self.advance.write_variables(self.run.execution, values)
            self.leave(output={"execution": child.cuid})

        self._attempt(take_output)

    def end_branch(self) -> None:
        self.run.has_reached_end = True
        self.advance.close_step(self.run, self.step)

    def complete(self) -> None:
        self.advance.close_step(self.run, self.step)
        self.advance.end(self.run, Status.COMPLETED)

    def fail(self, message: str) -> None:
        self.advance.close_step(self.run, self.step, output={"message": message})
        self.advance.end(self.run, Status.FAILED, message)

    def give_up(self, code: str, detail: str, **more: str) -> None:
        """Leave by the exit ``failed`` with the cause; without such an edge, open an incident.

        An item has an incident, and its call leaves when too few items can still complete.
        """
        has_exit = self.run.manager.has_exit(self.node.id, FAILED)
        is_item = item_of(self.step) is not None
        if is_item or not has_exit:
            self.open_incident(code, detail)
        cause = {"code": code, "message": detail, **more}
        if has_exit and not is_item:
            self._leave_failed(cause)
        elif has_exit and (call := self.advance.failing_call(self.run, self.node, self.step)):
            self.advance.visit_step(self.run, call)._leave_failed(cause)

    def _leave_failed(self, cause: Mapping[str, Any]) -> None:

        def leave() -> None:
            self.advance.write_variables(self.run.execution, {ERROR: cause})
            self.leave(FAILED, output={ERROR: cause})

        self._attempt(leave)

    def open_incident(self, code: str, detail: str) -> None:
        self.step.state = StepState.INCIDENT
        self.step.incident = {
            "code": code,
            "detail": detail,
            "at": self.now.isoformat(),
            "attempt": self.step.attempt,
        }
        self.advance.mark_changed(self.step)

    def reopen(self) -> None:
        """Clear the incident and the deadline, for the node to be entered again."""
        self.step.state = StepState.OPEN
        self.step.incident = None
        self.step.due_at = None
        self.step.overdue = False
        self.step.attempt += 1
        self.advance.mark_changed(self.step)

    def write_fields(self, values: Mapping[str, Any], clear: Iterable[str] = ()) -> None:
        variables = {name[1:]: values[name] for name in values if name[:1] == VARIABLE}
        cleared = [name[1:] for name in clear if name[:1] == VARIABLE]
        if variables or cleared:
            self.advance.write_variables(self.run.execution, variables, cleared)
        fields = {name: values[name] for name in values if name[:1] != VARIABLE}
        self.advance.write_fields(fields, [name for name in clear if name[:1] != VARIABLE])


_ENDINGS: dict[str, str] = {Status.FAILED: "failed", Status.CANCELLED: "was cancelled"}
