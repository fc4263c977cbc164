"""The rule for the events of a webhook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from executions.guards.refusals import InvalidSubscription
from workflows.db.json_values import quoted
from workflows.refusals import Problem


def refuse_subscription(subscription: Any, known: Iterable[str]) -> None:
    """Raise ``InvalidSubscription`` unless the events are a non-empty list of known ones."""
    events, names = subscription.events, ", ".join(known)
    if not isinstance(events, list) or not events:
        detail = InvalidSubscription.no_event_message.format(names=names)
    elif unknown := [name for name in events if name not in list(known)]:
        detail = InvalidSubscription.unknown_event_message.format(
            event=quoted(unknown[0]), names=names
        )
    else:
        return
    problem = Problem("/events", InvalidSubscription.code, detail)
    raise InvalidSubscription(detail, problems=[problem])
