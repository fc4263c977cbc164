"""Databases of earlier releases are migrated, and their live executions reach their ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection

from executions import integrity, services
from executions.models import Execution, Status, Step, StepState
from workflows.db import write_once
from workflows.db.trigger_sql import TRIGGER_SQL

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,  # It runs all migrations since.
]

DUMPS = sorted({path.name.split(".")[0] for path in Path(__file__).parent.glob("*.sql")})
OBSOLETE = {
    "postgresql": (
        "CREATE FUNCTION executions_obsolete() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'obsolete'; END $$",
        "CREATE TRIGGER executions_obsolete AFTER DELETE ON executions_vote FOR EACH ROW"
        " EXECUTE FUNCTION executions_obsolete()",
        "CREATE TRIGGER executions_obsolete_seal AFTER UPDATE ON executions_vote FOR EACH ROW"
        " EXECUTE FUNCTION holdfast_sealed()",
    ),
    "sqlite": (
        "CREATE TRIGGER executions_obsolete AFTER DELETE ON executions_vote FOR EACH ROW"
        " BEGIN SELECT RAISE(ABORT, 'obsolete'); END",
    ),
}


@contextmanager
def use_database(dump: str, directory: Path) -> Iterator[None]:
    """Load a dump into a new database, and let the connection use it."""
    text = (Path(__file__).parent / f"{dump}.{connection.vendor}.sql").read_text()
    settings: dict[str, Any] = connection.settings_dict
    own, name = connection.connection, settings["NAME"]
    if connection.vendor == "sqlite":
        new = str(directory / "old.sqlite3")
        with closing(sqlite3.connect(new)) as file:
            file.executescript(text)
    else:
        new = f"{name}_{dump}"
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{new}" TEMPLATE template0')
    # Not closed: a database in memory would be lost.
    connection.connection, settings["NAME"] = None, new
    try:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(text)
            connection.close()
        yield
    finally:
        connection.close()
        connection.connection, settings["NAME"] = own, name
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f'DROP DATABASE "{new}"')


def carry_on(step: Step) -> None:
    """Do what an assignee or an operator can do at an open step."""
    where: dict[str, Any] = {"step": step.cuid}
    people = get_user_model().objects
    if step.state == StepState.INCIDENT or step.type == "http_request":
        services.skip(step.execution, why="Tried during the upgrade.", **where)
    elif step.type == "user_action":
        by = people.get(username="ada")
        services.submit(step.execution, data={"note": "n"}, by=by, **where)
    elif step.type == "approval":
        by = people.get(username="bob")
        services.vote(step.execution, approves=True, by=by, **where)
    else:
        services.wake(step.execution, **where)


@pytest.mark.parametrize("dump", DUMPS)
def test_live_executions_of_an_earlier_release_reach_their_ends(dump: str, tmp_path: Path) -> None:
    with use_database(dump, tmp_path):
        with connection.cursor() as cursor:
            for statement in OBSOLETE[connection.vendor]:
                cursor.execute(statement)
        call_command("migrate", verbosity=0)

        assert write_once.find_missing(connection) == []
        with connection.cursor() as cursor:
            installed = TRIGGER_SQL.read_installed(cursor)
        assert not [name for name in installed if "obsolete" in name], "a removed trigger vanishes"
        assert integrity.find_violations() == []
        states = sorted(Execution.objects.values_list("status", flat=True))
        assert states == ["cancelled", "completed", "scheduled", *["waiting"] * 10]

        # The dumps' voters have no permission to vote, which later releases ask for.
        get_user_model().objects.update(is_superuser=True)
        for _ in range(30):
            steps = Step.objects.open().exclude(type__in=["run_workflow", "join"])
            if step := steps.select_related("execution").order_by("-pk").first():
                carry_on(step)
        ended = Execution.objects.exclude(status=Status.COMPLETED)
        left = list(Step.objects.open().values_list("execution__workflow__title", "type", "state"))
        assert ([row.status for row in ended], left) == ([Status.CANCELLED], [])
        assert integrity.find_violations() == []
