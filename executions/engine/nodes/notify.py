"""The node that sends e-mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email

from executions.engine import forms, placeholders
from executions.engine.nodes.behaviour import Behaviour, Visit
from executions.engine.nodes.performed import GiveUp, Task, TryAgain
from workflows.jsontext import below, kind, quoted

MAIL = "mail"
MAX_RECIPIENTS = 100


class Notify(Behaviour):
    """Sends ``subject`` and ``body`` to ``to``: addresses, and fields that hold addresses.

    A process that ends between the sending and its commit sends again: the ``Message-ID`` is
    that of the step, so that a mail server can tell.
    """

    name = "notify"
    keys = frozenset({"to", "subject", "body"})

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check the recipients and the texts."""
        to = data.get("to")
        if not isinstance(to, list) or not to:
            yield "/to", "It must name whom to write to: a list of addresses and fields."
        elif len(to) > MAX_RECIPIENTS:
            yield "/to", f"It names more than {MAX_RECIPIENTS} recipients."
        else:
            for index, one in enumerate(to):
                if reason := _recipient_problem(one):
                    yield below("/to", index), reason
        if reason := placeholders.problem(data.get("subject"), empty=False):
            yield "/subject", reason
        if reason := placeholders.problem(data.get("body", "")):
            yield "/body", reason

    def enter(self, visit: Visit) -> None:
        """Leave the sending to the background."""
        data = visit.node.data
        named = placeholders.names_in([data["subject"], data.get("body", "")])
        named |= {one["field"] for one in data["to"] if isinstance(one, dict)}
        visit.perform(MAIL, named)

    def perform(self, task: Task) -> Any:
        """Send the mail."""
        to = list(_addresses(task))
        # A line break would begin another header.
        subject = " ".join(placeholders.fill(task.data["subject"], task.fields).split())
        domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip("> ") or "localhost"
        message = EmailMessage(
            subject=subject,
            body=placeholders.fill(task.data.get("body", ""), task.fields),
            to=to,
            headers={"Message-ID": f"<{task.step}@{domain}>", "X-Idempotency-Key": task.step},
        )
        try:
            message.send()
        except (SMTPException, OSError) as error:
            detail = f"The mail could not be sent: {type(error).__name__}: {error}"
            raise TryAgain("mail_failed", detail[:500]) from None
        return {"to": to, "subject": subject, "attempts": task.attempt}

    def resume(self, visit: Visit, result: Any) -> None:
        """Go on: the mail was sent."""
        visit.leave(output=result)


def _recipient_problem(one: object) -> str | None:
    if isinstance(one, dict):
        if set(one) != {"field"}:
            return "A recipient is an address, or names a field: {'field': …}."
        return forms.name_problem(one["field"])
    if not isinstance(one, str):
        return f"A recipient is an address, or names a field, not {kind(one)}."
    return None if _is_address(one) else f"{quoted(one)} is no e-mail address."


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def _addresses(task: Task) -> Iterator[str]:
    seen: set[str] = set()
    for one in task.data["to"]:
        if isinstance(one, str):
            found: Any = [one]
        else:
            value = task.fields.get(one["field"])
            found = value if isinstance(value, list) and value else [value]
        for address in found:
            if not isinstance(address, str) or not _is_address(address):
                shown = quoted(address) if isinstance(address, str) else kind(address)
                raise GiveUp(
                    "no_address", f"The field “{one['field']}” holds {shown}: no e-mail address."
                )
            if address not in seen:
                seen.add(address)
                yield address
