"""``DATABASE_URL``: SQLite and PostgreSQL, by network or socket."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db.utils import ConnectionHandler

from tests.settings.environments import ROOT, Reader, database, manage

PRAGMAS = {"synchronous": 2, "journal_mode": "wal"}
"""Pragmas of SQLite: synchronous commits (FULL), and a write-ahead log."""


@pytest.mark.parametrize("command", ["check", "migrate"])
def test_command_fails_when_database_url_is_invalid(command: str) -> None:
    done = manage(command, DEBUG="1", DATABASE_URL="mysql://user:hunter2@host/name")

    assert done.returncode == 1
    assert "(workflows_project.E001) DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert "(fields." not in done.stderr


@pytest.mark.filterwarnings("ignore:SQLite URL contains host")
@pytest.mark.parametrize(
    "url",
    [
        "garbage",
        "mysql://user:hunter2@host/name",
        "postgres://",
        "postgres://user:hunter2@host",
        "postgres://user:hunter2@host:port/name",
        "sqlite://name",
        "sqlite:////no/such/directory/name",
    ],
)
def test_invalid_database_url_is_reported_and_not_used(settings_from: Reader, url: str) -> None:
    read = settings_from(DEBUG="1", DATABASE_URL=url)

    [problem] = read.problems
    assert problem.startswith("DATABASE_URL")
    assert "hunter2" not in problem
    # In memory, so that nothing is written to a wrong database.
    assert read["DATABASES"]["default"]["NAME"] == ":memory:"


def test_default_database_is_file_next_to_manage_py(settings_from: Reader) -> None:
    default = database(settings_from, "")

    assert default["ENGINE"] == "workflows_project.sqlite"
    assert Path(default["NAME"]) == ROOT / "db.sqlite3"
    assert default["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert default["CONN_MAX_AGE"] == 60


@pytest.mark.django_db
def test_sqlite_commits_are_synchronous(settings_from: Reader, tmp_path: Path) -> None:
    configured = database(settings_from, f"sqlite:///{tmp_path}/db.sqlite3")
    handler = ConnectionHandler({"default": configured})

    with handler["default"].cursor() as cursor:
        found = [cursor.execute(f"PRAGMA {name}").fetchone() for name in PRAGMAS]
    handler.close_all()

    assert dict(zip(PRAGMAS, found, strict=True)) == {
        name: (value,) for name, value in PRAGMAS.items()
    }


def test_database_url_for_network(settings_from: Reader) -> None:
    url = "postgresql://user:pass%40word@db.example:5433/name?sslmode=require"
    default = database(settings_from, url)

    assert default["ENGINE"] == "workflows_project.postgresql"
    assert default["NAME"] == "name"
    assert (default["USER"], default["PASSWORD"]) == ("user", "pass@word")
    assert (default["HOST"], default["PORT"]) == ("db.example", 5433)
    assert default["OPTIONS"] == {"sslmode": "require"}
    assert default["CONN_MAX_AGE"] == 60
    assert default["CONN_HEALTH_CHECKS"] is True


@pytest.mark.parametrize(("suffix", "port"), [("", ""), (":5433", 5433)])
def test_database_url_for_unix_socket(settings_from: Reader, suffix: str, port: str | int) -> None:
    default = database(settings_from, f"postgres://user:@%2Fvar%2FRun%2Fpg{suffix}/name")

    assert (default["HOST"], default["PORT"]) == ("/var/Run/pg", port)
    assert (default["USER"], default["NAME"]) == ("user", "name")
