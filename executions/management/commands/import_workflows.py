"""``manage.py import_workflows``: a file of workflows is compared, and brought in."""

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
from workflows.audit.actor import acting, current
from workflows.db.locks import Contention
from workflows.files import InvalidFile, NotBroughtIn, Plan
from workflows.guards import count
from workflows.management.command import ExampleCommand
from workflows.management.import_differences import plan_data, plan_lines
from workflows.management.lookup import user_named
from workflows.management.progress import at_work
from workflows.management.refusal_output import refusal_data, refusal_lines

LISTED = 200
PROBLEMS = 20


class Command(ExampleCommand):
    """Show what a file of workflows would change; with ``--apply``, change it."""

    help = (
        "Compare a file of export_workflows with what is here, and show what differs. Nothing is "
        "changed without --apply; then all of it is, or nothing. What a guard refuses is refused "
        "either way, with what stands in the way and what helps; exit 1."
    )
    examples = """\
  manage.py import_workflows workflows.yaml                  what would change
  manage.py import_workflows workflows.yaml --apply --why "as reviewed"
  manage.py import_workflows workflows.yaml --match title    from another database
  manage.py export_workflows --json | manage.py import_workflows - --json | jq .workflows
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="YAML or JSON; - is stdin")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--apply", action="store_true", help="make it so: all of it, or nothing")
        which.add_argument(
            "--dry-run", action="store_true", help="only say what would be: the default"
        )
        parser.add_argument(
            "--match",
            choices=files.WAYS,
            default=files.CUID,
            help="what workflows and types are known by: cuid (default), or title and name",
        )
        parser.add_argument(
            "--allow-unknown",
            action="store_true",
            help="import workflows that name groups, users or secrets which do not exist here",
        )
        parser.add_argument("--why", default="", help="kept with the versions and in the audit log")
        parser.add_argument("--by", metavar="USERNAME", help="the user who imports them")
        parser.add_argument("--all", action="store_true", help=f"list more than {LISTED} lines")
        parser.add_argument("--json", action="store_true", help="print what came of it as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        user = user_named(options["by"])
        told: dict[str, Any] = {"file": options["file"], "applied": False}
        with ExitStack() as stack:
            if user is not None:
                stack.enter_context(acting(replace(current(), user=lambda: user)))
            try:
                with at_work(f"Reading {options['file']}") as shown:
                    file = files.read(_bytes_of(options["file"]))
                    shown(f"Comparing {count(len(file.workflows), 'workflow')}")
                    plan = files.bring_in(
                        file,
                        match=options["match"],
                        apply=options["apply"],
                        by=user,
                        why=options["why"],
                        told=shown,
                        allow_unknown=options["allow_unknown"],
                    )
            except InvalidFile as invalid:
                raise self._invalid(invalid, told, options) from None
            except NotBroughtIn as stopped:
                raise self._refused(stopped, file, told, options) from None
            except Contention as busy:
                raise CommandError(f"{busy} Nothing has been imported.") from None
            except KeyboardInterrupt:
                raise CommandError(
                    "Interrupted. All of it is imported, or nothing: run it again to see."
                ) from None
        told["applied"] = options["apply"]
        self._tell(plan, told, options)

    def _tell(self, plan: Plan, told: dict[str, Any], options: dict[str, Any]) -> None:
        plan.notes += missing_secrets(plan.items)
        if options["json"]:
            self._write_json({**told, **plan_data(plan)})
            return
        self._write_plan(plan, options)
        if plan.is_empty:
            self.stdout.write("All of it is in place: unchanged.")
        elif options["apply"]:
            self.stdout.write("Imported.")
        else:
            self.stdout.write("Nothing has been changed; with --apply it is.")

    def _write_plan(self, plan: Plan, options: dict[str, Any]) -> None:
        lines = list(plan_lines(plan))
        limit = None if options["all"] else LISTED
        for line in lines[:limit]:
            self.stdout.write(line)
        if limit is not None and len(lines) > limit:
            self.stdout.write(f"… and {len(lines) - limit} more lines (--all lists them).")

    def _write_json(self, data: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))

    def _invalid(
        self, invalid: InvalidFile, told: dict[str, Any], options: dict[str, Any]
    ) -> CommandError:
        problems = invalid.problems
        if options["json"]:
            self._write_json({**told, "problems": [asdict(row) for row in problems]})
        shown = problems if options["all"] else problems[:PROBLEMS]
        more = len(problems) - len(shown)
        lines = [str(row) for row in shown]
        lines += [f"… and {more} more (--all lists them)."] if more else []
        return CommandError("\n".join([f"{options['file']} is not imported.", *lines]))

    def _refused(
        self,
        stopped: NotBroughtIn,
        file: files.WorkflowFile,
        told: dict[str, Any],
        options: dict[str, Any],
    ) -> CommandError:
        names = [f"“{item.title}” ({item.cuid})" for item in stopped.items]
        line = files.line_of(file.lines, stopped.pointer)
        place = f", line {line}" if names and line else ""
        if options["json"]:
            at = {
                "workflows": [item.cuid for item in stopped.items],
                "pointer": stopped.pointer,
                "line": line,
            }
            refused = {**refusal_data(stopped.refusal), "at": at}
            self._write_json({**told, **plan_data(stopped.plan), "refused": refused})
            return CommandError(stopped.refusal.message)
        self._write_plan(stopped.plan, options)
        what = f"{', '.join(names)}{place}: " if names else ""
        lines = list(refusal_lines(stopped.refusal))
        return CommandError("\n".join([f"Nothing is imported. {what}{lines[0]}", *lines[1:]]))


def _bytes_of(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CommandError(f"{path} cannot be read: {reason}.") from None
