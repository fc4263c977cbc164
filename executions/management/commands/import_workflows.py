"""``manage.py import_workflows``: compare a file of workflows with the database, and apply it."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from executions.services.named_secrets import missing_secrets
from workflows import files
from workflows.audit.actor import act_as, current
from workflows.db.locks import Contention
from workflows.files import ImportRefusal, InvalidFile, Plan
from workflows.guards import count
from workflows.management.command import ExampleCommand
from workflows.management.import_differences import format_plan, serialize_plan
from workflows.management.line_limit import LISTED, limit_lines
from workflows.management.lookup import find_user
from workflows.management.progress import show_progress
from workflows.management.refusal_output import format_refusal, serialize_refusal

PROBLEMS = 20


class Command(ExampleCommand):
    """Show the differences of a file of workflows. With ``--apply``, make the changes."""

    help = (
        "Show the differences between a file of export_workflows and this database. With --apply, "
        "make the changes, all or nothing. A refusal lists the blockers and what you can do, with "
        "or without --apply. Exits with 1 if the file is refused or invalid."
    )
    examples = """\
  manage.py import_workflows workflows.yaml                  show the differences
  manage.py import_workflows workflows.yaml --apply --why "as reviewed"
  manage.py import_workflows workflows.yaml --match title    from another database
  manage.py export_workflows --json | manage.py import_workflows - --json | jq .workflows
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="YAML or JSON; - for standard input")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--apply", action="store_true", help="make the changes")
        which.add_argument(
            "--dry-run", action="store_true", help="only report; this is the default"
        )
        parser.add_argument(
            "--match",
            choices=files.MATCH_KEYS,
            default=files.CUID,
            help="match workflows and types by cuid (default), or by title and name",
        )
        parser.add_argument(
            "--allow-unknown",
            action="store_true",
            help="import graphs that name unknown groups, users or secrets",
        )
        parser.add_argument(
            "--why", default="", help="reason, stored with the versions and in the audit log"
        )
        parser.add_argument("--by", metavar="USERNAME", help="the user who imports")
        parser.add_argument("--all", action="store_true", help=f"list more than {LISTED} lines")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        user = find_user(options["by"])
        result: dict[str, Any] = {"file": options["file"], "applied": False}
        with ExitStack() as stack:
            if user is not None:
                stack.enter_context(act_as(replace(current(), user=lambda: user)))
            try:
                with show_progress(f"Reading {options['file']}") as on_progress:
                    file = files.read_file(_bytes_of(options["file"]))
                    on_progress(f"Comparing {count(len(file.workflows), 'workflow')}")
                    plan = files.import_file(
                        file,
                        match=options["match"],
                        apply=options["apply"],
                        by=user,
                        why=options["why"],
                        on_progress=on_progress,
                        allow_unknown=options["allow_unknown"],
                    )
            except InvalidFile as invalid:
                raise self._invalid(invalid, result, options) from None
            except ImportRefusal as error:
                raise self._refused(error, file, result, options) from None
            except Contention as busy:
                raise CommandError(f"{busy} Nothing was imported.") from None
            except KeyboardInterrupt:
                raise CommandError(
                    "Interrupted. All changes were made, or none. Run the command again to check."
                ) from None
        result["applied"] = options["apply"]
        self._write_result(plan, result, options)

    def _write_result(self, plan: Plan, result: dict[str, Any], options: dict[str, Any]) -> None:
        plan.notes += missing_secrets(plan.items)
        if options["json"]:
            self._write_json({**result, **serialize_plan(plan)})
            return
        self._write_plan(plan, options)
        if plan.is_empty:
            self.stdout.write("No differences.")
        elif options["apply"]:
            self.stdout.write("Imported.")
        else:
            self.stdout.write("Nothing was changed. Make the changes with --apply.")

    def _write_plan(self, plan: Plan, options: dict[str, Any]) -> None:
        limit = None if options["all"] else LISTED
        for line in limit_lines(list(format_plan(plan)), limit, "more lines"):
            self.stdout.write(line)

    def _write_json(self, data: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))

    def _invalid(
        self, invalid: InvalidFile, result: dict[str, Any], options: dict[str, Any]
    ) -> CommandError:
        problems = invalid.problems
        if options["json"]:
            self._write_json({**result, "problems": [asdict(row) for row in problems]})
        limit = None if options["all"] else PROBLEMS
        lines = limit_lines([str(row) for row in problems], limit)
        return CommandError(
            "\n".join([f"{options['file']} is invalid. Nothing was imported.", *lines])
        )

    def _refused(
        self,
        error: ImportRefusal,
        file: files.WorkflowFile,
        result: dict[str, Any],
        options: dict[str, Any],
    ) -> CommandError:
        names = [f"“{item.title}” ({item.cuid})" for item in error.items]
        line = files.find_line(file.lines, error.pointer)
        at_line = f", line {line}" if names and line else ""
        if options["json"]:
            at = {
                "workflows": [item.cuid for item in error.items],
                "pointer": error.pointer,
                "line": line,
            }
            refused = {**serialize_refusal(error.refusal), "at": at}
            self._write_json({**result, **serialize_plan(error.plan), "refused": refused})
            return CommandError(error.refusal.message)
        self._write_plan(error.plan, options)
        place = f"{', '.join(names)}{at_line}: " if names else ""
        lines = list(format_refusal(error.refusal))
        return CommandError("\n".join([f"Nothing was imported. {place}{lines[0]}", *lines[1:]]))


def _bytes_of(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CommandError(f"{path} cannot be read: {reason}.") from None
