"""What starts a workflow: which details mean something, and who may start on creation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from workflows.db.json_values import find_unstorable, json_type, quoted
from workflows.guards.blockers import LISTED, blocking_workflows
from workflows.refusals import Blockers, BlockingWorkflow, Problem, Refusal, Remedy
from workflows.trigger_types import get_trigger_types


class TriggerTaken(Refusal):
    message = _("Another workflow of this type starts already when an entity is created.")
    code = "trigger_taken"


class InvalidTrigger(Refusal):
    message = _("The details of the trigger have no meaning.")
    code = "invalid_trigger"


def refuse_trigger(workflow: Any) -> None:
    """Raises ``InvalidTrigger`` for details that the workflow's trigger cannot act on."""
    problems = [
        Problem(pointer, InvalidTrigger.code, detail)
        for pointer, detail in _trigger_problems(workflow.trigger, workflow.trigger_data)
    ]
    if problems:
        raise InvalidTrigger(problems[0].detail, problems=problems)


def _trigger_problems(trigger: str, data: object) -> Iterable[tuple[str, str]]:
    known = get_trigger_types()
    if trigger not in known:
        return [("/trigger", f"The trigger {quoted(trigger)} is unknown; known: {_listed(known)}.")]
    if not isinstance(data, dict):
        return [
            ("/trigger_data", f"The details of a trigger are an object, not {json_type(data)}.")
        ]
    kind_ = known[trigger]
    found = (
        list(find_unstorable(data))
        or list(kind_.problems(data))
        or list(kind_.comparison_problems(data))
    )
    return [(f"/trigger_data{pointer}", detail) for pointer, detail in found]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def refuse_taken_trigger(takers: QuerySet[Any]) -> None:
    """Raises ``TriggerTaken`` when one of ``takers`` is there: they start on creation already."""
    rows, total = blocking_workflows(takers)
    if rows:
        raise TriggerTaken(
            taken(rows),
            problems=[Problem("/trigger", TriggerTaken.code, taken(rows))],
            blockers=Blockers((), rows, total),
            remedies=[free_trigger_remedy(rows)],
        )


def taken(rows: Sequence[BlockingWorkflow]) -> str:
    """The sentence that names who starts on creation already."""
    titles = ", ".join(f"“{row.title}”" for row in rows[:LISTED])
    return f"Another workflow of this type starts already when an entity is created: {titles}."


def free_trigger_remedy(rows: Sequence[BlockingWorkflow]) -> Remedy:
    """What makes room for another workflow that starts on creation."""
    titles = ", ".join(f"“{row.title}”" for row in rows[:LISTED])
    return Remedy(
        "free_trigger",
        f"Give these workflows another trigger, or retire them: {titles}. One that starts on "
        "creation can call the others.",
        [row.cuid for row in rows],
    )
