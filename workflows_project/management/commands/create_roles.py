"""``manage.py create_roles``: create the groups of the roles."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from workflows.management.command import ExampleCommand
from workflows_project.auth import roles


class Command(ExampleCommand):
    """Create missing groups of roles, and report how existing groups differ from their roles."""

    help = (
        "Create missing groups of the roles. Report how existing groups differ from their roles. "
        "With --reset, change existing groups back to their roles."
    )
    examples = """\
  manage.py create_roles                      create missing groups, report differences
  manage.py create_roles --dry-run            only report
  manage.py create_roles --reset operator     change the group back to its role
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "roles",
            nargs="*",
            metavar="ROLE",
            help=f"one of {', '.join(roles.ROLES)}; all if none is given",
        )
        parser.add_argument(
            "--reset", action="store_true", help="also change existing groups back to their roles"
        )
        parser.add_argument("--dry-run", action="store_true", help="only report")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        names = options["roles"] or list(roles.ROLES)
        if unknown := [name for name in names if name not in roles.ROLES]:
            raise CommandError(
                f"“{unknown[0]}” is not a role. Choose from: {', '.join(roles.ROLES)}."
            )
        found = roles.find_differences(names)
        changed = [row for row in found if row.is_missing or options["reset"]]
        if not options["dry_run"]:
            roles.reset_groups(changed)
        if options["json"]:
            data = {
                "dry_run": options["dry_run"],
                "changed": [asdict(row) for row in changed],
                "unchanged": [asdict(row) for row in found if row not in changed],
            }
            self.stdout.write(json.dumps(data, indent=2))
            return
        for row in found:
            self._write(row, is_changed=row in changed, is_dry_run=options["dry_run"])
        if not found:
            self.stdout.write("All groups match their roles.")

    def _write(self, row: roles.Difference, *, is_changed: bool, is_dry_run: bool) -> None:
        if row.is_missing:
            verb = "would be created" if is_dry_run else "created"
            self.stdout.write(f"{row.role}: {verb}, with {len(row.lacks)} permissions.")
            return
        verb = "unchanged"
        if is_changed:
            verb = "would be reset" if is_dry_run else "reset"
        self.stdout.write(f"{row.role}: differs from its role, {verb}.")
        for sign, names in (("-", row.lacks), ("+", row.has_more)):
            for name in names:
                self.stdout.write(f"    {sign} {name}")
