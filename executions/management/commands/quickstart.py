"""``manage.py quickstart``: set up demo data and serve it."""

from __future__ import annotations

import json
import secrets
import socket
import threading
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.core.management.base import CommandParser
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from executions import demo, services
from executions.models import Execution, Finding
from executions.worker.service import Worker
from workflows.db.locks import Contention
from workflows.editing import change_entity_context
from workflows.management.command import ExampleCommand
from workflows.management.refusal_output import format_refusal, serialize_refusal
from workflows.models import FindingType, Workflow
from workflows.refusals import Refusal

HOST = "127.0.0.1"


class Command(ExampleCommand):
    """Migrate, create the demo data and accounts, play the scenario once, serve and work."""

    help = (
        "Set up Holdfast with demo data, play a scenario in which two changes of finding type are "
        "refused, serve the admin, and run a worker."
    )
    examples = """\
  manage.py quickstart                        set up, play the scenario, serve on port 8000
  manage.py quickstart --no-serve --json      set up, play the scenario, print events as JSON
  manage.py quickstart --port 8080 --username alice --password s3cret
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="stop after the scenario")
        parser.add_argument(
            "--port", type=_port, default=8000, help="port of the server (default: 8000)"
        )
        parser.add_argument("--username", default="operator", help="superuser (default: operator)")
        parser.add_argument("--password", help="password (default: generate and print one)")
        parser.add_argument("--dry-run", action="store_true", help="print what would be done")
        parser.add_argument("--json", action="store_true", help="print the events as JSON")
        parser.add_argument(
            "--force", action="store_true", help="run although the database has other data"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json: bool = options["json"]
        self.story: list[dict[str, Any]] = []
        if not settings.DEBUG:
            raise CommandError(
                "quickstart creates demo data and accounts with one password, which is for trying "
                "Holdfast out only. Set DEBUG=1."
            )
        serve = not options["no_serve"] and not options["dry_run"]
        if serve:
            _require_free(options["port"])
        pending = self._check_database(options["force"])
        if options["dry_run"]:
            accounts = dict.fromkeys([options["username"], *demo.ROLES])
            self._say(
                "would",
                f"Would apply {pending} migrations, create what is missing of the demo data and "
                f"of the accounts ({', '.join(accounts)}), and play the "
                "scenario unless it was played before.",
                migrations=pending,
            )
            self._print_json()
            return
        if pending:
            call_command("migrate", verbosity=0, interactive=False)
            self._say("migrated", f"Migrations applied: {pending}.", migrations=pending)
        self._create_accounts(options["username"], options["password"])
        scenario, made = demo.make()
        self._say(
            "data",
            f"Demo data created: {', '.join(made)}." if made else "Demo data: nothing to create.",
            made=made,
        )
        self._play_scenario(scenario)
        self._leave_waiting(scenario)
        self._print_json()
        if serve:
            address = f"http://{HOST}:{options['port']}"
            self.stdout.write(
                f"\nAdmin: {address}/admin/ (log in as {options['username']})"
                f"\nAPI:   {address}/api/v1/docs/\nA worker runs too. Press Ctrl-C to stop."
            )
            self.stdout.flush()
            with _running_worker():
                call_command("runserver", f"{HOST}:{options['port']}", use_reloader=False)

    def _check_database(self, force: bool) -> int:
        """Return the number of pending migrations.

        Raises:
            CommandError: if the database cannot be reached or, without ``force``, has other data.
        """
        try:
            tables = set(connection.introspection.table_names())
            executor = MigrationExecutor(connection)
        except DatabaseError as error:
            raise CommandError(f"The database cannot be reached: {error}".strip()) from error
        pending = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
        ours = {Workflow._meta.db_table, Execution._meta.db_table} <= tables
        if force:
            return pending
        if not ours and tables - {"django_migrations"}:
            raise CommandError(
                f"The database has {len(tables)} tables of another application. Set DATABASE_URL "
                "to an empty database, or run with --force."
            )
        # Data beside the demo data is what somebody has tried out since.
        is_other = ours and not pending and not demo.exists()
        others = demo.other_data() if is_other else []
        if others:
            raise CommandError(
                f"The database has other data ({', '.join(others)}). Set DATABASE_URL to an empty "
                "database, or run with --force: existing data is not changed."
            )
        return pending

    def _create_accounts(self, username: str, password: str | None) -> None:
        """Create the superuser and an account for each role; print a generated password once."""
        initial = password or secrets.token_urlsafe(12)
        users = get_user_model()
        user = users._default_manager.filter(username=username).first()
        if user is None:
            users._default_manager.create_superuser(username=username, password=initial)
            self._say(
                "account",
                f"Account created: {username}, password: {initial}",
                username=username,
                password=initial,
            )
        elif password:
            user.set_password(password)
            user.save(update_fields=["password"])
            self._say(
                "account", f"Account {username}: password changed as you asked.", username=username
            )
        else:
            self._say("account", f"Account {username}: password unchanged.", username=username)
        if made := demo.make_role_accounts(initial, [r for r in demo.ROLES if r != username]):
            self._say(
                "role_accounts",
                f"Accounts created for the roles: {', '.join(made)}, password: {initial}",
                usernames=made,
                password=initial,
            )

    def _play_scenario(self, scenario: demo.Demo) -> None:
        """Start, refuse two edits, submit and complete, unless that was done before."""
        caller, callee, finding = scenario.caller, scenario.callee, scenario.finding
        if caller.executions.filter(entity=finding, status=Execution.Status.COMPLETED).exists():
            self._say("played", "Scenario: played before, nothing is repeated.")
            return
        try:
            execution = self._start(caller, finding)
            self._expect_refusal(1, caller, scenario.exception)
            self._expect_refusal(2, callee, scenario.exception)
            execution = services.submit(
                execution,
                node="review",
                data={"comment": "Reviewed by the quickstart.", "severity": "medium"},
            )
            self._say(
                "submitted",
                f"Submitted the form: execution {execution.cuid} is {execution.status}"
                f" ({execution.children.count()} child execution of “{callee}”).",
                execution=execution.cuid,
                status=execution.status,
            )
            change_entity_context(
                [caller, callee], entity_name_type=scenario.exception, dry_run=True
            )
            self._say(
                "together",
                "No execution is live now: both finding types could be changed together.",
            )
        except (Refusal, Contention) as error:
            message = error.message if isinstance(error, Refusal) else str(error)
            raise CommandError(
                f"The scenario cannot be played on the demo data as it is now: {message}"
            ) from error

    def _leave_waiting(self, scenario: demo.Demo) -> None:
        """Start an execution whose form waits for the first login."""
        try:
            self._start(scenario.caller, scenario.waiting_finding)
        except Refusal as refusal:
            self._say("not_started", f"No execution was started: {refusal.message}")

    def _start(self, caller: Workflow, finding: Finding) -> Execution:
        """Return the live execution on this finding, started if there is none."""
        execution = caller.executions.live().filter(entity=finding).order_by("pk").first()
        verb = "Found"
        if execution is None:
            execution, verb = services.start(caller, finding), "Started"
        self._say(
            "started",
            f"{verb} “{caller}” on “{finding}”: execution {execution.cuid} is {execution.status}.",
            execution=execution.cuid,
            status=execution.status,
        )
        return execution

    def _expect_refusal(self, guard: int, workflow: Workflow, finding_type: FindingType) -> None:
        attempt = f"Changing the finding type of “{workflow}” to {finding_type}"
        try:
            change_entity_context([workflow], entity_name_type=finding_type)
        except Refusal as refusal:
            self._say("refused", f"{attempt}: refused.", guard=guard, **serialize_refusal(refusal))
            if not self.as_json:
                for line in format_refusal(refusal):
                    self.stdout.write(f"     {line}")
        else:
            raise CommandError(f"{attempt} was accepted although an execution is live.")

    def _say(self, event: str, text: str, **data: Any) -> None:
        if self.as_json:
            self.story.append({"event": event, "text": text, **data})
        else:
            self.stdout.write(f"  -> {text}")

    def _print_json(self) -> None:
        if self.as_json:
            self.stdout.write(json.dumps({"story": self.story}, indent=2, ensure_ascii=False))


@contextmanager
def _running_worker() -> Iterator[None]:
    """Run a worker in a thread, and stop it afterwards."""
    worker = Worker(threads=1, interval=2.0, health_file=None, report=lambda _: None)
    thread = threading.Thread(target=worker.run, name="worker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        worker.stopped.set()
        thread.join()


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ArgumentTypeError(f"{text!r} is not a port. Give a number from 1 to 65535.")
    return int(text)


def _require_free(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} is not available ({error.strerror}). Choose another one with --port."
            ) from error
