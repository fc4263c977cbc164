"""``manage.py load_examples``: create the example workflows."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from workflows.audit.actor import act_as, current
from workflows.db.locks import Contention
from workflows.files import ImportRefusal
from workflows.files.examples import NAMES, ExampleClash, load_examples
from workflows.management.command import ExampleCommand
from workflows.management.lookup import find_user
from workflows.management.refusal_output import format_refusal, serialize_refusal


class Command(ExampleCommand):
    """Create the workflows of the examples that do not exist yet: all or nothing."""

    help = (
        "Create example workflows with their finding type and record type: all or nothing. "
        "Workflows that were loaded before are not changed. Exits with 1 if another record has "
        "the name of an example, or if a guard refuses the import."
    )
    examples = """\
  manage.py load_examples                        load all examples
  manage.py load_examples validation exception   load two of them
  manage.py load_examples --dry-run --json       only report, as JSON
"""
    interrupted = "Interrupted. All examples were loaded, or none. Run the command again to check."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "names",
            metavar="NAME",
            nargs="*",
            help=f"the examples to load; all by default: {', '.join(NAMES)}",
        )
        parser.add_argument("--by", metavar="USERNAME", help="the user who loads them")
        parser.add_argument("--dry-run", action="store_true", help="only report")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        names = options["names"] or NAMES
        if unknown := [name for name in names if name not in NAMES]:
            raise CommandError(
                f"Unknown example: {', '.join(unknown)}. Choose from {', '.join(NAMES)}.",
                returncode=2,
            )
        user, is_dry = find_user(options["by"]), options["dry_run"]
        result: dict[str, Any] = {"dry_run": is_dry, "examples": [*names], "created": []}
        acting = nullcontext() if user is None else act_as(replace(current(), user=lambda: user))
        try:
            with acting:
                created = load_examples(names, apply=not is_dry, by=user)
        except ExampleClash as clash:
            self._write(options, {**result, "clash": str(clash)})
            raise CommandError(f"Nothing was loaded. {clash}") from None
        except ImportRefusal as error:
            self._write(options, {**result, "refused": serialize_refusal(error.refusal)})
            lines = "\n".join(format_refusal(error.refusal))
            raise CommandError(f"Nothing was loaded. {lines}") from None
        except Contention as busy:
            raise CommandError(f"{busy} Nothing was loaded.") from None
        result["created"] = [{"cuid": row.cuid, "title": row.title} for row in created]
        self._write(options, result)
        if options["json"]:
            return
        for row in created:
            self.stdout.write(f"+ workflow “{row.title}” ({row.cuid})")
        if not created:
            self.stdout.write("The examples were loaded before. Nothing was changed.")
        else:
            self.stdout.write("Nothing was changed." if is_dry else "Loaded.")

    def _write(self, options: dict[str, Any], result: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(result, indent=2, ensure_ascii=False))
