"""``manage.py merge_finding_types``: merge one finding type into another."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from executions.services.merging import merge_finding_types
from workflows.db.locks import Contention
from workflows.guards import count
from workflows.management.command import ExampleCommand
from workflows.management.lookup import find_finding_type, find_user
from workflows.management.progress import show_progress
from workflows.management.refusal_output import format_refusal, serialize_refusal
from workflows.refusals import Refusal


class Command(ExampleCommand):
    """Move everything from one finding type to another, and delete the first: all or nothing."""

    help = (
        "Move the workflows, findings and versions of one finding type to another, and delete "
        "the first type. A refusal lists the blockers and what you can do. Exits with 1 if refused."
    )
    examples = """\
  manage.py merge_finding_types "Policy Exceptions" "Policy Exception" --dry-run
  manage.py merge_finding_types FROM_CUID INTO_CUID --why "one name for both" --json
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", metavar="FROM", help="cuid or name of the type to delete")
        parser.add_argument("target", metavar="INTO", help="cuid or name of the type to keep")
        parser.add_argument(
            "--why", default="", help="reason, stored with the versions and in the audit log"
        )
        parser.add_argument("--by", metavar="USERNAME", help="the user who makes the change")
        parser.add_argument("--dry-run", action="store_true", help="only report")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        source = find_finding_type(options["source"])
        target = find_finding_type(options["target"])
        dry_run = options["dry_run"]
        result: dict[str, Any] = {"dry_run": dry_run, "from": source.cuid, "into": target.cuid}
        names = f"“{source}” ({source.cuid})", f"“{target}” ({target.cuid})"
        try:
            with show_progress(f"Merging {names[0]}"):
                merged = merge_finding_types(
                    source,
                    target,
                    by=find_user(options["by"]),
                    why=options["why"],
                    dry_run=dry_run,
                )
        except Refusal as refusal:
            if options["json"]:
                result["refused"] = serialize_refusal(refusal)
                self.stdout.write(json.dumps(result, indent=2, ensure_ascii=False))
                raise CommandError(str(refusal.message)) from None
            raise CommandError("\n".join(format_refusal(refusal))) from None
        except Contention as busy:
            raise CommandError(str(busy)) from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Nothing was changed.") from None
        if options["json"]:
            self.stdout.write(
                json.dumps({**result, **asdict(merged)}, indent=2, ensure_ascii=False)
            )
            return
        moved = ", ".join(
            count(number, noun)
            for number, noun in (
                (merged.workflows, "workflow"),
                (merged.findings, "finding"),
                (merged.versions, "version"),
            )
        )
        verbs = ("would move", "would be") if dry_run else ("moved", "was")
        self.stdout.write(f"{moved} {verbs[0]} to {names[1]}; {names[0]} {verbs[1]} deleted.")
