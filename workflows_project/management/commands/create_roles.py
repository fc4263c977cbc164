"""``manage.py create_roles``: the groups of the roles, made where they are missing."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from workflows.management.command import ExampleCommand
from workflows_project.auth import roles


class Command(ExampleCommand):
    """Make the groups that are missing, and say where others differ from their roles."""

    help = (
        "Make the groups of the roles where they are missing. A group that is there is left as it "
        "is, and what it has less or more than its role is told; --reset makes it its role again."
    )
    examples = """\
  manage.py create_roles                      make what is missing, tell what differs
  manage.py create_roles --dry-run            only say what would be made
  manage.py create_roles --reset operator     give and take until the group is the role
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "roles", nargs="*", metavar="ROLE", help=f"of {', '.join(roles.ROLES)}; all if not said"
        )
        parser.add_argument(
            "--reset", action="store_true", help="change groups that are there, too"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument("--json", action="store_true", help="tell it as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        names = options["roles"] or list(roles.ROLES)
        if unknown := [name for name in names if name not in roles.ROLES]:
            raise CommandError(f"“{unknown[0]}” is no role: {', '.join(roles.ROLES)}.")
        found = roles.differences(names)
        changed = [row for row in found if row.is_missing or options["reset"]]
        if not options["dry_run"]:
            roles.put_right(changed)
        if options["json"]:
            told = {
                "dry_run": options["dry_run"],
                "changed": [asdict(row) for row in changed],
                "left": [asdict(row) for row in found if row not in changed],
            }
            self.stdout.write(json.dumps(told, indent=2))
            return
        for row in found:
            self._tell(row, is_changed=row in changed, is_tried=options["dry_run"])
        if not found:
            self.stdout.write("The groups are what their roles are.")

    def _tell(self, row: roles.Difference, *, is_changed: bool, is_tried: bool) -> None:
        if row.is_missing:
            verb = "would be made" if is_tried else "made"
            self.stdout.write(f"{row.role}: {verb}, with {len(row.lacks)} permissions.")
            return
        verb = "left as it is"
        if is_changed:
            verb = "would be reset" if is_tried else "reset"
        self.stdout.write(f"{row.role}: differs from its role, {verb}.")
        for sign, listed in (("-", row.lacks), ("+", row.has_more)):
            for name in listed:
                self.stdout.write(f"    {sign} {name}")
