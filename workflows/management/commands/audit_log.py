"""``manage.py audit_log``: who changed what, and what was refused."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser
from django.forms.models import model_to_dict

from workflows.db.json_values import storage_problem
from workflows.management.command import ExampleCommand
from workflows.models import AuditEntry
from workflows.values import moments


class Command(ExampleCommand):
    """Print the audit log, oldest first."""

    help = (
        "Print the audit log: who changed what, when and through which interface, and which edits "
        "were refused."
    )
    examples = """\
  manage.py audit_log --limit 20              the latest 20 entries
  manage.py audit_log --cuid CUID             the entries of one record
  manage.py audit_log --refused --since 2026-01-01 --json | jq -r .who
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--cuid", type=_text, help="the cuid of the record")
        parser.add_argument("--who", type=_text, help="the user or operating system account")
        parser.add_argument("--request", type=_text, metavar="ID", help="the request id")
        parser.add_argument("--refused", action="store_true", help="only refused edits")
        parser.add_argument(
            "--since", type=_moment, help="a date, or a date and time, in TIME_ZONE"
        )
        parser.add_argument(
            "--until", type=_moment, help="a date, or a date and time, in TIME_ZONE"
        )
        parser.add_argument("--limit", type=_number, help="only the latest entries")
        parser.add_argument("--json", action="store_true", help="print one JSON object per line")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = {
            "cuid": options["cuid"],
            "who": options["who"],
            "request_id": options["request"],
            "refused": options["refused"] or None,
            "at__gte": options["since"],
            "at__lt": options["until"],
        }
        rows = AuditEntry.objects.filter(**{k: v for k, v in wanted.items() if v is not None})
        if options["limit"] is not None:
            rows = rows.filter(pk__in=list(rows.values_list("pk", flat=True)[: options["limit"]]))
        for row in rows.order_by("pk").iterator(500):
            self.stdout.write(_format_json(row) if options["json"] else _format_line(row))


def _format_json(row: AuditEntry) -> str:
    data = {"id": row.pk, **model_to_dict(row), "at": row.at.isoformat()}
    return json.dumps(data, ensure_ascii=False)


def _format_line(row: AuditEntry) -> str:
    who = row.who or "–"
    action = row.get_action_display().lower()
    line = f"{row.pk}  {moments.format_moment(row.at)}  {who} ({row.face})  {row.kind} {row.cuid}"
    title = row.title if row.title.startswith("“") else f"“{row.title}”"
    line += f" {title}: " if row.title not in ("", row.cuid) else ": "
    if row.refused:
        return f"{line}{action} (refused): {row.detail} [{row.code}]"
    names = ", ".join(row.after) or ", ".join(row.before)
    return line + action + (f" ({names})" if names else "") + (f"; {row.why}" if row.why else "")


def _text(text: str) -> str:
    if storage_problem(text):
        raise ArgumentTypeError("contains characters that no database can store")
    return text


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 1_000_000:
        raise ArgumentTypeError("must be a number from 1 to 1000000")
    return int(text)


def _moment(text: str) -> datetime:
    found = moments.read(text)
    if found is None:
        raise ArgumentTypeError(
            "must be a date such as 2026-01-31, or a date and time such as 2026-01-31T12:00"
        )
    return moments.to_utc(found)
