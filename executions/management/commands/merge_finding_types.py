"""``manage.py merge_finding_types``: two finding types become one."""

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
from workflows.management.lookup import finding_type_named, user_named
from workflows.management.progress import at_work
from workflows.management.refusal_output import refusal_data, refusal_lines
from workflows.refusals import Refusal


class Command(ExampleCommand):
    """Move all that is of one finding type to another, and delete the one: all or nothing."""

    help = (
        "Move the workflows, findings and versions of one finding type to another, and delete "
        "the one. A refusal names what stands in the way and what helps; exit 1."
    )
    examples = """\
  manage.py merge_finding_types "Policy Exceptions" "Policy Exception" --dry-run
  manage.py merge_finding_types FROM_CUID INTO_CUID --why "one name for both" --json
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", metavar="FROM", help="cuid or name of the type that goes")
        parser.add_argument("target", metavar="INTO", help="cuid or name of the type that stays")
        parser.add_argument("--why", default="", help="kept with the versions and in the audit log")
        parser.add_argument("--by", metavar="USERNAME", help="the user who merges them")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be")
        parser.add_argument("--json", action="store_true", help="print what came of it as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        source = finding_type_named(options["source"])
        target = finding_type_named(options["target"])
        dry_run = options["dry_run"]
        told: dict[str, Any] = {"dry_run": dry_run, "from": source.cuid, "into": target.cuid}
        names = f"“{source}” ({source.cuid})", f"“{target}” ({target.cuid})"
        try:
            with at_work(f"Merging {names[0]}"):
                merged = merge_finding_types(
                    source,
                    target,
                    by=user_named(options["by"]),
                    why=options["why"],
                    dry_run=dry_run,
                )
        except Refusal as refusal:
            if options["json"]:
                told["refused"] = refusal_data(refusal)
                self.stdout.write(json.dumps(told, indent=2, ensure_ascii=False))
                raise CommandError(str(refusal.message)) from None
            raise CommandError("\n".join(refusal_lines(refusal))) from None
        except Contention as busy:
            raise CommandError(str(busy)) from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Nothing has been merged.") from None
        if options["json"]:
            self.stdout.write(json.dumps({**told, **asdict(merged)}, indent=2, ensure_ascii=False))
            return
        what = ", ".join(
            count(number, noun)
            for number, noun in (
                (merged.workflows, "workflow"),
                (merged.findings, "finding"),
                (merged.versions, "version"),
            )
        )
        verbs = ("would move", "would be") if dry_run else ("moved", "is")
        self.stdout.write(f"{what} {verbs[0]} to {names[1]}; {names[0]} {verbs[1]} deleted.")
