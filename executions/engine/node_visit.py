"""A visit of an execution to a node: what the node may do there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from executions.engine import file_answers, joins
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
from executions.engine.run import Run
from executions.engine.value_sources import VARIABLE, InvalidValue
from executions.models import FOR_EACH, ITEMS, Execution, Status, Step, StepState
from workflows.graph import Edge, Node
from workflows.values.missing import is_missing


class Walk(ItemCalls, ABC):
    """A tree of executions that continues where a visit ends."""

    @abstractmethod
    def leave_step(
        self,
        run: Run,
        step: Step,
        handle: str | None,
        output: Mapping[str, Any] | None,
        absorbs: list[Any] | None = None,
    ) -> None:
        """Close a step and follow its exit."""

    @abstractmethod
    def finish(self) -> bool:
        """Continue until every execution waits or has ended, then write as ``write`` does."""

    @abstractmethod
    def end(self, run: Run, status: Status, message: str = "") -> None:
        """End an execution; cancel its open steps and its descendants, and notify its parent."""


class NodeVisit:
    """A visit of an execution to a node (implements ``nodes.behaviour.Visit``).

    ``edge`` is the edge by which the execution has just arrived.
    """

    def __init__(
        self, advance: Walk, run: Run, node: Node, step: Step, edge: Edge | None = None
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

    def submit(self, data: object, action: str | None = None) -> None:
        """Submit a form to the open step, by one of its actions if it has any."""
        if self.step.state == StepState.INCIDENT:
            raise NotSubmittable(f"Node “{self.node.label}” has an incident and takes no form.")
        self.step.input = data
        self.behaviour.submit(self, data, self.advance.by, action)

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
            NodeVisit(self.advance, self.run, self.node, call)._leave_failed(cause)

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

    def find_files(self, ids: Sequence[str]) -> Mapping[str, str]:
        return file_answers.find_files(self.step.cuid, ids, self.advance.by)

    def attach_files(self, files: Mapping[str, Sequence[str]]) -> Mapping[str, Any]:
        return file_answers.attach_files(self.node, files, self.now)

    def write_fields(self, values: Mapping[str, Any], clear: Iterable[str] = ()) -> None:
        variables = {name[1:]: values[name] for name in values if name[:1] == VARIABLE}
        cleared = [name[1:] for name in clear if name[:1] == VARIABLE]
        if variables or cleared:
            self.advance.write_variables(self.run.execution, variables, cleared)
        fields = {name: values[name] for name in values if name[:1] != VARIABLE}
        self.advance.write_fields(fields, [name for name in clear if name[:1] != VARIABLE])
