"""``manage.py change_finding_type``: change the type of workflows together."""

from __future__ import annotations

import json
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from workflows import editing
from workflows.db.locks import Contention
from workflows.management.command import ExampleCommand
from workflows.management.lookup import find_type, find_user, find_workflow
from workflows.management.refusal_output import format_refusal, serialize_refusal
from workflows.models import FindingType, Workflow
from workflows.refusals import Refusal


class Command(ExampleCommand):
    """Change the finding type or record type of workflows, all of them or none."""

    help = (
        "Change the finding type or record type of one or more workflows together. A refusal lists "
        "the blockers and what you can do (exit code 1)."
    )
    examples = """\
  manage.py change_finding_type "Policy review" "Policy Exception"
  manage.py change_finding_type WORKFLOW_CUID CALLEE_CUID TYPE_CUID --why "reorganized"
  manage.py change_finding_type "Policy review" "Policy Exception" --when-drained
  manage.py change_finding_type "Policy review" "Policy Exception" --dry-run --json
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "workflows", nargs="+", metavar="WORKFLOW", help="cuid, or title if unique"
        )
        parser.add_argument("type", metavar="TYPE", help="cuid or name of the new type")
        parser.add_argument(
            "--when-drained",
            action="store_true",
            help="if executions block the change: put it on hold until they have ended",
        )
        parser.add_argument(
            "--why", default="", help="reason, stored with the versions and in the audit log"
        )
        parser.add_argument("--by", metavar="USERNAME", help="the user who makes the change")
        parser.add_argument("--dry-run", action="store_true", help="only report, change nothing")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        workflows = list({row.pk: row for row in map(find_workflow, options["workflows"])}.values())
        new_type = find_type(options["type"])
        user = find_user(options["by"])
        name = "entity_name_type" if isinstance(new_type, FindingType) else "primary_record_type"
        context: dict[str, Any] = {name: new_type}
        result: dict[str, Any] = {"dry_run": options["dry_run"], "type": new_type.cuid}
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
                result["refused"] = serialize_refusal(refusal)
                self.stdout.write(json.dumps(result, indent=2, ensure_ascii=False))
                raise CommandError(str(refusal.message)) from None
            raise CommandError("\n".join(format_refusal(refusal))) from None
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
        result |= {
            "workflows": [row.cuid for row in workflows],
            "versions": [{"workflow": row.cuid, "number": number} for row, number in versions],
            "on_hold": done.on_hold,
            "pending_change": pending.cuid if pending else None,
        }
        if options["json"]:
            self.stdout.write(json.dumps(result, indent=2, ensure_ascii=False))
        else:
            self._write_result(workflows, versions, str(new_type), done, options["dry_run"])

    def _write_result(
        self,
        workflows: list[Workflow],
        versions: list[tuple[Workflow, int]],
        type_name: str,
        done: editing.ContextChangeResult,
        dry_run: bool,
    ) -> None:
        if done.on_hold:
            verb = "would be" if dry_run else "is"
            name = f" {done.pending.cuid}" if done.pending else ""
            self.stdout.write(
                f"The change{name} {verb} on hold. No new execution starts on these workflows, and "
                "the change is applied when the blocking executions have ended."
            )
            return
        numbers = {row.pk: number for row, number in versions}
        for row in workflows:
            if row.pk not in numbers:
                self.stdout.write(f"“{row.title}” ({row.cuid}) already has the type “{type_name}”.")
            else:
                verb = "would have" if dry_run else "now has"
                self.stdout.write(
                    f"“{row.title}” ({row.cuid}) {verb} the type “{type_name}” (version "
                    f"{numbers[row.pk]})."
                )
