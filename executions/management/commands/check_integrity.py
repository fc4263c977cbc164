"""``manage.py check_integrity``: do the laws hold?"""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser
from rich.console import Console
from rich.progress import track

from executions import integrity
from workflows.guards import count
from workflows.management.command import ExampleCommand

LISTED = 200


class Command(ExampleCommand):
    """Check the laws in one stable snapshot; every violation is named with its cuid."""

    help = (
        "Check that every law of Holdfast holds; exit 1 when one does not. Each violation is "
        "told with the command that mends it, or the choice that there is."
    )
    examples = """\
  manage.py check_integrity                   names what does not hold; exit 1 if there is any
  manage.py check_integrity --all             however many
  manage.py check_integrity --json | jq '.violations[].cuid'
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--all", action="store_true", help=f"list more than {LISTED} violations too"
        )
        parser.add_argument("--json", action="store_true", help="print all of them as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(stderr=True)
        found: list[integrity.Violation] = []
        with integrity.stable_snapshot():
            laws = track(
                integrity.LAWS,
                description="Checking the laws",
                console=console,
                transient=True,
                disable=not sys.stderr.isatty(),
            )
            for law in laws:
                found += law()
        if options["json"]:
            data = {"violations": [row.told() for row in found], "total": len(found)}
            self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))
        else:
            self._tell(found, None if options["all"] else LISTED)
        if found:
            raise CommandError(f"{count(len(found), 'violation')} found.")
        if not options["json"]:
            self.stdout.write("Every law holds.")

    def _tell(self, found: list[integrity.Violation], limit: int | None) -> None:
        for row in found[:limit]:
            self.stdout.write(f"{row.law}  {row.kind} {row.cuid}: {row.detail}")
            self.stdout.write(f"    what helps: {row.remedy}")
        if limit is not None and len(found) > limit:
            self.stdout.write(f"… and {len(found) - limit} more (--all lists them).")
