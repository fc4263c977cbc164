"""Calls with ``for_each``: a child execution for each item of a list.

Such a call has a step, and each started item has another step at the same node, with its child.
The input of the call's step counts: ``{"items": 5, "started": 3, "completed": 1}``. While it is
open, its output holds the items and the results. The input of an item's step names both:
``{"for_each": <cuid of the call's step>, "item": 0}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext

from executions.engine.run import Run
from executions.engine.tree import MAX_VARIABLES, Tree, origin_after
from executions.engine.value_sources import InvalidValue
from executions.models import FOR_EACH, ITEM, ITEMS, Step, StepState
from workflows.graph import RUN_WORKFLOW, Node
from workflows.values.missing import drop_missing

STARTED, COMPLETED, RESULTS = "started", "completed", "results"


def is_call(step: Step) -> bool:
    """Return True for the step of a call whose items are known."""
    return step.type == RUN_WORKFLOW and isinstance(step.input, dict) and ITEMS in step.input


def item_of(step: Step) -> int | None:
    """Return the index of the item that a step belongs to; None for another step."""
    if step.type != RUN_WORKFLOW or not isinstance(step.input, dict):
        return None
    item: int | None = step.input.get(ITEM)
    return item


def counts_of(call: Step) -> dict[str, int]:
    """Return the numbers of items, of started and of completed ones of a call."""
    found: dict[str, int] = call.input  # type: ignore[assignment]
    return found


def items_of(call: Step) -> dict[str, list[Any]]:
    """Return the items and the results of an open call."""
    found: dict[str, list[Any]] = call.output  # type: ignore[assignment]
    return found


def _call_cuid(step: Step) -> str | None:
    """Return the cuid of the step of the call that an item's step belongs to."""
    return step.input.get(FOR_EACH) if item_of(step) is not None and step.input else None


class ItemCalls(Tree):
    """A tree of executions whose calls may start a child for each item of a list."""

    def begin_items(self, step: Step, items: list[Any]) -> None:
        """Freeze the items of a call."""
        step.input = {ITEMS: len(items), STARTED: 0, COMPLETED: 0}
        step.output = {ITEMS: items, RESULTS: [None] * len(items)}
        self.mark_changed(step)

    def call_of(self, run: Run, step: Step) -> Step | None:
        """Return the open step of the call that an item's step belongs to."""
        cuid = _call_cuid(step)
        if cuid is None:
            return None
        return next((one for one in run.open_steps if one.cuid == cuid), None)

    def open_items(self, run: Run, call: Step) -> list[Step]:
        """Return the open steps of the items of a call."""
        return [step for step in run.open_steps if _call_cuid(step) == call.cuid]

    def open_next_item(self, run: Run, node: Node, call: Step) -> Step | None:
        """Open the step of the next item of a call; return None if all have started."""
        index = counts_of(call)[STARTED]
        if index == counts_of(call)[ITEMS]:
            return None
        step = self._open_step(run, node, origin_after(call))
        step.input = {FOR_EACH: call.cuid, ITEM: index}
        step.label = f"{node.label[:180]} ({index + 1}/{counts_of(call)[ITEMS]})"
        call.input = {**counts_of(call), STARTED: index + 1}
        self.mark_changed(call)
        return step

    def store_result(self, call: Step, item: int, result: Mapping[str, Any]) -> None:
        """Store the result of an item. Raise ``InvalidValue`` if the results are too large."""
        results = list(items_of(call)[RESULTS])
        results[item] = drop_missing(result)
        if len(json.dumps(results)) > MAX_VARIABLES:
            detail = gettext("The results would take more than {most} characters as JSON.")
            raise InvalidValue(detail.format(most=MAX_VARIABLES))
        call.input = {**counts_of(call), COMPLETED: counts_of(call)[COMPLETED] + 1}
        call.output = {**items_of(call), RESULTS: results}
        self.mark_changed(call)

    def has_enough(self, node: Node, call: Step) -> bool:
        """Return True if as many items have completed as are needed."""
        total, completed = counts_of(call)[ITEMS], counts_of(call)[COMPLETED]
        return bool(completed >= node.data[FOR_EACH].get("needed", total))

    def is_done(self, run: Run, node: Node, call: Step) -> bool:
        """Return True if enough items have completed, or no item can complete any more."""
        if self.has_enough(node, call):
            return True
        return counts_of(call)[STARTED] == counts_of(call)[ITEMS] and not self.open_items(run, call)

    def failing_call(self, run: Run, node: Node, item_step: Step) -> Step | None:
        """Return the open call of an item if too few of its items can still complete."""
        call = self.call_of(run, item_step)
        if call is None or call.state != StepState.OPEN:
            return None
        counts = counts_of(call)
        total, not_started = counts[ITEMS], counts[ITEMS] - counts[STARTED]
        live = sum(step.state == StepState.OPEN for step in self.open_items(run, call))
        needed = min(total, node.data[FOR_EACH].get("needed", total))
        return call if counts[COMPLETED] + live + not_started < needed else None

    def cancel_items(self, run: Run, call: Step) -> None:
        """Cancel the open items of a call, with their children."""
        for step in self.open_items(run, call):
            self.close_step(run, step, state=StepState.CANCELLED)
            self.cancel_child(step, "The step that called it has ended.")
