"""``manage.py pending_changes``: list and withdraw changes on hold."""

from __future__ import annotations

import json
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from workflows import editing
from workflows.db.locks import Contention
from workflows.management.command import ExampleCommand
from workflows.management.lookup import find_by_cuid, find_user
from workflows.management.refusal_output import format_refusal
from workflows.models import PendingChange
from workflows.refusals import Refusal
from workflows.values import moments


class Command(ExampleCommand):
    """List changes that wait for executions to end, or withdraw one."""

    help = "List changes of finding type that are on hold, or withdraw one."
    examples = """\
  manage.py pending_changes                   changes that wait or could not be applied
  manage.py pending_changes --all --json      all changes, including applied ones
  manage.py pending_changes --withdraw CUID   withdraw a change
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="include applied changes")
        parser.add_argument("--withdraw", metavar="CUID", help="withdraw this change")
        parser.add_argument("--by", metavar="USERNAME", help="the user who withdraws the change")
        parser.add_argument("--dry-run", action="store_true", help="only report, change nothing")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["withdraw"] is not None:
            self._withdraw(options)
            return
        rows = PendingChange.objects.select_related(
            "asked_by", "entity_name_type", "primary_record_type"
        ).prefetch_related("members")
        if not options["all"]:
            rows = rows.exclude(state=PendingChange.State.APPLIED)
        if options["json"]:
            self.stdout.write(
                json.dumps([_serialize(row) for row in rows], indent=2, ensure_ascii=False)
            )
            return
        for row in rows:
            requester = row.asker or "an unknown user"
            self.stdout.write(f"{row.cuid}  {row.get_state_display().lower()}: {row}")
            self.stdout.write(
                f"  requested by {requester} on {moments.format_moment(row.asked_at)}"
            )
            if row.why:
                self.stdout.write(f"  reason: {row.why}")
            if row.reason:
                self.stdout.write(f"  could not be applied: {row.reason} [{row.code}]")
        if not rows:
            self.stdout.write("No changes are on hold.")

    def _withdraw(self, options: dict[str, Any]) -> None:
        user = find_user(options["by"])
        row = find_by_cuid(PendingChange, options["withdraw"])
        result, title = _serialize(row), str(row)
        if not options["dry_run"]:
            try:
                editing.withdraw(row, by=user)
            except Refusal as refusal:
                raise CommandError("\n".join(format_refusal(refusal))) from None
            except Contention as busy:
                raise CommandError(str(busy)) from None
        if options["json"]:
            result |= {"withdrawn": not options["dry_run"]}
            self.stdout.write(json.dumps(result, indent=2, ensure_ascii=False))
        else:
            done = "Would withdraw" if options["dry_run"] else "Withdrew"
            self.stdout.write(f"{done} {title}.")


def _serialize(row: PendingChange) -> dict[str, Any]:
    context_type = row.context_type
    return {
        "cuid": row.cuid,
        "state": row.state,
        "workflows": [member.cuid for member in row.members.all()],
        "type": context_type.cuid if context_type else None,
        "asked_at": row.asked_at.isoformat(),
        "asked_by": row.asker or None,
        "why": row.why,
        "settled_at": row.settled_at.isoformat() if row.settled_at else None,
        "code": row.code,
        "reason": row.reason,
    }
