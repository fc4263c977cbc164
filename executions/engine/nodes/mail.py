"""Mail as a drawing has it: to whom, with which subject and body."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email

from executions.engine import placeholders
from executions.engine.form_fields import FIELD_NAME
from executions.engine.nodes.tasks import GiveUp, Task, TryAgain
from workflows.db.json_values import below, kind, quoted
from workflows.graph import NOT_BLANK, Problems

_RECIPIENT: dict[str, Any] = {
    "title": "Recipient",
    "anyOf": [
        {"title": "Address", "type": "string", "format": "email"},
        {
            "title": "Field",
            "type": "object",
            "properties": {
                "field": {
                    "title": "Field",
                    "description": "The name of a field that holds an address, or a list of them.",
                    "$ref": "#/$defs/field_name",
                }
            },
            "required": ["field"],
            "additionalProperties": False,
        },
    ],
}
PROPERTIES: dict[str, Any] = {
    "to": {
        "title": "To",
        "description": "Whom to write to: addresses, and {field: name} for those that a field"
        " holds.",
        "type": "array",
        "minItems": 1,
        "maxItems": 100,
        "items": _RECIPIENT,
    },
    "subject": {
        "title": "Subject",
        "description": "The subject; {{name}} stands for what a field holds.",
        "type": "string",
        "pattern": NOT_BLANK,
    },
    "body": {
        "title": "Body",
        "description": "The text; {{name}} stands for what a field holds.",
        "type": "string",
        "default": "",
    },
}
"""The schemas of the keys of a mail, for those who say more beside it."""
DEFS: dict[str, Any] = {"field_name": FIELD_NAME}
"""What ``PROPERTIES`` refer to."""


def text_problems(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a schema cannot say of a subject or a body: its placeholders."""
    if reason := placeholders.problem(text):
        yield "", reason


def recipient_problems(to: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield what a schema cannot say of ``to``: which of its texts are no addresses."""
    for index, one in enumerate(to):
        if isinstance(one, str) and not _is_address(one):
            yield below("", index), f"{quoted(one)} is no e-mail address."


PARTS: dict[str, Callable[[Any], Problems]] = {
    "to": recipient_problems,
    "subject": text_problems,
    "body": text_problems,
}
"""What a schema cannot say of a mail, by its keys."""


def names_in(mail: Mapping[str, Any]) -> set[str]:
    """The fields that a mail is made of."""
    named = placeholders.names_in([mail["subject"], mail.get("body", "")])
    return named | {one["field"] for one in mail["to"] if isinstance(one, dict)}


def send(mail: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Send it, with the fields of the task; what was sent to whom.

    Raises:
        GiveUp: a field holds no address.
        TryAgain: the mail could not be handed on.
    """
    to = list(_addresses(mail["to"], task.fields))
    # A line break would begin another header.
    subject = " ".join(placeholders.fill(mail["subject"], task.fields).split())
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip("> ") or "localhost"
    message = EmailMessage(
        subject=subject,
        body=placeholders.fill(mail.get("body", ""), task.fields),
        to=to,
        headers={"Message-ID": f"<{task.step}@{domain}>", "X-Idempotency-Key": task.step},
    )
    try:
        message.send()
    except (SMTPException, OSError) as error:
        detail = f"The mail could not be sent: {type(error).__name__}: {error}"
        raise TryAgain("mail_failed", detail[:500]) from None
    return {"to": to, "subject": subject, "attempts": task.attempt}


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def _addresses(to: list[Any], fields: Mapping[str, Any]) -> Iterator[str]:
    seen: set[str] = set()
    for one in to:
        if isinstance(one, str):
            found: Any = [one]
        else:
            value = fields.get(one["field"])
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
