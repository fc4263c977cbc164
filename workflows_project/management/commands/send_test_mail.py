"""``manage.py send_test_mail``: send a mail with the settings of the mail server."""

from __future__ import annotations

import smtplib
from argparse import ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.management import CommandError
from django.core.management.base import CommandParser
from django.core.validators import validate_email

from workflows.management.command import ExampleCommand


class Command(ExampleCommand):
    """Send a test mail, and report what the mail server answers."""

    help = "Send a test mail, to check the settings of the mail server."
    examples = """\
  manage.py send_test_mail anna@example.com
  manage.py send_test_mail anna@example.com ben@example.com
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "addresses", nargs="+", type=_address, metavar="ADDRESS", help="the recipients"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        addresses = options["addresses"]
        server = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
        try:
            send_mail(
                "Test mail of Holdfast",
                "The mail server accepted this mail. The settings of Holdfast are correct.\n",
                settings.DEFAULT_FROM_EMAIL,
                addresses,
            )
        except (OSError, smtplib.SMTPException) as error:
            raise CommandError(
                f"The mail was not sent. {server} answered: {error}. Check EMAIL_HOST, EMAIL_PORT, "
                "EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_USE_TLS and DEFAULT_FROM_EMAIL."
            ) from error
        self.stdout.write(
            f"{server} accepted the mail from {settings.DEFAULT_FROM_EMAIL} to "
            f"{', '.join(addresses)}."
        )


def _address(text: str) -> str:
    try:
        validate_email(text)
    except ValidationError:
        raise ArgumentTypeError(f"{text!r} is not a mail address.") from None
    return text
