"""``manage.py run_due``: run the background work that is due."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser

from executions.worker.rounds import Served, run_due
from workflows.management.command import ExampleCommand
from workflows.models import PendingChange


class Command(ExampleCommand):
    """Run the due background work once, for example from cron."""

    help = (
        "Run the background work that is due now, and exit: starts, timers, deadlines, mail, "
        "calls, webhooks and pending changes."
    )
    examples = """\
  manage.py run_due
  manage.py run_due --dry-run --json
"""
    interrupted = (
        "Interrupted. Finished work is kept. A claimed job is due again when its lease has expired."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only list due work")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        served = run_due(dry_run=options["dry_run"])
        if options["json"]:
            data = {"dry_run": options["dry_run"], **served_data(served)}
            self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))
            return
        for line in served_lines(served, dry_run=options["dry_run"]):
            self.stdout.write(line)
        if not served:
            self.stdout.write("Nothing is due.")


def served_data(served: Served) -> dict[str, Any]:
    """Return the result of a round as JSON data."""
    return {
        "starts": served.starts,
        "jobs": served.jobs,
        "pending_changes": [
            {"cuid": row.cuid, "state": row.state, "code": row.code, "reason": row.reason}
            for row in served.pending_changes
        ],
    }


def served_lines(served: Served, *, dry_run: bool = False) -> list[str]:
    """Return the result of a round as lines of text."""
    lines = []
    if served.starts:
        noun = "triggered start" if served.starts == 1 else "triggered starts"
        lines.append(f"{'Due' if dry_run else 'Done'}: {served.starts} {noun}.")
    if served.jobs:
        noun = "job" if served.jobs == 1 else "jobs"
        lines.append(f"{'Due' if dry_run else 'Done'}: {served.jobs} {noun}.")
    for row in served.pending_changes:
        if dry_run:
            lines.append(f"Due: {row} ({row.cuid}).")
        elif row.state == PendingChange.State.APPLIED:
            lines.append(f"Applied: {row} ({row.cuid}).")
        else:
            lines.append(f"Not applied: {row} ({row.cuid}): {row.reason} [{row.code}]")
    return lines
