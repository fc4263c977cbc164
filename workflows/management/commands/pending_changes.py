"""``manage.py pending_changes``: what is on hold, what came of it, and taking it off."""

from __future__ import annotations

import json
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from workflows import editing
from workflows.db.json_values import quoted, unstorable
from workflows.db.locks import Contention
from workflows.management.command import ExampleCommand
from workflows.management.lookup import user_named
from workflows.management.refusal_output import refusal_lines
from workflows.models import PendingChange
from workflows.refusals import Refusal


class Command(ExampleCommand):
    """List the changes that wait for executions to end, or withdraw one of them."""

    help = "List changes of finding type that are on hold, or withdraw one."
    examples = """\
  manage.py pending_changes                   what waits, and what could not be made
  manage.py pending_changes --all --json      the ones that were made too
  manage.py pending_changes --withdraw CUID   take one off hold, or put it away
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="those that were made too")
        parser.add_argument("--withdraw", metavar="CUID", help="take this change off hold")
        parser.add_argument("--by", metavar="USERNAME", help="the user who withdraws")
        parser.add_argument("--dry-run", action="store_true", help="withdraw nothing, only say so")
        parser.add_argument("--json", action="store_true", help="print them as JSON")

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
                json.dumps([_data(row) for row in rows], indent=2, ensure_ascii=False)
            )
            return
        for row in rows:
            who = row.asker or "somebody"
            self.stdout.write(f"{row.cuid}  {row.get_state_display().lower()}: {row}")
            self.stdout.write(f"  asked by {who} on {row.asked_at:%Y-%m-%d at %H:%M} UTC")
            if row.why:
                self.stdout.write(f"  why: {row.why}")
            if row.reason:
                self.stdout.write(f"  could not be made: {row.reason} [{row.code}]")
        if not rows:
            self.stdout.write("Nothing is on hold.")

    def _withdraw(self, options: dict[str, Any]) -> None:
        cuid, user = options["withdraw"], user_named(options["by"])
        row = None if unstorable(cuid) else PendingChange.objects.filter(cuid=cuid).first()
        if row is None:
            raise CommandError(f"No change on hold has the cuid {quoted(cuid)}.")
        told, title = _data(row), str(row)
        if not options["dry_run"]:
            try:
                editing.withdraw(row, by=user)
            except Refusal as refusal:
                raise CommandError("\n".join(refusal_lines(refusal))) from None
            except Contention as busy:
                raise CommandError(str(busy)) from None
        if options["json"]:
            told |= {"withdrawn": not options["dry_run"]}
            self.stdout.write(json.dumps(told, indent=2, ensure_ascii=False))
        else:
            done = "Would withdraw" if options["dry_run"] else "Withdrew"
            self.stdout.write(f"{done} {title}.")


def _data(row: PendingChange) -> dict[str, Any]:
    kind = row.context_type
    return {
        "cuid": row.cuid,
        "state": row.state,
        "workflows": [member.cuid for member in row.members.all()],
        "type": kind.cuid if kind else None,
        "asked_at": row.asked_at.isoformat(),
        "asked_by": row.asker or None,
        "why": row.why,
        "settled_at": row.settled_at.isoformat() if row.settled_at else None,
        "code": row.code,
        "reason": row.reason,
    }
