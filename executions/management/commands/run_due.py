"""``manage.py run_due``: run the background work that is due."""

from __future__ import annotations

import json
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from executions.services import preview_schedule
from executions.worker.rounds import Served, run_due
from workflows.management.command import ExampleCommand
from workflows.management.lookup import find_workflow
from workflows.models import PendingChange
from workflows.values import moments


class Command(ExampleCommand):
    """Run the due background work once, for example from cron."""

    help = (
        "Run the background work that is due now, and exit: starts, timers, deadlines, mail, "
        "calls, webhooks and pending changes."
    )
    examples = """\
  manage.py run_due
  manage.py run_due --dry-run --json
  manage.py run_due --occurrences "Annual validation"
"""
    interrupted = (
        "Interrupted. Finished work is kept. A claimed job is due again when its lease has expired."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only list due work")
        parser.add_argument(
            "--occurrences",
            metavar="WORKFLOW",
            help="only list the next ten occurrences of a workflow's schedule",
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["occurrences"] is not None:
            self._list_occurrences(options["occurrences"], options["json"])
            return
        served = run_due(dry_run=options["dry_run"])
        if options["json"]:
            data = {"dry_run": options["dry_run"], **served_data(served)}
            self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))
            return
        for line in served_lines(served, dry_run=options["dry_run"]):
            self.stdout.write(line)
        if not served:
            self.stdout.write("Nothing is due.")

    def _list_occurrences(self, text: str, as_json: bool) -> None:
        workflow = find_workflow(text)
        preview = preview_schedule(workflow)
        if preview is None:
            raise CommandError(f"“{workflow}” has no schedule.")
        if as_json:
            rows = [
                {"at": row.at.isoformat(), "entities": row.entities} for row in preview.occurrences
            ]
            data = {"occurrences": rows, "warnings": preview.warnings}
            self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))
            return
        for warning in preview.warnings:
            self.stdout.write(warning)
        for row in preview.occurrences:
            noun = "entity" if row.entities == 1 else "entities"
            self.stdout.write(f"{moments.format_moment(row.at)}: {row.entities} {noun}")


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
