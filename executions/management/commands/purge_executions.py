"""``manage.py purge_executions``: what has ended long ago is taken away."""

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
from workflows.management.progress import at_work
from workflows.values.durations import Duration, from_words, parse


class Command(ExampleCommand):
    """Delete trees of executions that have ended, in batches."""

    help = (
        "Delete executions that ended long ago, with all that they have started, their steps and "
        "pins. What is live is never touched. It may run while executions start and go on, and "
        "may be interrupted and run again."
    )
    examples = """\
  manage.py purge_executions --older-than 90d --dry-run
  manage.py purge_executions --older-than 90d --keep-last
  manage.py purge_executions --older-than 52w --versions --batch 500 --json
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=_length,
            required=True,
            metavar="LENGTH",
            help="how long ago it has to have ended: 90d, 12w, 36h, P3M, '1 year'",
        )
        parser.add_argument(
            "--keep-last", action="store_true", help="keep the last execution of each entity"
        )
        parser.add_argument(
            "--versions",
            action="store_true",
            help="then delete superseded versions that no execution and no pin has",
        )
        parser.add_argument(
            "--batch",
            type=_number,
            default=BATCH,
            help=f"trees in one transaction ({BATCH}); fewer keep others waiting less",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")
        parser.add_argument("--json", action="store_true", help="print what has gone as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        done = Purged()
        verb = "would go" if options["dry_run"] else "deleted"
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
            self._tell(done, verb, options)
            raise CommandError(
                "Interrupted. What is deleted stays deleted; run it again for the rest."
            ) from None
        except Contention as busy:
            self._tell(done, verb, options)
            raise CommandError(f"{busy} Run it again for the rest.") from None
        self._tell(done, verb, options)

    def _follow(self, batches: Iterator[Purged], verb: str) -> None:
        with at_work("Looking for what has ended") as told:
            for done in batches:
                told(f"{count(done.trees, 'tree')} {verb}")

    def _tell(self, done: Purged, verb: str, options: dict[str, Any]) -> None:
        if options["json"]:
            data = {"dry_run": options["dry_run"], **asdict(done)}
            self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))
            return
        rows = ", ".join(count(number, name) for name, number in done.rows.items() if number)
        tail = f": {rows}" if rows else ""
        self.stdout.write(f"{count(done.trees, 'tree')} {verb}{tail}.")
        if options["versions"]:
            self.stdout.write(f"{count(done.versions, 'version')} {verb}.")
        for why, kept in done.kept.items():
            more = kept.number - len(kept.cuids)
            shown = ", ".join(kept.cuids) + (f" … and {more} more" if more else "")
            self.stdout.write(f"Kept, {why}: {kept.number} ({shown}).")


def _length(text: str) -> Duration:
    short = re.fullmatch(r"([0-9]+)([hdw])", text)
    spelled = f"P{'T' * (short[2] == 'h')}{text.upper()}" if short else from_words(text)
    found = parse(spelled) if re.match("P.*[0-9]", spelled) else None
    if found is None:
        raise ArgumentTypeError("a length such as 90d, 12w, 36h, P3M or '1 year'")
    return found


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 100_000:
        raise ArgumentTypeError("a number from 1 to 100000")
    return int(text)
