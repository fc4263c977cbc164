"""One execution in memory, and the visit through which a node acts on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from executions.engine import joins
from executions.engine.manager import WorkflowManager
from executions.engine.nodes import Behaviour
from executions.engine.nodes.assignees import asked_at
from executions.models import LIVE, Execution, Status, Step, StepState
from workflows.db import raw_rows
from workflows.graph import Edge, Node
from workflows.models import Version
from workflows.values.missing import present

if TYPE_CHECKING:
    from executions.engine.advance import Advance


class OpenSteps(Collection[Step]):
    """The open steps of one execution, in the order in which they were opened.

    A step leaves in constant time: thousands may be open. They are told apart as objects, for a
    new one has no id yet.
    """

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self._steps = {id(step): step for step in steps}

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps.values())

    def __contains__(self, step: object) -> bool:
        return id(step) in self._steps

    def append(self, step: Step) -> None:
        """Add the step that was opened last."""
        self._steps[id(step)] = step

    def remove(self, step: Step) -> None:
        """Take out a step that was closed. Raises ``KeyError`` where it is not open."""
        del self._steps[id(step)]


class Run:
    """One execution of the tree, in memory: its open steps, and how many visits are due."""

    def __init__(self, execution: Execution, steps: Iterable[Step]) -> None:
        self.execution = execution
        self.manager = WorkflowManager(execution.version)
        self.open_steps = OpenSteps(steps)
        self.due = 0
        self.reached_end = False

    @property
    def is_live(self) -> bool:
        return self.execution.status in LIVE


def child_of(parent: Execution, version: Version, pk: int, now: datetime) -> Execution:
    """Return a new execution of this version, called by another of the same entity."""
    child: Execution = raw_rows.new(
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
    )
    raw_rows.relate(child, version=version)
    return child


class NodeVisit:
    """What a behaviour acts through (``nodes.behaviour.Visit``).

    ``edge``: the one by which the execution has just come.
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
        return self.run.manager.behaviour(self.node)

    @property
    def asks(self) -> str:
        """The key of the candidates that the step asks; empty where it asks everybody."""
        return asked_at(self.step, self.run.execution.version_id, self.node)

    @property
    def fields(self) -> Mapping[str, Any]:
        return present(self.advance.entity.fields)

    @property
    def now(self) -> datetime:
        return self.advance.now

    def leave(self, handle: str | None = None, output: Mapping[str, Any] | None = None) -> None:
        self.advance.close(self.run, self.step, output=output, handle=handle)
        if self.step.type == joins.JOIN:
            self.advance.keep_waiting(self.run, self.node, self.step)
        self.advance.follow(self.run, self.run.manager.exit(self.node.id, handle))

    def fork(self) -> None:
        self.advance.close(self.run, self.step)
        for edge in self.run.manager.branches(self.node.id):
            self.advance.follow(self.run, edge)

    def join(self) -> None:
        """Wait at the join, in the step of those that have arrived there before."""
        step = self.step
        # A branch that had an incident at the join itself has a name for its edge already.
        came = [self.edge and self.edge.name] if step.input is None else joins.arrivals(step)
        joins.arrive(step, came)
        for other in self.run.open_steps:
            if other is not step and other.node_id == step.node_id and not other.incident:
                joins.arrive(other, [*joins.arrivals(other), *came])
                self.advance.touch(other)
                self.advance.close(self.run, step, output={"joined": other.cuid})
                return

    def wait(self, due: datetime | None = None) -> None:
        self.step.due_at = due

    def later(self, kind: str, at: datetime) -> None:
        self.advance.later(self.step, kind, at)

    def perform(self, kind: str, fields: Iterable[str]) -> None:
        # Whoever is asked twice with one key must be asked the same.
        self.step.input = {"fields": self.known(fields)}
        self.advance.touch(self.step)
        self.wait(due=self.now)
        self.later(kind, self.now)

    def known(self, fields: Iterable[str]) -> dict[str, Any]:
        """Those of these fields that the entity has, as they are now."""
        now = self.fields
        return {name: now[name] for name in sorted(fields) if name in now}

    def stage(self, state: str, progress: float | None) -> None:
        self.advance.tell_stage(self.run.execution, state, progress)

    def call(self, callee_cuid: str) -> None:
        self.advance.call(self.run, self.step, callee_cuid)

    def finish(self) -> None:
        self.run.reached_end = True
        self.advance.close(self.run, self.step)

    def fail(self, message: str) -> None:
        self.advance.close(self.run, self.step, output={"message": message})
        self.advance.end(self.run, Status.FAILED, message)

    def incident(self, code: str, detail: str) -> None:
        self.step.state = StepState.INCIDENT
        self.step.incident = {
            "code": code,
            "detail": detail,
            "at": self.now.isoformat(),
            "attempt": self.step.attempt,
        }
        self.advance.touch(self.step)

    def reopen(self) -> None:
        """Forget the incident and the deadline; the node is entered once more."""
        self.step.state = StepState.OPEN
        self.step.incident = None
        self.step.due_at = None
        self.step.overdue = False
        self.step.attempt += 1
        self.advance.touch(self.step)

    def write(self, values: Mapping[str, Any], clear: Iterable[str] = ()) -> None:
        self.advance.write_fields(values, clear)
