"""One execution of a tree in memory: its graph, its open steps and its due visits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from executions.models import LIVE, Execution, Status, Step
from executions.workflow_manager import WorkflowManager
from workflows.db import raw_rows
from workflows.models import Version


class OpenSteps(Collection[Step]):
    """The open steps of one execution, in the order in which they were opened.

    Removing a step takes constant time, because thousands may be open. Steps are identified by
    object, because a new step has no id yet.
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
        """Remove a step that was closed. Raise ``KeyError`` if it is not open."""
        del self._steps[id(step)]


class Run:
    """One execution in memory. ``due`` counts the visits that wait in the queue of the walk."""

    def __init__(self, execution: Execution, steps: Iterable[Step]) -> None:
        self.execution = execution
        self.manager = WorkflowManager(execution.version)
        self.open_steps = OpenSteps(steps)
        self.due = 0
        self.has_reached_end = False

    @property
    def is_live(self) -> bool:
        return self.execution.status in LIVE


def new_child(parent: Execution, version: Version, pk: int, now: datetime) -> Execution:
    """Return a new execution of this version, on the entity of its parent."""
    child: Execution = raw_rows.build_new(
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
    raw_rows.set_relations(child, version=version)
    return child
