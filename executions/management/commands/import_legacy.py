"""``manage.py import_legacy``: brings over an older system whose executions could be stuck."""

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

from executions.legacy_import import Malformed, Report, import_legacy
from workflows.db.json_values import parse_json
from workflows.db.locks import Contention
from workflows.guards import count
from workflows.management.command import ExampleCommand
from workflows.management.lookup import user_named
from workflows.management.progress import at_work
from workflows.management.refusal_output import refusal_data, refusal_lines
from workflows.refusals import Refusal

LISTED = 200
_PLURALS = {"entity": "entities"}


class Command(ExampleCommand):
    """Bring over workflows, entities and executions of an older system: all or nothing."""

    help = (
        "Bring over finding types, workflows, entities and executions from a JSON file (its "
        "layout: docs/legacy-import.md). Each version gets the type that what runs on it began "
        "with; executions that were stuck go on; a type that was given meanwhile is put on hold "
        "until they have ended. What could not be decided is listed, with the choice that there "
        "is, and nothing is brought in then; exit 1. A second run finds all of it there."
    )
    examples = """\
  manage.py import_legacy old.json --dry-run              what would come of it
  manage.py import_legacy old.json
  manage.py import_legacy old.json --context 4="Model Limitation"
  manage.py import_legacy old.json --leave-out-undecided --json
  generate_dump | manage.py import_legacy -               from standard input
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the JSON file; - for standard input")
        parser.add_argument(
            "--context",
            action="append",
            default=[],
            type=_chosen,
            metavar="WORKFLOW=TYPE",
            help="the type of a workflow, and of all that it stands together with, by old ids or "
            "the type's name; where the file does not prove it, or proves another",
        )
        parser.add_argument(
            "--leave-out-undecided",
            action="store_true",
            help="bring in the rest: workflows that nothing undecided hangs together with",
        )
        parser.add_argument("--by", metavar="USERNAME", help="the user who brings it over")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument("--all", action="store_true", help=f"list more than {LISTED} lines")
        parser.add_argument("--json", action="store_true", help="print all of it as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        by = user_named(options["by"])
        data = _read(options["file"])
        told: dict[str, Any] = {"dry_run": options["dry_run"]}
        try:
            with at_work("Reading the file") as telling:
                report = import_legacy(
                    data,
                    contexts=dict(options["context"]),
                    leave_out_undecided=options["leave_out_undecided"],
                    by=by,
                    dry_run=options["dry_run"],
                    told=telling,
                )
        except Malformed as error:
            if options["json"]:
                told["malformed"] = [
                    {"pointer": pointer, "detail": detail} for pointer, detail in error.problems
                ]
                self._print(told)
            lines = [f"{at or 'the top'}: {detail}" for at, detail in error.problems]
            shown = _cut(lines, None if options["all"] else LISTED)
            raise CommandError("\n  ".join([f"{error} Nothing is brought in.", *shown])) from None
        except Refusal as refusal:
            if options["json"]:
                self._print({**told, "refused": refusal_data(refusal)})
            lines = [*refusal_lines(refusal), "Nothing is brought in."]
            raise CommandError("\n".join(lines)) from None
        except Contention as busy:
            raise CommandError(f"{busy} Nothing is brought in.") from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Nothing is brought in.") from None
        if options["json"]:
            self._print({**told, **asdict(report)})
        else:
            limit = None if options["all"] else LISTED
            for line in _lines(report, limit, dry_run=options["dry_run"]):
                self.stdout.write(line)
        if report.undecided:
            verb = "would be" if options["dry_run"] else "is"
            came = f"the rest {verb} brought in" if report.done else "nothing is brought in"
            raise CommandError(f"{count(len(report.undecided), 'row')} undecided; {came}.")

    def _print(self, data: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))


def _lines(report: Report, limit: int | None, *, dry_run: bool) -> Iterator[str]:
    would = "would be " if dry_run else ""
    if report.brought:
        yield f"{would}brought in: {_counted(report.brought)}."
    yield from _cut(
        [
            f"{would}taken back: {row.kind} {row.id} “{row.title}” ({row.cuid}) has “{row.type}”, "
            f"{'as was chosen' if row.chosen else 'with which what runs began'}; in the file it "
            f"has “{row.later}”."
            for row in report.taken_back
        ],
        limit,
    )
    yield from _cut(
        [
            f"was stuck, {'would go' if dry_run else 'goes'} on: execution {row.id} ({row.cuid}) "
            f"of “{row.workflow}”. {row.why} It stands at {', '.join(row.stands) or 'its end'}."
            for row in report.revived
        ],
        limit,
    )
    words = {"on_hold": "put on hold", "made": "made", "not_made": "NOT put on hold"}
    for later in report.later:
        titles = ", ".join(f"“{title}”" for title in later.workflows)
        named = f" ({later.cuid})" if later.cuid and not dry_run else ""
        yield f"{would}{words[later.outcome]}{named}: {titles} to “{later.type}”. {later.detail}"
    yield from _cut(
        [
            f"undecided: {row.kind} {row.id} ({row.pointer}): {row.detail}\n"
            f"    what helps: {row.choice}"
            for row in report.undecided
        ],
        limit,
    )
    if report.left_out and report.done:
        yield f"left out: {_counted(report.left_out)}."
    if report.known:
        nothing = "" if report.brought or report.undecided else " Nothing is done."
        yield f"in already: {_counted(report.known)}.{nothing}"
    if not (report.brought or report.known or report.undecided):
        yield "The file holds nothing to bring in."


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(
        f"{number} {_PLURALS[kind]}" if kind in _PLURALS and number != 1 else count(number, kind)
        for kind, number in counts.items()
    )


def _cut(lines: list[str], limit: int | None) -> Iterator[str]:
    yield from lines[:limit]
    if limit is not None and len(lines) > limit:
        yield f"… and {len(lines) - limit} more (--all lists them)."


def _chosen(text: str) -> tuple[str, str]:
    workflow, separator, kind = text.partition("=")
    if not (workflow and separator and kind):
        raise ArgumentTypeError('WORKFLOW=TYPE, e.g. 4="Model Limitation"')
    return workflow, kind


def _read(name: str) -> Any:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{name} is no UTF-8 text.") from None
    try:
        return parse_json(text)
    except RecursionError:
        raise CommandError(f"{name} is nested too deeply.") from None
    except ValueError as error:
        raise CommandError(f"{name} is no JSON: {error}.") from None
