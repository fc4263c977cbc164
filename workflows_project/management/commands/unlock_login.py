"""``manage.py unlock_login``: unlock accounts and addresses after failed logins."""

from __future__ import annotations

import json
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser
from django.db.models import Q

from workflows.db import clock
from workflows.management.command import ExampleCommand
from workflows.values.moments import format_moment
from workflows_project.auth import login_limits
from workflows_project.models import FailedLogins


class Command(ExampleCommand):
    """List what is locked, or unlock it."""

    help = (
        "Unlock accounts and addresses after too many failed logins. Without a name, list what is "
        "locked."
    )
    examples = """\
  manage.py unlock_login                      list what is locked
  manage.py unlock_login anna 192.0.2.7       unlock an account and an address
  manage.py unlock_login --all
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "names", nargs="*", metavar="NAME", help="names of accounts, or IP addresses"
        )
        parser.add_argument("--all", action="store_true", help="unlock everything that is locked")
        parser.add_argument("--dry-run", action="store_true", help="only report")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        names, now = options["names"], clock.now()
        if names and options["all"]:
            raise CommandError("Name accounts and addresses, or use --all.", returncode=2)
        rows = _find(names) if names else list(login_limits.locked_rows(now).order_by("name"))
        is_list = not names and not options["all"]
        if not is_list and not options["dry_run"]:
            login_limits.unlock(rows)
        verb = "locked" if is_list else "would be unlocked" if options["dry_run"] else "unlocked"
        listed = [_describe(row, now) for row in rows]
        if options["json"]:
            self.stdout.write(json.dumps({"dry_run": options["dry_run"], "rows": listed}, indent=2))
            return
        for row in listed:
            until = f" until {row['until']}" if is_list else ""
            self.stdout.write(f"{row['scope']} {row['name']}: {verb}{until}.")
        if not rows:
            self.stdout.write("Nothing is locked.")


def _find(names: list[str]) -> list[FailedLogins]:
    """Return the counts of these accounts and addresses.

    Raises:
        CommandError: a login of none of them has failed.
    """
    found: list[FailedLogins] = []
    for name in names:
        keys = {login_limits.account_key(name), login_limits.address_key(name) or name}
        rows = FailedLogins.objects.filter(Q(name__in=keys)).order_by("scope")
        if not rows:
            raise CommandError(f"“{name}” has no failed logins.")
        found += rows
    return found


def _describe(row: FailedLogins, now: Any) -> dict[str, Any]:
    until = login_limits.locked_until(row, now)
    return {
        "scope": row.scope,
        "name": row.name,
        "failures": row.failures,
        "until": format_moment(until) if until else None,
    }
