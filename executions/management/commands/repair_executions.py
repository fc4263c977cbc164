"""``manage.py repair_executions``: repair data that was changed outside Holdfast."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from executions.models import Execution
from executions.repairs import Report, repair
from workflows.db.locks import Contention
from workflows.guards import count
from workflows.management.command import ExampleCommand
from workflows.management.line_limit import LISTED, limit_lines
from workflows.management.lookup import find_by_cuid
from workflows.management.progress import show_progress
from workflows.models import Version


class Command(ExampleCommand):
    """Repair the violations that check_integrity finds. Each group is one transaction."""

    help = (
        "Repair the violations that check_integrity finds: contents and contexts of versions, "
        "types of workflows and entities, references, pinned versions, open steps, jobs. Lists "
        "violations that need a decision, and then exits with 1. Executions can start and "
        "continue meanwhile. You can interrupt the command and run it again."
    )
    examples = """\
  manage.py repair_executions --dry-run       report the repairs without making them
  manage.py repair_executions                 repair all violations
  manage.py repair_executions EXECUTION_CUID  repair one tree and the workflows it uses
  manage.py repair_executions EXECUTION_CUID --onto VERSION_CUID
  manage.py repair_executions --accept VERSION_CUID --json
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "executions",
            nargs="*",
            metavar="EXECUTION",
            help="cuids of executions; all if none is given",
        )
        parser.add_argument(
            "--accept",
            action="append",
            default=[],
            metavar="VERSION",
            help="accept this version as it is now, if its original content is lost",
        )
        parser.add_argument(
            "--onto",
            metavar="VERSION",
            help="the version that the one named execution started with, if the data does not "
            "show it",
        )
        parser.add_argument("--dry-run", action="store_true", help="only report")
        parser.add_argument("--all", action="store_true", help=f"list more than {LISTED} lines")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        executions = [find_by_cuid(Execution, cuid) for cuid in options["executions"]]
        accepted = [find_by_cuid(Version, cuid).cuid for cuid in options["accept"]]
        onto = find_by_cuid(Version, options["onto"]) if options["onto"] else None
        if onto is not None and len(executions) != 1:
            raise CommandError("--onto needs exactly one EXECUTION.")
        if onto is not None and executions[0].root_id is not None:
            raise CommandError(
                f"Execution {executions[0].cuid} is a child and runs the version that its root "
                f"has pinned. Name the root instead: {executions[0].root.cuid}."
            )
        try:
            with show_progress("Checking the invariants") as on_progress:
                report = repair(
                    executions,
                    accepted=accepted,
                    onto=onto,
                    dry_run=options["dry_run"],
                    on_progress=on_progress,
                )
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted. Nothing was changed."
                if options["dry_run"]
                else "Interrupted. Finished repairs are kept. Run the command again for the rest."
            ) from None
        except Contention as busy:
            raise CommandError(f"{busy} Nothing was changed. Run the command again.") from None
        if options["json"]:
            data = {
                "dry_run": options["dry_run"],
                "repaired": [asdict(row) for row in report.repaired],
                "unresolved": [asdict(row) for row in report.unresolved],
            }
            self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))
        else:
            limit = None if options["all"] else LISTED
            self._write_report(report, limit, dry_run=options["dry_run"])
        if report.unresolved:
            violations = count(len(report.unresolved), "violation")
            raise CommandError(f"{violations} could not be repaired.")

    def _write_report(self, report: Report, limit: int | None, *, dry_run: bool) -> None:
        prefix = "would be repaired" if dry_run else "repaired"
        lines = [f"{prefix}: {row.model} {row.cuid}: {row.detail}" for row in report.repaired]
        self._write_lines(lines, limit)
        lines = [
            f"not repaired: {row.model} {row.cuid}: {row.detail}\n    What you can do: {row.remedy}"
            for row in report.unresolved
        ]
        self._write_lines(lines, limit)
        if not report.repaired and not report.unresolved:
            self.stdout.write("Nothing to repair.")

    def _write_lines(self, lines: list[str], limit: int | None) -> None:
        for line in limit_lines(lines, limit):
            self.stdout.write(line)
