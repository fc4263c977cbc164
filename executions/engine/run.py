"""One execution in memory, and the visit through which a node acts on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from executions.engine.manager import WorkflowManager
from executions.engine.nodes import Behaviour
from executions.engine.nodes.assignees import asked_at
from executions.models import LIVE, Execution, Status, Step, StepState
from workflows.graph import Node

if TYPE_CHECKING:
    from executions.engine.advance import Advance


class Run:
    """One execution of the tree, in memory: its open steps, and how many visits are due."""

    def __init__(self, execution: Execution, steps: Iterable[Step]) -> None:
        self.execution = execution
        self.manager = WorkflowManager(execution.version)
        self.open_steps = list(steps)
        self.due = 0
        self.reached_end = False

    @property
    def is_live(self) -> bool:
        return self.execution.status in LIVE


class NodeVisit:
    """What a behaviour acts through (``nodes.behaviour.Visit``)."""

    def __init__(self, advance: Advance, run: Run, node: Node, step: Step) -> None:
        self.advance = advance
        self.run = run
        self.node = node
        self.step = step

    @property
    def behaviour(self) -> Behaviour:
        return self.run.manager.behaviour(self.node)

    @property
    def asks(self) -> str:
        """The key of the candidates that the step asks; empty where it asks everybody."""
        return asked_at(self.step, self.run.execution.version_id, self.node)

    @property
    def fields(self) -> Mapping[str, Any]:
        fields: Mapping[str, Any] = self.advance.entity.fields
        return fields

    @property
    def now(self) -> datetime:
        return self.advance.now

    def leave(self, handle: str | None = None, output: Mapping[str, Any] | None = None) -> None:
        self.advance.close(self.run, self.step, output=output, handle=handle)
        self.advance.enter(self.run, self.run.manager.follow(self.node.id, handle))

    def fork(self) -> None:
        self.advance.close(self.run, self.step)
        for node in self.run.manager.ways(self.node.id):
            self.advance.enter(self.run, node)

    def join(self) -> None:
        self.advance.arrive(self.run, self.step)

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
        return {name: self.fields[name] for name in sorted(fields) if name in self.fields}

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
        """Forget the incident; the node is entered once more."""
        self.step.state = StepState.OPEN
        self.step.incident = None
        self.step.attempt += 1
        self.advance.touch(self.step)

    def write(self, values: Mapping[str, Any], clear: Iterable[str] = ()) -> None:
        self.advance.write_fields(values, clear)
