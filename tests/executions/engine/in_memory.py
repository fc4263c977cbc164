"""The engine without a database: one execution with its steps in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from executions.engine.advance import Advance
from executions.models import Entity, Execution, Status, Step
from workflows.db import raw_rows
from workflows.models import Version

NOW = datetime(2026, 1, 1, tzinfo=UTC)
_numbers = count(1)


class Running:
    """An execution of a graph. ``fields`` are the fields of its entity."""

    def __init__(self, source: dict[str, Any], **fields: Any) -> None:
        number = next(_numbers)
        version = Version(pk=-number, number=1, source=source, checksum=f"in memory {number}")
        self.entity = Entity(pk=1, fields=fields)
        self.execution: Execution = raw_rows.build_new(
            Execution, id=number, status=Status.ACTIVE, context_key="", started_at=NOW
        )
        raw_rows.set_relations(self.execution, version=version)
        advance = Advance(self.execution, self.entity, now=NOW, pinned={})
        advance.start()
        self._finish(advance)

    def submit(self, node: str, **data: Any) -> None:
        """Submit the form of the first open step at this node."""
        advance = Advance(self.execution, self.entity, now=NOW)
        run = advance.add_run(self.execution, self.open_steps)
        step = next(step for step in run.open_steps if step.node_id == node)
        advance.visit_step(run, step).submit(data)
        self._finish(advance)

    def skip(self, node: str) -> None:
        """Leave the first open step at this node."""
        advance = Advance(self.execution, self.entity, now=NOW)
        run = advance.add_run(self.execution, self.open_steps)
        step = next(step for step in run.open_steps if step.node_id == node)
        advance.visit_step(run, step).leave()
        self._finish(advance)

    def _finish(self, advance: Advance) -> None:
        advance.walk()
        self.open_steps: list[Step] = list(advance.get_run(self.execution).open_steps)

    @property
    def offered(self) -> list[str]:
        """The nodes of the open forms, sorted, one entry per open step."""
        return sorted(step.node_id for step in self.open_steps if step.type == "user_action")

    @property
    def open_nodes(self) -> list[str]:
        """The nodes of all open steps, sorted."""
        return sorted(step.node_id for step in self.open_steps)

    @property
    def is_completed(self) -> bool:
        """True if the execution is completed."""
        return self.execution.status == Status.COMPLETED
