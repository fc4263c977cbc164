"""What every node type can do, and what the engine offers it while an execution visits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from workflows.graph import Node, NodeType
from workflows.jsontext import quoted
from workflows.refusals import Refusal


class Person(Protocol):
    """What a node needs to know of a user."""

    @property
    def is_superuser(self) -> bool: ...

    @property
    def groups(self) -> Any: ...

    def get_username(self) -> str: ...


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

    def wait(self, due: datetime | None = None) -> None:
        """Keep the step open; ``due`` says by when something is expected."""

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
    """This node does not take a form."""

    code = "not_submittable"


class Behaviour(NodeType):
    """A node type that can run. An instance holds no state: it serves every execution."""

    def enter(self, visit: Visit) -> None:
        """Do what the node does when an execution arrives."""
        raise NotImplementedError

    def submit(self, visit: Visit, data: object, user: Person | None) -> None:
        """Take what a person has submitted; refused unless the node waits for a person."""
        raise NotSubmittable(f"Node {quoted(visit.node.id)} does not take a form.")
