"""``manage.py purge_executions``: delete executions that ended long ago."""

from __future__ import annotations

import json
import re
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser
from django.utils import timezone

from executions.services.purging import BATCH, Purged, purge
from workflows.db.locks import Contention, stable_snapshot
from workflows.guards import count
from workflows.management.command import ExampleCommand
from workflows.management.progress import show_progress
from workflows.values.durations import Duration, parse, parse_words


class Command(ExampleCommand):
    """Delete trees of ended executions, in batches."""

    help = (
        "Delete trees of executions that ended long ago, with their steps and votes. Live "
        "executions are never deleted. Executions can start and continue meanwhile. You can "
        "interrupt the command and run it again."
    )
    examples = """\
  manage.py purge_executions --older-than 90d --dry-run
  manage.py purge_executions --older-than 90d --keep-last
  manage.py purge_executions --older-than 52w --versions --batch 500 --json
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=_parse_length,
            required=True,
            metavar="LENGTH",
            help="minimum time since the end: 90d, 12w, 36h, P3M, '1 year'",
        )
        parser.add_argument(
            "--keep-last", action="store_true", help="keep the last execution of each entity"
        )
        parser.add_argument(
            "--versions",
            action="store_true",
            help="then delete superseded versions that no execution runs or has pinned",
        )
        parser.add_argument(
            "--batch",
            type=_parse_batch,
            default=BATCH,
            help=f"trees per transaction ({BATCH}); smaller batches hold locks for a shorter time",
        )
        parser.add_argument("--dry-run", action="store_true", help="only report")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        done = Purged()
        verb = "would be deleted" if options["dry_run"] else "deleted"
        batches = purge(
            options["older_than"].before(timezone.now()),
            done=done,
            keep_last=options["keep_last"],
            versions=options["versions"],
            batch=options["batch"],
            dry_run=options["dry_run"],
        )
        try:
            with stable_snapshot() if options["dry_run"] else nullcontext():
                self._follow(batches, verb)
        except KeyboardInterrupt:
            self._write_result(done, verb, options)
            raise CommandError(
                "Interrupted. Finished batches are deleted. Run the command again for the rest."
            ) from None
        except Contention as busy:
            self._write_result(done, verb, options)
            raise CommandError(f"{busy} Run the command again for the rest.") from None
        self._write_result(done, verb, options)

    def _follow(self, batches: Iterator[Purged], verb: str) -> None:
        with show_progress("Searching for ended executions") as on_progress:
            for done in batches:
                on_progress(f"{count(done.trees, 'tree')} {verb}")

    def _write_result(self, done: Purged, verb: str, options: dict[str, Any]) -> None:
        if options["json"]:
            data = {"dry_run": options["dry_run"], **asdict(done)}
            self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))
            return
        rows = ", ".join(count(number, name) for name, number in done.rows.items() if number)
        tail = f": {rows}" if rows else ""
        self.stdout.write(f"{count(done.trees, 'tree')} {verb}{tail}.")
        if done.uploads:
            self.stdout.write(f"{count(done.uploads, 'file')} {verb} that nobody submitted.")
        if options["versions"]:
            self.stdout.write(f"{count(done.versions, 'version')} {verb}.")
        for reason, retained in done.retained.items():
            more = retained.number - len(retained.cuids)
            cuids = ", ".join(retained.cuids) + (f" … and {more} more" if more else "")
            self.stdout.write(f"Kept because {reason}: {retained.number} ({cuids}).")


def _parse_length(text: str) -> Duration:
    short = re.fullmatch(r"([0-9]+)([hdw])", text)
    spelled = f"P{'T' * (short[2] == 'h')}{text.upper()}" if short else parse_words(text)
    found = parse(spelled) if re.match("P.*[0-9]", spelled) else None
    if found is None:
        raise ArgumentTypeError("Use a duration such as 90d, 12w, 36h, P3M or '1 year'.")
    return found


def _parse_batch(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 100_000:
        raise ArgumentTypeError("Use a number from 1 to 100000.")
    return int(text)
