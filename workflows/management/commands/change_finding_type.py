"""``manage.py change_finding_type``: several workflows take another type together."""

from __future__ import annotations

import json
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from workflows import editing
from workflows.db.locks import Contention
from workflows.management.command import ExampleCommand
from workflows.management.lookup import type_named, user_named, workflow_named
from workflows.management.refusal_output import refusal_data, refusal_lines
from workflows.models import FindingType, Workflow
from workflows.refusals import Refusal


class Command(ExampleCommand):
    """Change the finding type (or the record type) of workflows, all of them or none."""

    help = (
        "Give one or several workflows another finding type together. A refusal names what "
        "stands in the way and what helps; exit 1."
    )
    examples = """\
  manage.py change_finding_type "Policy review" "Policy Exception"
  manage.py change_finding_type WORKFLOW_CUID CALLEE_CUID TYPE_CUID --why "reorganized"
  manage.py change_finding_type "Policy review" "Policy Exception" --when-drained
  manage.py change_finding_type "Policy review" "Policy Exception" --dry-run --json
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "workflows", nargs="+", metavar="WORKFLOW", help="cuid, or title where it is unique"
        )
        parser.add_argument("type", metavar="TYPE", help="cuid or name of the type to take")
        parser.add_argument(
            "--when-drained",
            action="store_true",
            help="where executions run: let none start, and make the change when they have ended",
        )
        parser.add_argument("--why", default="", help="kept with the versions and in the audit log")
        parser.add_argument("--by", metavar="USERNAME", help="the user who makes the change")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be")
        parser.add_argument("--json", action="store_true", help="print what came of it as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        workflows = list(
            {row.pk: row for row in map(workflow_named, options["workflows"])}.values()
        )
        kind = type_named(options["type"])
        user = user_named(options["by"])
        name = "entity_name_type" if isinstance(kind, FindingType) else "primary_record_type"
        context: dict[str, Any] = {name: kind}
        told: dict[str, Any] = {"dry_run": options["dry_run"], "type": kind.cuid}
        try:
            planned = editing.impact(workflows, editing.resolve_context(**context))
            done = editing.change_entity_context(
                workflows,
                **context,
                by=user,
                why=options["why"],
                when="drained" if options["when_drained"] else "now",
                dry_run=options["dry_run"],
            )
        except Refusal as refusal:
            if options["json"]:
                told["refused"] = refusal_data(refusal)
                self.stdout.write(json.dumps(told, indent=2, ensure_ascii=False))
                raise CommandError(str(refusal.message)) from None
            raise CommandError("\n".join(refusal_lines(refusal))) from None
        except Contention as busy:
            raise CommandError(str(busy)) from None
        pending = done.pending
        if pending is not None:
            pending.refresh_from_db()
        versions = (
            [(row.workflow, row.number) for row in planned.versions]
            if options["dry_run"] and not done.on_hold
            else [(row.workflow, row.number) for row in done.versions]
        )
        told |= {
            "workflows": [row.cuid for row in workflows],
            "versions": [{"workflow": row.cuid, "number": number} for row, number in versions],
            "on_hold": done.on_hold,
            "pending_change": pending.cuid if pending else None,
        }
        if options["json"]:
            self.stdout.write(json.dumps(told, indent=2, ensure_ascii=False))
        else:
            self._tell(workflows, versions, str(kind), done, options["dry_run"])

    def _tell(
        self,
        workflows: list[Workflow],
        versions: list[tuple[Workflow, int]],
        kind: str,
        done: editing.ContextChanged,
        dry_run: bool,
    ) -> None:
        if done.on_hold:
            verb = "would be" if dry_run else "is"
            name = f" {done.pending.cuid}" if done.pending else ""
            self.stdout.write(
                f"The change{name} {verb} on hold: no new execution starts on these workflows, "
                "and it is made when what runs has ended."
            )
            return
        numbers = {row.pk: number for row, number in versions}
        for row in workflows:
            if row.pk not in numbers:
                self.stdout.write(f"“{row.title}” ({row.cuid}) has the type “{kind}” already.")
            else:
                verb = "would take" if dry_run else "has"
                self.stdout.write(
                    f"“{row.title}” ({row.cuid}) {verb} the type “{kind}”, as of version "
                    f"{numbers[row.pk]}."
                )
