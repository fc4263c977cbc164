"""What Holdfast's commands have in common: help with examples, and a word on who runs them."""

from __future__ import annotations

import getpass
import uuid
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflows.acting import Acting, Face, acting


@contextmanager
def as_command() -> Iterator[None]:
    """Let the audit log name the system's account that runs this."""
    with acting(Acting(Face.COMMAND, uuid.uuid4().hex, account=_account())):
        yield


class ExampleCommand(BaseCommand):
    """A command whose ``--help`` ends with ``examples``.

    ``interrupted`` is what it says when it is interrupted and says nothing better itself.
    """

    examples: str = ""
    interrupted: str = "Interrupted."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(
            epilog=f"Examples:\n{self.examples}", formatter_class=RawDescriptionHelpFormatter
        )
        return super().create_parser(prog_name, subcommand, **kwargs)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command; the audit log names the system's account that runs it.

        Raises:
            CommandError: what the command refuses, or that it was interrupted.
        """
        with as_command():
            try:
                return super().execute(*args, **options)
            except KeyboardInterrupt:
                raise CommandError(self.interrupted) from None


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return ""
