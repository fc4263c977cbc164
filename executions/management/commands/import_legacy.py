"""``manage.py import_legacy``: import data of an older system."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from executions.legacy_import import InvalidLegacyFile, Report, import_legacy
from workflows.db.json_values import parse_json
from workflows.db.locks import Contention
from workflows.guards import count
from workflows.management.command import ExampleCommand
from workflows.management.line_limit import LISTED, limit_lines
from workflows.management.lookup import find_user
from workflows.management.progress import show_progress
from workflows.management.refusal_output import format_refusal, serialize_refusal
from workflows.refusals import Refusal

NOTHING_IMPORTED = "Nothing was imported."
_PLURALS = {"entity": "entities"}


class Command(ExampleCommand):
    """Import workflows, entities and executions of an older system, all or nothing."""

    help = (
        "Import finding types, workflows, entities and executions of an older system from a JSON "
        "file (format: docs/reference/legacy-file.md). Each version gets the type that its "
        "executions started with, so that stranded executions can continue. A later type becomes a "
        "pending change. Lists undecided rows with the possible decisions, imports nothing then, "
        "and exits with 1. A second run changes nothing."
    )
    examples = """\
  manage.py import_legacy old.json --dry-run              only report
  manage.py import_legacy old.json
  manage.py import_legacy old.json --context 4="Model Limitation"
  manage.py import_legacy old.json --leave-out-undecided --json
  generate_dump | manage.py import_legacy -               read standard input
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the JSON file; - for standard input")
        parser.add_argument(
            "--context",
            action="append",
            default=[],
            type=_parse_context,
            metavar="WORKFLOW=TYPE",
            help="the type of a workflow and of all workflows connected with it, by old ids or the "
            "name of the type",
        )
        parser.add_argument(
            "--leave-out-undecided",
            action="store_true",
            help="import the workflows that are not connected with undecided rows",
        )
        parser.add_argument("--by", metavar="USERNAME", help="the user who imports")
        parser.add_argument("--dry-run", action="store_true", help="only report")
        parser.add_argument("--all", action="store_true", help=f"list more than {LISTED} lines")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        by = find_user(options["by"])
        data = _read(options["file"])
        result: dict[str, Any] = {"dry_run": options["dry_run"]}
        try:
            with show_progress("Reading the file") as on_progress:
                report = import_legacy(
                    data,
                    contexts=dict(options["context"]),
                    leave_out_undecided=options["leave_out_undecided"],
                    by=by,
                    dry_run=options["dry_run"],
                    on_progress=on_progress,
                )
        except InvalidLegacyFile as error:
            if options["json"]:
                result["problems"] = [
                    {"pointer": pointer, "detail": detail} for pointer, detail in error.problems
                ]
                self._print(result)
            lines = [f"{at or 'top level'}: {detail}" for at, detail in error.problems]
            listed = limit_lines(lines, None if options["all"] else LISTED)
            raise CommandError("\n  ".join([f"{error} {NOTHING_IMPORTED}", *listed])) from None
        except Refusal as refusal:
            if options["json"]:
                self._print({**result, "refused": serialize_refusal(refusal)})
            lines = [*format_refusal(refusal), NOTHING_IMPORTED]
            raise CommandError("\n".join(lines)) from None
        except Contention as busy:
            raise CommandError(f"{busy} {NOTHING_IMPORTED}") from None
        except KeyboardInterrupt:
            raise CommandError(f"Interrupted. {NOTHING_IMPORTED}") from None
        if options["json"]:
            self._print({**result, **asdict(report)})
        else:
            limit = None if options["all"] else LISTED
            for line in _lines(report, limit, dry_run=options["dry_run"]):
                self.stdout.write(line)
        if report.undecided:
            raise CommandError(_summary(report, dry_run=options["dry_run"]))

    def _print(self, data: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))


def _summary(report: Report, *, dry_run: bool) -> str:
    rows = count(len(report.undecided), "row")
    if not report.done:
        return f"{rows} undecided. {NOTHING_IMPORTED}"
    return f"{rows} undecided. The other rows {'would be' if dry_run else 'were'} imported."


def _lines(report: Report, limit: int | None, *, dry_run: bool) -> Iterator[str]:
    would = "would be " if dry_run else ""
    if report.imported:
        yield f"{would}imported: {_counted(report.imported)}."
    yield from limit_lines(
        [
            f"{would}retyped: {row.model} {row.id} “{row.title}” ({row.cuid}) has “{row.type}”, "
            f"{'as chosen' if row.chosen else 'as its live executions'}, instead of “{row.later}”."
            for row in report.retyped
        ],
        limit,
    )
    yield from limit_lines(
        [
            f"stranded, {'would continue' if dry_run else 'continues'}: execution {row.id} "
            f"({row.cuid}) of “{row.workflow}”. {row.why} Current steps: "
            f"{', '.join(row.current_steps) or 'none'}."
            for row in report.resumed
        ],
        limit,
    )
    outcomes = {"on_hold": "put on hold", "applied": "applied", "refused": "not put on hold"}
    for later in report.later_types:
        titles = ", ".join(f"“{title}”" for title in later.workflows)
        cuid = f" ({later.cuid})" if later.cuid and not dry_run else ""
        outcome = f"{would}{outcomes[later.outcome]}{cuid}"
        yield f"{outcome}: change of {titles} to “{later.type}”. {later.detail}"
    yield from limit_lines(
        [
            f"undecided: {row.model} {row.id} ({row.pointer}): {row.detail}\n"
            f"    What you can do: {row.remedy}"
            for row in report.undecided
        ],
        limit,
    )
    if report.skipped and report.done:
        yield f"skipped: {_counted(report.skipped)}."
    if report.existing:
        unchanged = "" if report.imported or report.undecided else " Nothing was changed."
        yield f"already imported: {_counted(report.existing)}.{unchanged}"
    if not (report.imported or report.existing or report.undecided):
        yield "The file contains nothing to import."


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(
        f"{number} {_PLURALS[model]}" if model in _PLURALS and number != 1 else count(number, model)
        for model, number in counts.items()
    )


def _parse_context(text: str) -> tuple[str, str]:
    workflow, separator, type_name = text.partition("=")
    if not (workflow and separator and type_name):
        raise ArgumentTypeError('Use WORKFLOW=TYPE, for example 4="Model Limitation".')
    return workflow, type_name


def _read(name: str) -> Any:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{name} is not UTF-8 text.") from None
    try:
        return parse_json(text)
    except RecursionError:
        raise CommandError(f"{name} is nested too deeply.") from None
    except ValueError as error:
        raise CommandError(f"{name} is not valid JSON: {error}.") from None
