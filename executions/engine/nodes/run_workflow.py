"""The node that runs another workflow on the same entity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.engine import value_sources
from executions.engine.nodes.behaviour import ERROR, FAILED, TIMEOUT, Visit
from executions.engine.nodes.deadline import (
    DEADLINE_DEFS,
    DEADLINE_PROPERTY,
    DeadlineBehaviour,
    deadline_problems,
    schedule_deadline,
)
from executions.engine.rule_literals import ANY
from executions.models import FOR_EACH
from workflows.db.json_values import below, json_type
from workflows.graph import RUN_WORKFLOW, Problems
from workflows.models.candidate import DEADLINE
from workflows.values.missing import is_missing

MAX_ITEMS = 1_000
"""The maximum number of items of a call with ``for_each``."""


def _input_problems(sources: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, source in sources.items():
        yield from value_sources.problems(source, below("", name))


def _for_each_problems(loop: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    items = loop["items"]
    found = list(value_sources.problems(items, "/items"))
    yield from found
    if not found and not value_sources.is_source(items):
        if not isinstance(items, list):
            detail = gettext("The items must be a list or a value source, not {value}.")
            yield "/items", detail.format(value=json_type(items))
        elif len(items) > MAX_ITEMS:
            yield "/items", gettext("At most {most} items are allowed.").format(most=MAX_ITEMS)


_NAMES = {"title": "Variable name", "$ref": "#/$defs/field_name"}


class RunWorkflow(DeadlineBehaviour):
    description = _(
        "Calls a workflow, and continues when the child execution has completed. If the child has "
        "failed or was cancelled, it leaves by 'failed'; without such an edge, it has an incident."
    )
    name = RUN_WORKFLOW
    optional_exits = (FAILED, TIMEOUT)
    schema: ClassVar = {
        "properties": {
            "workflow": {
                "title": "Workflow",
                "description": "The cuid of the workflow to call. It must have the same type.",
                "type": "string",
                "minLength": 1,
                "format": "workflow-cuid",
            },
            "input": {
                "title": "Input",
                "description": "The variables that the child starts with, by their names: any JSON,"
                f" or {value_sources.SOURCES}.",
                "type": "object",
                "propertyNames": _NAMES,
                "default": {},
            },
            "output": {
                "title": "Output",
                "description": "The variables of this execution to write when the child completes."
                " Each value is the name of a variable of the child.",
                "type": "object",
                "propertyNames": {**_NAMES, "format": "variable-name"},
                "additionalProperties": {
                    "title": "Variable of the child",
                    "$ref": "#/$defs/field_name",
                },
                "default": {},
            },
            FOR_EACH: {
                "title": "For each",
                "description": "Calls the workflow once for each item of a list, with a child for"
                " each.",
                "type": "object",
                "properties": {
                    "items": {
                        "title": "Items",
                        "description": f"A list, or {value_sources.SOURCES}. At most {MAX_ITEMS}"
                        " items, known when the step is entered.",
                    },
                    "as": {
                        "title": "Variable of the item",
                        "description": "The variable of the child that holds its item.",
                        "$ref": "#/$defs/field_name",
                    },
                    "limit": {
                        "title": "Limit",
                        "description": "The maximum number of live children at once. By default,"
                        " all items start at once.",
                        "type": "integer",
                        "minimum": 1,
                        "maximum": MAX_ITEMS,
                    },
                    "needed": {
                        "title": "Needed",
                        "description": "The number of children that must complete. Then the"
                        " remaining ones are cancelled. By default, all.",
                        "type": "integer",
                        "minimum": 1,
                        "maximum": MAX_ITEMS,
                    },
                    "collect": {
                        "title": "Collect",
                        "description": "The variable that receives a list in the order of the"
                        " items: for each item an object with the output of its child, or null"
                        " where the child did not complete.",
                        "$ref": "#/$defs/field_name",
                        "format": "variable-name",
                    },
                },
                "required": ["items", "as"],
                "additionalProperties": False,
            },
            DEADLINE: DEADLINE_PROPERTY,
        },
        "required": ["workflow"],
        "$defs": DEADLINE_DEFS,
        "examples": [
            {"workflow": "cmwsm6w2s79sqmh6s281qm3vd"},
            {
                "workflow": "cmwsm6w2s79sqmh6s281qm3vd",
                "input": {
                    "amount": {"field": "loss"},
                    "question": {"text": "Is {{loss}} correct?"},
                },
                "output": {"approved": "decision"},
                "deadline": "P30D",
            },
            {
                "workflow": "cmwsm6w2s79sqmh6s281qm3vd",
                "output": {"answer": "decision"},
                "for_each": {
                    "items": {"field": "owners"},
                    "as": "owner",
                    "needed": 2,
                    "collect": "answers",
                },
            },
        ],
    }
    parts: ClassVar = {
        "input": _input_problems,
        FOR_EACH: _for_each_problems,
        DEADLINE: deadline_problems,
    }

    def field_types(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the variables that the call writes; their types are not known."""
        yield f"${ERROR}", ANY
        loop = data.get(FOR_EACH)
        for name in data.get("output", {}) if loop is None else (loop.get("collect"),):
            if name:
                yield f"${name}", ANY

    def read_names(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the fields and variables of the input and the items, and those of the deadline."""
        yield from value_sources.names_by_place(data.get("input", {}), "/input")
        loop = {"items": data[FOR_EACH]["items"]} if FOR_EACH in data else {}
        yield from value_sources.names_by_place(loop, f"/{FOR_EACH}")
        yield from super().read_names(data)

    def problems(self, data: Mapping[str, Any]) -> Problems:
        """Refuse an input that the item overwrites, and an output that nothing collects."""
        loop = data.get(FOR_EACH)
        if loop is None:
            return
        if loop["as"] in data.get("input", {}):
            detail = gettext("The item of for_each is written to this variable.")
            yield below("/input", loop["as"]), detail
        if data.get("output") and "collect" not in loop:
            yield "/output", gettext("Set 'collect' in for_each: it receives the output of each.")

    def enter(self, visit: Visit) -> None:
        """Call the workflow, or call it for each item."""
        data = visit.node.data
        loop, item = data.get(FOR_EACH), visit.item
        if loop is not None and item is None:
            schedule_deadline(visit)
            self._enter_items(visit, loop)
            return
        variables = value_sources.evaluate_all(data.get("input", {}), visit.fields, visit.now)
        if loop is not None and item is not None:
            variables[loop["as"]] = item.value
        visit.start_child(data["workflow"], variables)
        if item is None:
            schedule_deadline(visit)

    def _enter_items(self, visit: Visit, loop: Mapping[str, Any]) -> None:
        items = value_sources.evaluate(loop["items"], visit.fields, visit.now)
        if is_missing(items):
            items = []
        if not isinstance(items, list):
            text = value_sources.named(items)
            visit.open_incident("no_list", f"The items must be a list, not {text}.")
        elif len(items) > MAX_ITEMS:
            detail = f"There are {len(items)} items. A call takes at most {MAX_ITEMS}."
            visit.open_incident("too_many_items", detail)
        else:
            visit.start_items(items)
