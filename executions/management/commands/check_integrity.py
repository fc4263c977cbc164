"""``manage.py check_integrity``: check the invariants."""

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
from workflows.management.line_limit import LISTED, limit_lines


class Command(ExampleCommand):
    """Check the invariants on one snapshot of the database, and print each violation."""

    help = (
        "Check the invariants. Each violation names the record, and the command or decision that "
        "repairs it. Exits with 1 if there are violations."
    )
    examples = """\
  manage.py check_integrity                   check, and list the first violations
  manage.py check_integrity --all             list all violations
  manage.py check_integrity --files              read the contents of all files too
  manage.py check_integrity --json | jq '.violations[].cuid'
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--all", action="store_true", help=f"list more than {LISTED} violations"
        )
        parser.add_argument(
            "--files",
            action="store_true",
            help="also read each stored file, and compare its checksum",
        )
        parser.add_argument("--json", action="store_true", help="print all violations as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(stderr=True)
        found: list[integrity.Violation] = []
        checked = integrity.INVARIANTS + (integrity.check_files,) * options["files"]
        with integrity.stable_snapshot():
            checks = track(
                checked,
                description="Checking the invariants",
                console=console,
                transient=True,
                disable=not sys.stderr.isatty(),
            )
            for check in checks:
                found += check()
        if options["json"]:
            data = {"violations": [row.as_data() for row in found], "total": len(found)}
            self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))
        else:
            self._write(found, None if options["all"] else LISTED)
        if found:
            raise CommandError(f"{count(len(found), 'violation')} found.")
        if not options["json"]:
            self.stdout.write("All invariants hold.")

    def _write(self, found: list[integrity.Violation], limit: int | None) -> None:
        lines = [
            f"{row.invariant}  {row.model} {row.cuid}: {row.detail}\n"
            f"    What you can do: {row.remedy}"
            for row in found
        ]
        for line in limit_lines(lines, limit):
            self.stdout.write(line)
