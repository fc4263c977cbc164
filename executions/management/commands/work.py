"""``manage.py work``: serve what is due, again and again, in one process."""

from __future__ import annotations

import logging
import signal
import threading
from argparse import ArgumentTypeError
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from executions.management.commands.run_due import served_lines
from executions.worker.rounds import run_due
from workflows.db.faults import find_fault, first_line
from workflows.management.command import ExampleCommand

logger = logging.getLogger(__name__)


class Command(ExampleCommand):
    """Serve what is due until SIGTERM or Ctrl-C; what is begun is ended first."""

    help = "Serve what is due, round after round, until it is told to end (SIGTERM, Ctrl-C)."
    examples = """\
  manage.py work                              a round every five seconds
  manage.py work --interval 0.5
  manage.py work --threads 4                  four jobs at once (PostgreSQL)
  manage.py work --once                       one round, like run_due
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--interval", type=_seconds, default=5.0, help="seconds between two rounds (5)"
        )
        parser.add_argument(
            "--threads", type=_threads, default=1, help="how many jobs are served at once (1)"
        )
        parser.add_argument("--once", action="store_true", help="one round, and end")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stopped = threading.Event()
        self.threads = options["threads"]
        if self.threads > 1 and connection.vendor == "sqlite":
            raise CommandError("SQLite has one writer: --threads needs PostgreSQL.")
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.stopped.set())
        if not options["once"]:
            self.stdout.write("Serving; SIGTERM or Ctrl-C ends.")
            self.stdout.flush()
        while True:
            self._round(options["once"])
            if options["once"] or self.stopped.wait(options["interval"]):
                break
        if not options["once"]:
            self.stdout.write("Ended.")

    def _round(self, once: bool) -> None:
        try:
            for line in served_lines(run_due(stop=self.stopped.is_set, threads=self.threads)):
                self.stdout.write(line)
            self.stdout.flush()
        except (DatabaseError, InterfaceError) as error:
            # The database may be back for the next round.
            if once:
                raise
            fault = find_fault(error)
            if fault is None:
                logger.exception("This round failed. The next one follows.")
            else:
                logger.error("This round failed: %s: %s", fault.code, first_line(error))
        finally:
            close_old_connections()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise ArgumentTypeError("seconds, more than 0 and up to 3600")
    return seconds


def _threads(text: str) -> int:
    threads = int(text) if text.isdecimal() else 0
    if not 0 < threads <= 64:
        raise ArgumentTypeError("a number of threads, from 1 to 64")
    return threads
