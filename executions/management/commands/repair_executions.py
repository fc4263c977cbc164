"""``manage.py repair_executions``: what was changed behind the product's back is mended."""

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
from workflows.management.lookup import by_cuid
from workflows.management.progress import at_work
from workflows.models import Version

LISTED = 200


class Command(ExampleCommand):
    """Mend what check_integrity finds; each group is a transaction of its own."""

    help = (
        "Mend executions whose world no longer agrees with what they began with: contents and "
        "contexts of versions, types of workflows and entities, references, pins, open steps, "
        "jobs. What cannot be mended is named, with the choice that there is; exit 1 then. It may "
        "run while executions start and go on, and may be interrupted and run again."
    )
    examples = """\
  manage.py repair_executions --dry-run       what would be done; nothing is written
  manage.py repair_executions                 everything that check_integrity finds
  manage.py repair_executions EXECUTION_CUID  one tree, and the workflows that it stands on
  manage.py repair_executions EXECUTION_CUID --onto VERSION_CUID
  manage.py repair_executions --accept VERSION_CUID --json
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "executions", nargs="*", metavar="EXECUTION", help="cuid; everything where none is"
        )
        parser.add_argument(
            "--accept",
            action="append",
            default=[],
            metavar="VERSION",
            help="take this version as it is now, where nobody knows any more what it was",
        )
        parser.add_argument(
            "--onto",
            metavar="VERSION",
            help="the version that the one execution named began with, where nothing proves it",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument("--all", action="store_true", help=f"list more than {LISTED} lines")
        parser.add_argument("--json", action="store_true", help="print all of it as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        executions = [by_cuid(Execution, cuid) for cuid in options["executions"]]
        accepted = [by_cuid(Version, cuid).cuid for cuid in options["accept"]]
        onto = by_cuid(Version, options["onto"]) if options["onto"] else None
        if onto is not None and len(executions) != 1:
            raise CommandError("--onto is for one execution: name it.")
        if onto is not None and executions[0].root_id is not None:
            raise CommandError(
                f"Execution {executions[0].cuid} was called by another, and runs what its root "
                f"has pinned: name {executions[0].root.cuid}."
            )
        try:
            with at_work("Checking the laws") as told:
                report = repair(
                    executions,
                    accepted=accepted,
                    onto=onto,
                    dry_run=options["dry_run"],
                    told=told,
                )
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted. Nothing was written."
                if options["dry_run"]
                else "Interrupted. What was mended until then stays mended; run it again for the "
                "rest."
            ) from None
        except Contention as busy:
            raise CommandError(f"{busy} Nothing was written; run it again.") from None
        if options["json"]:
            data = {
                "dry_run": options["dry_run"],
                "mended": [asdict(row) for row in report.mended],
                "left": [asdict(row) for row in report.left],
            }
            self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))
        else:
            self._tell(report, None if options["all"] else LISTED, dry_run=options["dry_run"])
        if report.left:
            raise CommandError(f"{count(len(report.left), 'violation')} could not be mended.")

    def _tell(self, report: Report, limit: int | None, *, dry_run: bool) -> None:
        prefix = "would be mended" if dry_run else "mended"
        lines = [f"{prefix}: {row.kind} {row.cuid}: {row.detail}" for row in report.mended]
        self._tell_lines(lines, limit)
        lines = [
            f"left: {row.kind} {row.cuid}: {row.detail}\n    what helps: {row.choice}"
            for row in report.left
        ]
        self._tell_lines(lines, limit)
        if not report.mended and not report.left:
            self.stdout.write("Nothing is to be mended.")

    def _tell_lines(self, lines: list[str], limit: int | None) -> None:
        for line in lines[:limit]:
            self.stdout.write(line)
        if limit is not None and len(lines) > limit:
            self.stdout.write(f"… and {len(lines) - limit} more (--all lists them).")
