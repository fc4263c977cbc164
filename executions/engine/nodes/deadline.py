"""Deadlines: by when a person is expected to act. Passing one marks the step, no more."""

from __future__ import annotations

from executions.engine import durations
from executions.engine.nodes.behaviour import Visit

DEADLINE = "deadline"


def wait_until_deadline(visit: Visit) -> None:
    """Keep the step open; where the node has a deadline, come back when it has passed."""
    length = durations.parse(visit.node.data.get("deadline"))
    due = None if length is None else visit.now + length
    visit.wait(due=due)
    if due is not None:
        visit.later(DEADLINE, due)
