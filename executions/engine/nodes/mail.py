"""Mail that a graph defines: its schema, its problems, and sending it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.utils.translation import gettext

from executions.engine import placeholders
from executions.engine.form_fields import FIELD_NAME, VALUE_NAME
from executions.engine.nodes.tasks import GiveUp, Task, TryAgain
from workflows.db.json_values import below, json_type, quoted
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
                    "description": "The field, or the variable with $, that has an address or a"
                    " list of addresses.",
                    "$ref": "#/$defs/value_name",
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
        "description": "The recipients: addresses, or {field: name} for the addresses in a field.",
        "type": "array",
        "minItems": 1,
        "maxItems": 100,
        "items": _RECIPIENT,
    },
    "subject": {
        "title": "Subject",
        "description": "The subject. {{name}} is replaced by the value of a field, {{$name}} by"
        " that of a variable.",
        "type": "string",
        "pattern": NOT_BLANK,
    },
    "body": {
        "title": "Body",
        "description": "The text. {{name}} is replaced by the value of a field, {{$name}} by that"
        " of a variable.",
        "type": "string",
        "default": "",
    },
}
"""The schemas of the keys of a mail."""
DEFS: dict[str, Any] = {"field_name": FIELD_NAME, "value_name": VALUE_NAME}
"""The definitions that ``PROPERTIES`` refers to."""


def text_problems(text: str) -> Iterator[tuple[str, str]]:
    """Yield the problems with the placeholders of a subject or a body."""
    if reason := placeholders.problem(text):
        yield "", reason


def recipient_problems(to: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield the texts of ``to`` that are not addresses."""
    for index, one in enumerate(to):
        if isinstance(one, str) and not _is_address(one):
            yield (
                below("", index),
                gettext("{one} is not an email address.").format(one=quoted(one)),
            )


PARTS: dict[str, Callable[[Any], Problems]] = {
    "to": recipient_problems,
    "subject": text_problems,
    "body": text_problems,
}
"""The checks beyond the schema, by the keys of a mail."""


def names_in(mail: Mapping[str, Any]) -> set[str]:
    """Return the names of the fields that a mail uses."""
    named = placeholders.names_in([mail.get("subject", ""), mail.get("body", "")])
    return named | {one["field"] for one in mail["to"] if isinstance(one, dict)}


def send(mail: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Send a mail with the fields of the task; return its recipients and subject.

    Raises:
        GiveUp: a field contains no address.
        TryAgain: the mail server did not accept the mail.
    """
    to = list(_addresses(mail["to"], task.fields))
    # A line break would inject another header.
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
            addresses: Any = [one]
        else:
            value = fields.get(one["field"])
            addresses = value if isinstance(value, list) and value else [value]
        for address in addresses:
            if not isinstance(address, str) or not _is_address(address):
                found = quoted(address) if isinstance(address, str) else json_type(address)
                detail = f"The field “{one['field']}” contains {found}, which is no email address."
                raise GiveUp("no_address", detail)
            if address not in seen:
                seen.add(address)
                yield address
