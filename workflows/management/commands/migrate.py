"""``manage.py migrate``: Django's command, which gives up a lock soon and tries again."""

from __future__ import annotations

import random
import time
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser
from django.core.management.commands import migrate
from django.db import DatabaseError, InterfaceError, connections

from workflows.db import locks, write_once
from workflows.db.faults import find_fault, first_line
from workflows.db.vendor import DATABASE
from workflows.management.command import COULD_NOT_RUN, ExampleCommand


class Command(ExampleCommand, migrate.Command):
    """Migrate beside the traffic of the previous release.

    A statement that waits for a lock stops every later statement on the same table. So it waits
    for two seconds at most. Then its migration is undone, and the command starts again with it.
    """

    help = f"{migrate.Command.help} Waits briefly for locks. Repeats a migration that others block."

    examples = """\
  manage.py migrate                           all migrations
  manage.py migrate --plan                    what would be done
  manage.py migrate executions 0030           to one migration, also back
  manage.py migrate --lock-timeout 0.5        wait for locks half a second
"""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-timeout",
            type=float,
            default=2.0,
            metavar="SECONDS",
            help="how long a statement waits for a lock on PostgreSQL (2)",
        )
        parser.add_argument(
            "--attempts",
            type=int,
            default=60,
            help="number of attempts while others hold locks (60)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        try:
            self._repeat(connection, *args, **options)
        except (DatabaseError, InterfaceError) as error:
            fault = find_fault(error)
            if fault is None and not self._is_busy(error):
                raise
            reason = fault.detail if fault else "Other transactions hold locks for too long."
            raise CommandError(
                f"{reason} ({first_line(error)})", returncode=COULD_NOT_RUN
            ) from error

    def _repeat(self, connection: Any, *args: Any, **options: Any) -> None:
        attempts = max(1, options["attempts"])
        for attempt in range(1, attempts + 1):
            try:
                self._set_lock_timeout(connection, options["lock_timeout"])
                super().handle(*args, **options)
            except BaseException as error:
                self._restore_triggers(connection)
                if not self._is_busy(error) or attempt == attempts:
                    raise
                self.stderr.write(
                    f"\nAnother transaction holds a lock: {first_line(error)} Trying again."
                )
                time.sleep(random.uniform(0.2, 1.0))
            else:
                return
            finally:
                self._set_lock_timeout(connection, None)

    def _is_busy(self, error: BaseException) -> bool:
        return isinstance(error, DatabaseError) and locks.is_transient(error)

    def _set_lock_timeout(self, connection: Any, seconds: float | None) -> None:
        if not DATABASE.is_postgresql:
            return
        if seconds is None and connection.connection is None:
            return
        value = "DEFAULT" if seconds is None else f"'{int(seconds * 1000)}ms'"
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = {value}")
        except (DatabaseError, InterfaceError):
            if seconds is not None:
                raise

    def _restore_triggers(self, connection: Any) -> None:
        """Create the triggers again that were removed before the migration that has failed."""
        try:
            failed = write_once.install(connection, is_complete=False)
        except (DatabaseError, InterfaceError) as error:
            self.stderr.write(f"The write-once triggers are not restored: {first_line(error)}")
            return
        if failed:
            self.stderr.write(f"These write-once triggers are missing: {', '.join(failed)}")
