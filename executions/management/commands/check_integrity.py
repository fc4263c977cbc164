"""``manage.py check_integrity``: do the laws hold?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser
from rich.console import Console
from rich.progress import track

from executions import integrity
from workflows.management.command import ExampleCommand


class Command(ExampleCommand):
    """Check the laws in one stable snapshot; every violation is named with its cuid."""

    help = "Check that every law of Holdfast holds; exit 1 when one does not."
    examples = """\
  manage.py check_integrity                   names every violation; exit 1 if there is one
  manage.py check_integrity --json | jq '.violations[].cuid'
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the violations as JSON")

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
            data = {"violations": [asdict(row) for row in found], "total": len(found)}
            self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))
        else:
            for row in found:
                self.stdout.write(f"{row.law}  {row.kind} {row.cuid}: {row.detail}")
        if found:
            noun = "violation" if len(found) == 1 else "violations"
            raise CommandError(f"{len(found)} {noun} found.")
        if not options["json"]:
            self.stdout.write("Every law holds.")
