"""``manage.py doctor``: check an installation."""

from __future__ import annotations

import json
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from workflows.guards import count
from workflows.management.command import COULD_NOT_RUN, ExampleCommand
from workflows_project.ops import diagnosis, readiness


class Command(ExampleCommand):
    """Run every check of an installation, and print one line for each."""

    help = (
        "Check the installation: configuration, database, migrations, triggers, pooler, worker, "
        "secrets key, static files, broker and mail. Prints one line for each check."
    )
    examples = """\
  manage.py doctor                            run all checks
  manage.py doctor --exclude mail             without the mail server
  manage.py doctor --json | jq -r '.checks[] | select(.fault) | .name'
"""
    # The check of the configuration reports them.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--exclude",
            action="append",
            default=[],
            metavar="CHECK",
            choices=[check.name for check in diagnosis.CHECKS],
            help=f"leave out: {', '.join(check.name for check in diagnosis.CHECKS)}; repeatable",
        )
        parser.add_argument("--json", action="store_true", help="print the results as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        results: list[readiness.Result] = []
        for result in readiness.run_checks(options["exclude"], diagnosis.CHECKS):
            results.append(result)
            if not options["json"]:
                self.stdout.write(result.text)
        if options["json"]:
            data = {"checks": [_serialize(result) for result in results]}
            self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))
        if skipped := sum(result.is_skipped for result in results):
            raise CommandError(
                f"{count(skipped, 'check')} could not run: the database cannot be used.",
                returncode=COULD_NOT_RUN,
            )
        if faults := sum(result.fault is not None for result in results):
            raise CommandError(f"{count(faults, 'fault')} found.")


def _serialize(result: readiness.Result) -> dict[str, Any]:
    fault = result.fault
    return {
        "name": result.name,
        "skipped": result.is_skipped,
        "fault": fault.detail if fault else "",
        "error": result.error,
        "remedy": fault.remedy if fault else "",
    }
