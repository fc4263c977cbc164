"""``manage.py move_executions``: move live executions to another version."""

from __future__ import annotations

import json
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser
from django.utils.translation import gettext

from executions.models import Execution
from executions.services.move_reports import report_move
from executions.services.moving import MoveResult
from executions.services.moving_many import find_unknown_keys, move_many, roots_of_workflow
from workflows.guards import count
from workflows.management.command import ExampleCommand
from workflows.management.line_limit import LISTED, limit_lines
from workflows.management.lookup import find_workflow
from workflows.management.progress import show_progress

ALREADY_THERE = "already_there"


class Command(ExampleCommand):
    """Move the live executions of a workflow, each tree in a transaction of its own."""

    help = (
        "Move the live executions of a workflow to another version, each with its child "
        "executions. Each tree is moved as a whole or, if something prevents it, not at all: then "
        "the reason is listed. You can interrupt the command and run it again: executions that "
        "have been moved are left alone."
    )
    examples = """\
  manage.py move_executions "Risk acceptance" --dry-run
  manage.py move_executions "Risk acceptance" --from 3 --to 5 --map assess=review
  manage.py move_executions WORKFLOW_CUID --restart call=call --why "The graph was wrong." --json
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("workflow", metavar="WORKFLOW", help="cuid or title of the workflow")
        parser.add_argument(
            "--from",
            type=int,
            dest="from_version",
            metavar="N",
            help="only the executions on this version; by default on any",
        )
        parser.add_argument(
            "--to", type=int, metavar="N", help="the version to move to; by default the latest"
        )
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="OLD=NEW",
            help="let open steps at the node OLD continue at the node NEW. For a workflow that is "
            "called, OLD is the cuid of the workflow, a slash and the node",
        )
        parser.add_argument(
            "--restart",
            action="append",
            default=[],
            metavar="OLD=NEW",
            help="close open steps at the node OLD, and enter the node NEW, of any type",
        )
        parser.add_argument(
            "--retime",
            action="store_true",
            help="compute due times again where the settings of the new node differ",
        )
        parser.add_argument("--why", default="", help="the reason, for the audit log")
        parser.add_argument("--dry-run", action="store_true", help="only report")
        parser.add_argument("--all", action="store_true", help=f"list more than {LISTED} lines")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        workflow = find_workflow(options["workflow"])
        roots = roots_of_workflow(workflow, options["from_version"])
        mapping: dict[str, Any] = dict(_pairs("--map", options["map"]))
        for old, new in _pairs("--restart", options["restart"]):
            mapping[old] = {"node": new, "restart_step": True}
        for number in filter(None, (options["from_version"], options["to"])):
            if not workflow.versions.filter(number=number).exists():
                raise CommandError(f"“{workflow.title}” has no version {number}.")
        if roots.exists() and (unknown := find_unknown_keys(mapping, roots)):
            raise CommandError(f"No live execution runs a version with the node “{unknown[0]}”.")
        values = {"to": options["to"], "mapping": mapping, "retime": options["retime"]}
        why = options["why"].strip() or gettext("Moved with manage.py move_executions.")
        results: list[MoveResult | tuple[Execution, str]] = []
        try:
            with show_progress("Moving executions") as on_progress:
                for result in move_many(roots, values, why=why, dry_run=options["dry_run"]):
                    results.append(result)
                    on_progress(count(len(results), "execution"))
        except KeyboardInterrupt:
            self._write(results, options)
            raise CommandError(
                "Interrupted. Executions that were moved stay moved. Run the command again for "
                "the rest."
            ) from None
        refused = self._write(results, options)
        if refused:
            raise CommandError(f"{count(refused, 'execution')} could not be moved.")

    def _write(
        self, results: list[MoveResult | tuple[Execution, str]], options: dict[str, Any]
    ) -> int:
        """Write the results; return the number of executions that could not be moved."""
        plans = [row for row in results if isinstance(row, MoveResult)]
        present = [row for row in plans if _is_present(row)]
        refused = [row for row in plans if row.plan.obstacles and not _is_present(row)]
        moved = [row for row in plans if not row.plan.obstacles]
        failed = [row for row in results if not isinstance(row, MoveResult)]
        if options["json"]:
            data = {
                "dry_run": options["dry_run"],
                "moved": [report_move(row) for row in moved],
                "refused": [report_move(row) for row in refused],
                "failed": [{"execution": row.cuid, "detail": why} for row, why in failed],
                "unchanged": [row.execution.cuid for row in present],
            }
            self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))
            return len(refused) + len(failed)
        verb = "would be moved" if options["dry_run"] else "moved"
        lines = [_moved_line(row, verb) for row in moved]
        lines += [line for row in refused for line in _refused_lines(row)]
        lines += [f"not moved: {row.cuid}: {why}" for row, why in failed]
        for line in limit_lines(lines, None if options["all"] else LISTED):
            self.stdout.write(line)
        summary = f"{count(len(moved), 'execution')} {verb}."
        if present:
            summary += f" {count(len(present), 'execution')} already there."
        self.stdout.write(summary)
        return len(refused) + len(failed)


def _pairs(option: str, texts: list[str]) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise CommandError(f"{option} needs OLD=NEW, not “{text}”.", returncode=2)
        pairs.append((old, new))
    return pairs


def _is_present(moved: MoveResult) -> bool:
    return any(row.code == ALREADY_THERE for row in moved.plan.obstacles)


def _moved_line(moved: MoveResult, verb: str) -> str:
    report = report_move(moved)
    steps = ", ".join(f"{row['node']} → {row['to_node']}" for row in report["mapped"])
    tail = f" ({steps})" if steps else ""
    return (
        f"{verb}: {report['execution']}: version {report['from_version']} → "
        f"{report['to_version']}{tail}"
    )


def _refused_lines(moved: MoveResult) -> list[str]:
    cuid = moved.execution.cuid
    return [
        f"not moved: {cuid}: {row.reason}\n    What you can do: {row.remedy}"
        for row in moved.plan.obstacles
    ]
