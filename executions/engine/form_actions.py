"""The actions of a form: buttons, each with an exit of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext

from executions.engine.forms import FormInvalid
from workflows.db.json_values import quoted
from workflows.refusals import Problem

ACTIONS = "actions"
STYLES = ("primary", "secondary", "danger")

ACTIONS_PROPERTY: dict[str, Any] = {
    "title": "Actions",
    "description": "The buttons of the form, each an exit of its own. By default, the form has one"
    " button and one exit without a name.",
    "type": "array",
    "minItems": 1,
    "items": {
        "title": "Action",
        "type": "object",
        "properties": {
            "handle": {
                "title": "Exit",
                "description": "The name of the exit: the sourceHandle of its edge.",
                "type": "string",
                "minLength": 1,
                "maxLength": 64,
            },
            "label": {
                "title": "Label",
                "description": "The label of the button.",
                "type": "string",
                "minLength": 1,
            },
            "style": {
                "title": "Style",
                "description": "The look of the button.",
                "type": "string",
                "enum": list(STYLES),
                "default": STYLES[0],
            },
            "validates": {
                "title": "Requires a valid form",
                "description": "If false, the action accepts an incomplete form: answers that are"
                " blank or not valid are left out.",
                "type": "boolean",
                "default": True,
            },
        },
        "required": ["handle", "label"],
        "additionalProperties": False,
    },
}
"""The schema of ``actions``."""


def action_problems(actions: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the problems of actions that match ``ACTIONS_PROPERTY``."""
    seen: set[str] = set()
    for index, action in enumerate(actions):
        handle = action["handle"]
        if handle in seen:
            yield (
                f"/{index}/handle",
                gettext("Two actions use the exit {handle}.").format(handle=quoted(handle)),
            )
        seen.add(handle)


def action_labels(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the label of each action by its handle. The data may be unsound."""
    actions = data.get(ACTIONS)
    return {
        action["handle"]: str(action.get("label") or action["handle"])
        for action in (actions if isinstance(actions, list) else ())
        if isinstance(action, dict) and isinstance(action.get("handle"), str)
    }


def list_actions(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the actions of a form with their defaults; none if it has a single button."""
    defaults = {"style": STYLES[0], "validates": True}
    return [{**defaults, **action} for action in data.get(ACTIONS, ())]


def choose_action(data: Mapping[str, Any], handle: str | None) -> dict[str, Any] | None:
    """Return the action with this handle, or None for a form that has none.

    Raises:
        FormInvalid: the form has actions and none of them was named, or the other way round.
    """
    actions = list_actions(data)
    if not actions and handle is None:
        return None
    chosen = next((action for action in actions if action["handle"] == handle), None)
    if chosen is not None:
        return chosen
    known = ", ".join(quoted(action["handle"]) for action in actions)
    if handle is None:
        detail = gettext("Choose an action: {known}.").format(known=known)
        raise FormInvalid([Problem("/action", "required", detail)])
    if actions:
        detail = gettext("The form has no action {action}. Its actions: {known}.")
    else:
        detail = gettext("The form has no action {action}. Leave it out: it has a single button.")
    detail = detail.format(action=quoted(handle), known=known)
    raise FormInvalid([Problem("/action", "invalid_choice", detail)])
