"""The base class of Holdfast's commands: help with examples, audit actor, database errors."""

from __future__ import annotations

import getpass
import uuid
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError
from django.utils.translation import gettext_lazy as _

from workflows.audit.actor import Actor, Interface, act_as
from workflows.db import locks
from workflows.db.faults import find_fault, first_line, is_unmigrated

# 1 means "refused" or "problems found", 2 means "wrong usage".
COULD_NOT_RUN = 3
_BUSY = _("Another process is using the database. Run the command again.")


@contextmanager
def run_as_command() -> Iterator[None]:
    """Attribute edits inside the block to the operating system account that runs the command."""
    with act_as(Actor(Interface.COMMAND, uuid.uuid4().hex, account=_account())):
        yield


class ExampleCommand(BaseCommand):
    """A command whose ``--help`` ends with ``examples``.

    ``interrupted`` is its error message after Ctrl-C, unless it raises a better one.
    """

    examples: str = ""
    interrupted: str = "Interrupted."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(
            epilog=f"Examples:\n{self.examples}", formatter_class=RawDescriptionHelpFormatter
        )
        return super().create_parser(prog_name, subcommand, **kwargs)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command as the operating system account that started it.

        Raises:
            CommandError: with exit code 3 if the database is unavailable, locked or not migrated;
                with exit code 1 if the operator interrupted the command.
        """
        try:
            with run_as_command():
                return super().execute(*args, **options)
        except KeyboardInterrupt:
            raise CommandError(self.interrupted) from None
        except (DatabaseError, InterfaceError, locks.Contention) as error:
            reason = explain_database_error(error)
            if reason is None:
                raise
            raise CommandError(reason, returncode=COULD_NOT_RUN) from error


def explain_database_error(error: Exception) -> str | None:
    """Return why a command could not run, or None if the database is not the cause."""
    fault = find_fault(error)
    if isinstance(error, locks.Contention):
        return str(_BUSY)
    if isinstance(error, DatabaseError) and locks.is_transient(error):
        reason = str(_BUSY)
    elif is_unmigrated(error):
        reason = "The database is not migrated. Run: manage.py migrate"
    elif fault is not None:
        reason = str(fault.detail)
    else:
        return None
    return f"{reason} ({first_line(error)})"


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id without a name.
        return ""
