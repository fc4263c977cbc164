"""``manage.py quickstart``: from nothing to the report's scenario, played and served."""

from __future__ import annotations

import json
import secrets
import socket
from argparse import ArgumentTypeError
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.core.management.base import CommandParser
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from executions import demo, services
from executions.models import Execution
from workflows.locks import Contention
from workflows.management.command import ExampleCommand
from workflows.management.printing import refusal_data, refusal_lines
from workflows.models import FindingType, Workflow
from workflows.refusals import Refusal
from workflows.services import change_entity_context

HOST = "127.0.0.1"


class Command(ExampleCommand):
    """Migrate, make the demo data and an operator, play the report's scenario, and serve."""

    help = "Set Holdfast up with demo data, play the scenario of the report, and serve the admin."
    examples = """\
  manage.py quickstart                        set up, play the scenario, serve on port 8000
  manage.py quickstart --no-serve --json      set up and play; the story as JSON
  manage.py quickstart --port 8080 --username alice --password s3cret
"""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="stop after the scenario")
        parser.add_argument("--port", type=_port, default=8000, help="to serve on (8000)")
        parser.add_argument("--username", default="operator", help="of the operator account")
        parser.add_argument("--password", help="of the operator; made up and printed if not given")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument("--json", action="store_true", help="tell the story as JSON")
        parser.add_argument(
            "--force", action="store_true", help="run although the database holds other data"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json: bool = options["json"]
        self.story: list[dict[str, Any]] = []
        serve = not options["no_serve"] and not options["dry_run"]
        if serve:
            _require_free(options["port"])
        pending = self._look(options["force"])
        if options["dry_run"]:
            self._say(
                "would",
                f"Would apply {pending} migrations, make what is missing of the demo data and of "
                f"the account “{options['username']}”, and play the scenario.",
                migrations=pending,
            )
            self._print_json()
            return
        if pending:
            call_command("migrate", verbosity=0, interactive=False)
            self._say("migrated", f"Applied {pending} migrations.", migrations=pending)
        self._account(options["username"], options["password"])
        scenario, made = demo.make()
        self._say(
            "data", "Made: " + ", ".join(made) if made else "The demo data is there.", made=made
        )
        self._play(scenario)
        self._print_json()
        if serve:
            self.stdout.write(f"\nServing on http://{HOST}:{options['port']}/admin/ (Ctrl-C ends)")
            self.stdout.flush()
            call_command("runserver", f"{HOST}:{options['port']}", use_reloader=False)

    def _look(self, force: bool) -> int:
        """How many migrations are pending. Refuses a database that holds other data."""
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
                f"The database holds {len(tables)} tables of something else. Point DATABASE_URL "
                "at an empty one, or run with --force."
            )
        others = demo.other_data() if ours and not pending else []
        if others:
            raise CommandError(
                f"The database holds other data ({', '.join(others)}). Point DATABASE_URL at an "
                "empty one, or run with --force: nothing that is there will be changed."
            )
        return pending

    def _account(self, username: str, password: str | None) -> None:
        users = get_user_model()
        user = users._default_manager.filter(username=username).first()
        if user is None:
            password = password or secrets.token_urlsafe(12)
            users._default_manager.create_superuser(username=username, password=password)
            self._say(
                "account",
                f"Operator account: {username}, password: {password}",
                username=username,
                password=password,
            )
        elif password:
            user.set_password(password)
            user.save(update_fields=["password"])
            self._say("account", f"Operator account: {username}, with the password that you gave.")
        else:
            self._say("account", f"Operator account: {username}, with the password that it has.")

    def _play(self, scenario: demo.Demo) -> None:
        caller, callee, finding = scenario.caller, scenario.callee, scenario.finding
        try:
            execution = self._begin(caller, finding)
            self._refused(1, caller, scenario.exception)
            self._refused(2, callee, scenario.exception)
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
                "Nothing is running on them now: changed together, both types would be accepted.",
            )
        except (Refusal, Contention) as error:
            message = error.message if isinstance(error, Refusal) else str(error)
            raise CommandError(
                f"The scenario cannot be played on the demo data as it is now: {message}"
            ) from error

    def _begin(self, caller: Workflow, finding: Any) -> Execution:
        # One that an interrupted run has left waiting is taken up again.
        execution = caller.executions.live().filter(entity=finding).order_by("pk").first()
        if execution is None:
            execution = services.start(caller, finding)
        self._say(
            "started",
            f"Started “{caller}” on “{finding}”: execution {execution.cuid} is "
            f"{execution.status} at its form.",
            execution=execution.cuid,
            status=execution.status,
        )
        return execution

    def _refused(self, guard: int, workflow: Workflow, kind: FindingType) -> None:
        attempt = f"Changing the finding type of “{workflow}” to {kind}"
        try:
            change_entity_context([workflow], entity_name_type=kind)
        except Refusal as refusal:
            self._say("refused", f"{attempt}: refused.", guard=guard, **refusal_data(refusal))
            if not self.as_json:
                for line in refusal_lines(refusal):
                    self.stdout.write(f"     {line}")
        else:
            raise CommandError(f"{attempt} was accepted under a live execution.")

    def _say(self, event: str, text: str, **data: Any) -> None:
        if self.as_json:
            self.story.append({"event": event, "text": text, **data})
        else:
            self.stdout.write(f"  -> {text}")

    def _print_json(self) -> None:
        if self.as_json:
            self.stdout.write(json.dumps({"story": self.story}, indent=2, ensure_ascii=False))


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ArgumentTypeError(f"{text!r} is not a port: a number from 1 to 65535.")
    return int(text)


def _require_free(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} cannot be served on ({error.strerror}); choose another with --port."
            ) from error
