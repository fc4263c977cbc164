"""The node that runs another workflow on the same entity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from executions.engine import value_sources
from executions.engine.form_fields import FIELD_NAME
from executions.engine.nodes.behaviour import Behaviour, Visit
from executions.engine.rule_literals import ANY
from workflows.db.json_values import below
from workflows.graph import RUN_WORKFLOW


def _input_problems(sources: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, source in sources.items():
        yield from value_sources.problems(source, below("", name))


_NAMES = {"title": "Variable name", "$ref": "#/$defs/field_name"}


class RunWorkflow(Behaviour):
    description = _("Calls a workflow, and continues when the child execution has completed.")
    name = RUN_WORKFLOW
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
                "propertyNames": _NAMES,
                "additionalProperties": {
                    "title": "Variable of the child",
                    "$ref": "#/$defs/field_name",
                },
                "default": {},
            },
        },
        "required": ["workflow"],
        "$defs": {"field_name": FIELD_NAME},
        "examples": [
            {"workflow": "cmwsm6w2s79sqmh6s281qm3vd"},
            {
                "workflow": "cmwsm6w2s79sqmh6s281qm3vd",
                "input": {"amount": {"field": "loss"}},
                "output": {"approved": "decision"},
            },
        ],
    }
    parts: ClassVar = {"input": _input_problems}

    def field_types(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the variables that the output writes; their types are not known."""
        for name in data.get("output", {}):
            yield f"${name}", ANY

    def enter(self, visit: Visit) -> None:
        """Call the workflow."""
        data = visit.node.data
        variables = value_sources.evaluate_all(data.get("input", {}), visit.fields, visit.now)
        visit.start_child(data["workflow"], variables)
