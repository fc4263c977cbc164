"""What every node type can do, and what the engine offers it while an execution visits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.tasks import Task
from workflows.db.json_values import quoted
from workflows.graph import Node, NodeType
from workflows.refusals import Refusal

TITLE: dict[str, Any] = {
    "title": "Title",
    "description": "The heading under which people find the step; the label where it is left out.",
    "type": "string",
}
"""The schema of ``title``, which nodes have that wait for people."""
SAVE_TO: dict[str, Any] = {
    "title": "Save to",
    "description": "The name of the field that the answer is written to.",
    "$ref": "#/$defs/field_name",
}
"""The schema of ``save_to``, which nodes have that are answered from outside."""


class Person(Protocol):
    """What a node needs to know of a user."""

    @property
    def is_superuser(self) -> bool: ...

    @property
    def pk(self) -> Any: ...


class Visit(Protocol):
    """One visit of an execution to a node. A behaviour acts through it alone."""

    @property
    def node(self) -> Node: ...

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of the entity, as they are now."""

    @property
    def now(self) -> datetime: ...

    def leave(self, handle: str | None = None, output: Mapping[str, Any] | None = None) -> None:
        """Close the step and go on by this exit."""

    def fork(self) -> None:
        """Close the step and take every way out at once."""

    def join(self) -> None:
        """Wait until no branch can arrive any more; what has arrived before waits here already."""

    def wait(self, due: datetime | None = None) -> None:
        """Keep the step open; ``due`` says by when something is expected."""

    def later(self, kind: str, at: datetime) -> None:
        """Have the background come back to the open step at this time."""

    def perform(self, kind: str, fields: Iterable[str]) -> None:
        """Have the background perform the open step, with these fields as they are now."""

    def stage(self, state: str, progress: float | None) -> None:
        """Tell how far the execution has come."""

    def call(self, callee_cuid: str) -> None:
        """Run the pinned version of this workflow, and go on when it has completed."""

    def finish(self) -> None:
        """End this branch."""

    def fail(self, message: str) -> None:
        """Fail the execution at once."""

    def incident(self, code: str, detail: str) -> None:
        """Keep the step open until an operator decides how to go on."""

    def write(self, values: Mapping[str, Any], clear: Iterable[str] = ()) -> None:
        """Set fields of the entity, and take others away."""


class NotSubmittable(Refusal):
    message = _("This node does not take a form.")
    code = "not_submittable"


class NotAwaited(Refusal):
    message = _("This node does not wait for that.")
    code = "not_awaited"


class Vote(Protocol):
    """What a node needs to know of a vote."""

    @property
    def approves(self) -> bool: ...


class Behaviour(NodeType, ABC):
    """A node type that can run. An instance holds no state: it serves every execution."""

    can_begin_again: bool = False
    """An operator may begin its open step again; an incident may always be."""

    @abstractmethod
    def enter(self, visit: Visit) -> None:
        """Do what the node does when an execution arrives."""

    def submit(self, visit: Visit, data: object, user: Person | None) -> None:
        """Take what a person has submitted; refused unless the node waits for a person."""
        raise NotSubmittable(f"Node {quoted(visit.node.id)} does not take a form.")

    def wake(self, visit: Visit) -> None:
        """Go on before, or when, the time has come; refused unless the node sleeps."""
        raise NotAwaited(f"Node {quoted(visit.node.id)} does not sleep.")

    def perform(self, task: Task) -> Any:
        """Do what reaches outside; no transaction is open, and nothing is locked.

        Raises ``TryAgain`` and ``GiveUp``. It may be done more than once.
        """
        raise NotAwaited("Nothing is performed here.")

    def resume(self, visit: Visit, result: Any) -> None:
        """Take the result of ``perform``, or what was delivered, under the locks of a runner."""
        raise NotAwaited(f"Node {quoted(visit.node.id)} performs nothing.")

    def decide(self, visit: Visit, votes: Sequence[Vote], eligible: int) -> None:
        """Take the votes so far; refused unless the node waits for votes."""
        raise NotAwaited(f"Node {quoted(visit.node.id)} does not wait for votes.")
