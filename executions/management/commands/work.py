"""``manage.py work``: a worker process for background work."""

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
    """Run due background work until SIGTERM or Ctrl-C. The current job is finished first."""

    help = "Run background work until SIGTERM or Ctrl-C. You can run any number of workers."
    examples = """\
  manage.py work                              one round every five seconds
  manage.py work --interval 0.5
  manage.py work --threads 4                  four jobs at the same time (PostgreSQL)
  manage.py work --once                       one round, like run_due
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--interval", type=_parse_interval, default=5.0, help="seconds between two rounds (5)"
        )
        parser.add_argument(
            "--threads",
            type=_parse_threads,
            default=1,
            help="number of jobs that run at the same time (1)",
        )
        parser.add_argument("--once", action="store_true", help="stop after one round")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stopped = threading.Event()
        self.threads = options["threads"]
        if self.threads > 1 and connection.vendor == "sqlite":
            raise CommandError("SQLite allows only one writer. --threads needs PostgreSQL.")
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.stopped.set())
        if not options["once"]:
            self.stdout.write("Worker started. Stop it with SIGTERM or Ctrl-C.")
            self.stdout.flush()
        while True:
            self._run_round(options["once"])
            if options["once"] or self.stopped.wait(options["interval"]):
                break
        if not options["once"]:
            self.stdout.write("Worker stopped.")

    def _run_round(self, once: bool) -> None:
        try:
            for line in served_lines(run_due(stop=self.stopped.is_set, threads=self.threads)):
                self.stdout.write(line)
            self.stdout.flush()
        except (DatabaseError, InterfaceError) as error:
            # The database may be available again in the next round.
            if once:
                raise
            fault = find_fault(error)
            if fault is None:
                logger.exception("The round failed. The next one will be tried.")
            else:
                logger.error("The round failed: %s: %s", fault.code, first_line(error))
        finally:
            close_old_connections()


def _parse_interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise ArgumentTypeError("Use seconds, more than 0 and up to 3600.")
    return seconds


def _parse_threads(text: str) -> int:
    threads = int(text) if text.isdecimal() else 0
    if not 0 < threads <= 64:
        raise ArgumentTypeError("Use a number from 1 to 64.")
    return threads
