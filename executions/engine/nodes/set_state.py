"""The node that tells how far an execution has come."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.jsontext import kind

MAX_LENGTH = 200


class SetState(Behaviour):
    """Sets what the operator sees as the stage, and the progress in percent."""

    name = "set_state"
    keys = frozenset({"state", "progress"})

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check the name of the stage and the percentage."""
        state, progress = data.get("state"), data.get("progress")
        if not isinstance(state, str) or not state.strip():
            yield "/state", "It must name the state, a text that is not empty."
        elif len(state) > MAX_LENGTH:
            yield "/state", f"The state has more than {MAX_LENGTH} characters."
        if progress is None:
            return
        if isinstance(progress, bool) or not isinstance(progress, (int, float)):
            yield "/progress", f"The progress must be a number, not {kind(progress)}."
        elif not (math.isfinite(progress) and 0 <= progress <= 100):
            yield "/progress", "The progress must lie between 0 and 100."

    def enter(self, visit: Visit) -> None:
        """Tell, and go on."""
        state, progress = visit.node.data["state"], visit.node.data.get("progress")
        visit.stage(state, progress)
        visit.leave(output={"state": state, "progress": progress})
