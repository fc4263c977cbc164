"""``manage.py work``: a worker process for background work."""

from __future__ import annotations

import json
import signal
import threading
from argparse import ArgumentTypeError
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser
from django.db import DatabaseError, InterfaceError

from executions.management.commands.run_due import served_lines
from executions.models import WorkerKind
from executions.worker.rounds import Served, run_due
from executions.worker.service import Worker
from executions.worker.status import read_status, running_workers
from workflows.db.migration_state import MIGRATE, describe_unapplied
from workflows.db.vendor import DATABASE
from workflows.management.command import COULD_NOT_RUN, ExampleCommand
from workflows.values import moments


class Command(ExampleCommand):
    """Run due background work until SIGTERM or Ctrl-C. Work that has started is finished first."""

    help = "Run background work until SIGTERM or Ctrl-C. You can run any number of workers."
    examples = """\
  manage.py work                              a worker
  manage.py work --threads 4                  four calls at the same time (PostgreSQL)
  manage.py work --health-file /run/holdfast/work
  manage.py work --once                       one round, like run_due
  manage.py work --status                     which workers run, and how late work is
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--interval",
            type=_parse_interval,
            default=2.0,
            help="seconds between two looks for work when nothing is due (2)",
        )
        parser.add_argument(
            "--threads",
            type=_parse_threads,
            default=1,
            help="number of calls that are made at the same time (1)",
        )
        parser.add_argument(
            "--health-file",
            type=Path,
            help="touch this file every five seconds while every thread makes progress",
        )
        parser.add_argument("--once", action="store_true", help="stop after one round")
        parser.add_argument(
            "--status", action="store_true", help="only show the workers and the oldest due work"
        )
        parser.add_argument("--json", action="store_true", help="print the status as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["json"] and not options["status"]:
            raise CommandError("--json needs --status.", returncode=2)
        if options["threads"] > 1 and not DATABASE.is_postgresql:
            raise CommandError("SQLite allows only one writer. --threads needs PostgreSQL.")
        if options["status"]:
            self._show_status(options["json"])
        elif options["once"]:
            self._report(run_due(kind=WorkerKind.WORK))
        else:
            self._run(options["threads"], options["interval"], options["health_file"])

    def _run(self, threads: int, interval: float, health_file: Path | None) -> None:
        if health_file is not None and not health_file.parent.is_dir():
            raise CommandError(f"The folder of the health file does not exist: {health_file}")
        # A worker that cannot reach the database starts, and works when it can.
        with suppress(DatabaseError, InterfaceError):
            if unapplied := describe_unapplied():
                raise CommandError(f"{unapplied} {MIGRATE}", returncode=COULD_NOT_RUN)
        worker = Worker(threads, interval, health_file, self._report)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda received, _: _stop(worker, received))
        self.stdout.write("Worker started. Stop it with SIGTERM or Ctrl-C.")
        self.stdout.flush()
        worker.run()
        self.stdout.write("Worker stopped.")

    def _report(self, served: Served) -> None:
        for line in served_lines(served):
            self.stdout.write(line)
        self.stdout.flush()

    def _show_status(self, as_json: bool) -> None:
        status, workers = read_status(), running_workers()
        if as_json:
            data = {
                "last_beat_seconds": status.last_beat_seconds,
                "lag_seconds": status.lag_seconds,
                "workers": [
                    {
                        "name": row.name,
                        "kind": row.kind,
                        "started_at": row.started_at.isoformat(),
                        "last_beat": row.last_beat.isoformat(),
                    }
                    for row in workers
                ],
            }
            self.stdout.write(json.dumps(data, indent=2))
        else:
            for row in workers:
                started = moments.format_moment(row.started_at)
                self.stdout.write(f"{row.get_kind_display()} {row.name}, started {started}")
            self.stdout.write(f"The oldest due work waits for {status.lag_seconds:.0f} s.")
        if status.is_worker_missing:
            raise CommandError(str(status.missing_text))


def _stop(worker: Worker, received: int) -> None:
    worker.stopped.set()
    # A second signal ends the process at once.
    signal.signal(received, signal.SIG_DFL)


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
