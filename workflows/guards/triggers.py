"""Rules for triggers: their settings, and one workflow per context that starts on creation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.db.json_values import find_unstorable, json_type, quoted
from workflows.guards.blockers import LISTED, blocking_workflows
from workflows.refusals import Blockers, BlockingWorkflow, Problem, Refusal, Remedy
from workflows.trigger_types import get_trigger_types


class TriggerTaken(Refusal):
    message = _("Another workflow of this type already starts when an entity is created.")
    code = "trigger_taken"


class InvalidTrigger(Refusal):
    message = _("The settings of the trigger are invalid.")
    code = "invalid_trigger"


def refuse_trigger(workflow: Any) -> None:
    """Raise ``InvalidTrigger`` if the settings of the workflow's trigger are invalid."""
    problems = [
        Problem(pointer, InvalidTrigger.code, detail)
        for pointer, detail in _trigger_problems(workflow.trigger, workflow.trigger_data)
    ]
    if problems:
        raise InvalidTrigger(problems[0].detail, problems=problems)


def _trigger_problems(trigger: str, data: object) -> Iterable[tuple[str, str]]:
    known = get_trigger_types()
    if trigger not in known:
        allowed = ", ".join(known)
        detail = gettext("Unknown trigger {name}. Allowed: {allowed}.")
        return [("/trigger", detail.format(name=quoted(trigger), allowed=allowed))]
    if not isinstance(data, dict):
        detail = gettext("The settings of a trigger must be an object, not {type}.")
        return [("/trigger_data", detail.format(type=json_type(data)))]
    trigger_type = known[trigger]
    found = (
        list(find_unstorable(data))
        or list(trigger_type.problems(data))
        or list(trigger_type.comparison_problems(data))
    )
    return [(f"/trigger_data{pointer}", detail) for pointer, detail in found]


def refuse_taken_trigger(others: QuerySet[Any]) -> None:
    """Raise ``TriggerTaken`` if one of these workflows, which start on creation, exists."""
    rows, total = blocking_workflows(others)
    if rows:
        detail = describe_taken_trigger(rows)
        raise TriggerTaken(
            detail,
            problems=[Problem("/trigger", TriggerTaken.code, detail)],
            blockers=Blockers((), rows, total),
            remedies=[free_trigger_remedy(rows)],
        )


def describe_taken_trigger(rows: Sequence[BlockingWorkflow]) -> str:
    """Return the message that names the workflows that already start on creation."""
    return gettext(
        "Another workflow of this type already starts when an entity is created: {titles}."
    ).format(titles=_titles(rows))


def _titles(rows: Sequence[BlockingWorkflow]) -> str:
    return ", ".join(f"“{row.title}”" for row in rows[:LISTED])


def free_trigger_remedy(rows: Sequence[BlockingWorkflow]) -> Remedy:
    """Return the remedy that makes the creation trigger available."""
    return Remedy(
        "free_trigger",
        gettext(
            "Choose another trigger for these workflows, or retire them: {titles}. A workflow that "
            "starts on creation can call other workflows."
        ).format(titles=_titles(rows)),
        [row.cuid for row in rows],
    )
