"""The interface of a node type that can run, and the interface of a visit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.tasks import Task
from workflows.db.json_values import quoted
from workflows.graph import Node, NodeType
from workflows.refusals import Refusal

FAILED, TIMEOUT = "failed", "timeout"
"""Optional exits: for a call that has failed, and for a deadline that has passed."""
ERROR = "error"
"""The variable with the cause, for nodes that follow ``failed``."""
TITLE: dict[str, Any] = {
    "title": "Title",
    "description": "The heading of the step for its assignees. By default, the label.",
    "type": "string",
}
"""The schema of ``title`` of nodes that wait for people."""
SAVE_TO: dict[str, Any] = {
    "title": "Save to",
    "description": "The field, or the variable with $, to save the received data to.",
    "$ref": "#/$defs/value_name",
}
"""The schema of ``save_to`` of nodes that receive data from another system."""


class Person(Protocol):
    """A user, as far as a node needs one."""

    @property
    def is_superuser(self) -> bool: ...

    @property
    def pk(self) -> Any: ...


class Item(NamedTuple):
    """An item of a call with ``for_each``."""

    value: Any


class Visit(Protocol):
    """A visit of an execution to a node. A behaviour acts only through its visit."""

    @property
    def node(self) -> Node: ...

    @property
    def fields(self) -> Mapping[str, Any]:
        """The current fields of the entity, and the variables by their names with ``$``."""

    @property
    def now(self) -> datetime: ...

    def leave(self, handle: str | None = None, output: Mapping[str, Any] | None = None) -> None:
        """Close the step and continue by this exit."""

    def fork(self) -> None:
        """Close the step and take every edge at once."""

    def join(self) -> None:
        """Wait until no branch can arrive any more."""

    def wait(self, due: datetime | None = None) -> None:
        """Keep the step open; ``due`` is its due time."""

    def schedule_job(self, kind: str, at: datetime) -> None:
        """Schedule a background job for the open step."""

    def perform(self, kind: str, fields: Iterable[str]) -> None:
        """Let the background perform the open step, with the current values of these fields."""

    def set_stage(self, state: str, progress: float | None) -> None:
        """Set the stage of the execution, and its progress in percent."""

    def start_child(self, callee_cuid: str, variables: Mapping[str, Any]) -> None:
        """Start a child on the pinned version of this workflow; continue when it completes."""

    @property
    def item(self) -> Item | None:
        """The item that the step belongs to, for a call with ``for_each``."""

    def start_items(self, items: list[Any]) -> None:
        """Visit the node again for each of these items; continue when enough have completed."""

    def end_branch(self) -> None:
        """Close the step and end its branch."""

    def complete(self) -> None:
        """Complete the execution at once: cancel its open steps and its descendants."""

    def fail(self, message: str) -> None:
        """Fail the execution at once."""

    def open_incident(self, code: str, detail: str) -> None:
        """Open an incident: the step waits for an operator."""

    def find_files(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return the fields of the files that the user has uploaded for the open step, by id."""

    def attach_files(self, files: Mapping[str, Sequence[str]]) -> Mapping[str, Any]:
        """Use uploaded files in the form, by the name of their field; return their references."""

    def write_fields(self, values: Mapping[str, Any], clear: Iterable[str] = ()) -> None:
        """Set and clear fields of the entity, and variables by their names with ``$``.

        Raises:
            value_sources.InvalidValue: the variables are too large.
        """


class NotSubmittable(Refusal):
    message = _("This node does not take a form.")
    code = "not_submittable"


class NotAwaited(Refusal):
    message = _("This node does not wait for that.")
    code = "not_awaited"


class Vote(Protocol):
    """A vote, as far as a node needs one."""

    @property
    def approves(self) -> bool: ...


class Behaviour(NodeType, ABC):
    """A node type that can run. Its only instance serves every execution, without state."""

    can_be_retried: bool = False
    """True if an operator may retry its open step. An incident can always be retried."""

    @abstractmethod
    def enter(self, visit: Visit) -> None:
        """Act on the arrival of an execution."""

    def submit(
        self, visit: Visit, data: object, user: Person | None, action: str | None = None
    ) -> None:
        """Accept a form, submitted by an action. By default, the node takes no form."""
        raise NotSubmittable(f"Node {quoted(visit.node.id)} does not take a form.")

    def wake(self, visit: Visit) -> None:
        """Continue at the due time, or before it. By default, the node does not wait for a time."""
        raise NotAwaited(f"Node {quoted(visit.node.id)} does not wait for a time.")

    def perform(self, task: Task) -> Any:
        """Call another system, outside any transaction and without locks.

        It may run more than once for a step. Raise ``TryAgain`` or ``GiveUp`` on failure.
        """
        raise NotAwaited("This node calls no other system.")

    def resume(self, visit: Visit, result: Any) -> None:
        """Accept the result of ``perform`` or a delivery, under the locks of a runner."""
        raise NotAwaited(f"Node {quoted(visit.node.id)} calls no other system.")

    def decide(self, visit: Visit, votes: Sequence[Vote], eligible: int) -> None:
        """Count the votes so far. By default, the node takes no votes."""
        raise NotAwaited(f"Node {quoted(visit.node.id)} does not wait for votes.")
