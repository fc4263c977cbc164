"""Database faults: responses of the API and of pages, output of commands, log lines."""

from __future__ import annotations

import logging
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.backends.signals import connection_created
from django.db.utils import ConnectionHandler
from django.test import Client as Browser

from tests.conftest import Scenario
from tests.workflows.api.clients import Client, assert_problem, client_of
from workflows.db import faults, locks
from workflows_project import environment
from workflows_project.ops import timeouts
from workflows_project.sqlite.base import DatabaseWrapper


class StateError(Exception):
    """An error of psycopg2 with this SQLSTATE."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.pgcode = state


def with_state(state: str, error: DatabaseError) -> DatabaseError:
    error.__cause__ = StateError(state)
    return error


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (with_state("57P01", OperationalError("terminating connection")), faults.UNAVAILABLE),
        (with_state("08006", OperationalError("connection failure")), faults.UNAVAILABLE),
        (with_state("53300", OperationalError("too many connections")), faults.BUSY),
        (with_state("53100", OperationalError("could not extend file")), faults.FULL),
        (with_state("25006", DatabaseError("read-only transaction")), faults.READ_ONLY),
        (with_state("57014", OperationalError("canceling statement")), faults.TIMEOUT),
        (with_state("23503", DatabaseError("connection of a key")), None),
        (with_state("42601", DatabaseError("syntax error")), None),
        (InterfaceError("connection already closed"), faults.UNAVAILABLE),
        (OperationalError("FATAL:  sorry, too many clients already"), faults.BUSY),
        (OperationalError('connection to server at "db" failed: refused'), faults.UNAVAILABLE),
        (OperationalError("server closed the connection unexpectedly"), faults.UNAVAILABLE),
        (OperationalError("attempt to write a readonly database"), faults.READ_ONLY),
        (OperationalError("database or disk is full"), faults.FULL),
        (OperationalError("unable to open database file"), faults.UNAVAILABLE),
        (OperationalError("disk I/O error"), faults.UNAVAILABLE),
        (DatabaseError("database disk image is malformed"), faults.DAMAGED),
        (DatabaseError("file is not a database"), faults.DAMAGED),
        (OperationalError("no such column: x"), None),
        (ValueError("connection"), None),
    ],
)
def test_fault_is_recognized_by_state_or_message(
    error: Exception, fault: faults.DatabaseFault | None
) -> None:
    assert faults.find_fault(error) is fault


@contextmanager
def read_only() -> Iterator[None]:
    """Make this connection read-only, as on a standby."""
    on_postgresql = connection.vendor == "postgresql"
    switch = "SET transaction_read_only = {}" if on_postgresql else "PRAGMA query_only = {}"
    # On PostgreSQL, this lasts until the test rolls back its transaction.
    with connection.cursor() as cursor:
        cursor.execute(switch.format("on"))
        yield
        if not on_postgresql:
            cursor.execute(switch.format("off"))


@contextmanager
def failing(error: Exception, *, at: str = "") -> Iterator[None]:
    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        if at in sql:
            raise error
        return execute(sql, *rest)

    with connection.execute_wrapper(fail):
        yield


LOST = "server closed the connection unexpectedly\n\tThis probably means that it was terminated."


@pytest.fixture
def api(db: None) -> Client:
    return client_of(superuser=True)


@pytest.mark.both_databases
@pytest.mark.django_db
def test_write_to_read_only_database_returns_503(
    api: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with read_only():
        assert api.get("workflows/").status_code == 200
        response = api.post("finding-types/", {"name": "Limitation"})
    body = assert_problem(response, 503, "database_read_only")
    assert response.headers["Retry-After"] == "30"
    assert "read-only" in body["detail"]
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1, "one line per request"
    assert re.match(
        r"POST /api/v1/finding-types/ 503 in [\d.]+ ms: database_read_only: ",
        lines[0].getMessage(),
    )
    assert lines[0].exc_info is None


@pytest.mark.django_db
def test_lost_connection_returns_503_and_logs_one_line(
    api: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with failing(OperationalError(LOST)):
        response = api.get("workflows/")
    assert_problem(response, 503, "database_unavailable")
    assert response.headers["Retry-After"] == "5"
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("GET /api/v1/workflows/ 503 in ")
    assert line.endswith(" ms: database_unavailable: server closed the connection unexpectedly")


@pytest.fixture
def browser(admin_client: Browser) -> Browser:
    admin_client.raise_request_exception = False
    return admin_client


def test_page_returns_503_with_reason_and_retry_after(
    browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    with failing(OperationalError(LOST), at="workflows_workflow"):
        response = browser.get("/admin/workflows/workflow/")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "The database cannot be reached. Try again." in response.content.decode()
    assert len([row for row in caplog.records if row.levelno >= logging.WARNING]) == 1


def test_page_returns_503_when_session_cannot_be_saved(
    browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    # A middleware saves the session after the view.
    credentials = {"username": "admin", "password": "password"}
    with failing(OperationalError(LOST), at='UPDATE "django_session"'):
        response = browser.post("/admin/login/", credentials)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert len([row for row in caplog.records if row.levelno >= logging.WARNING]) == 1


def test_page_returns_409_under_contention(browser: Browser) -> None:
    with failing(OperationalError("database is locked"), at="workflows_workflow"):
        response = browser.get("/admin/workflows/workflow/")
    assert (response.status_code, response.headers["Retry-After"]) == (409, "1")


@pytest.fixture
def limited(settings: Any) -> Iterator[None]:
    """Set the timeouts of a server, with short values."""
    settings.STATEMENT_TIMEOUT_SECONDS, settings.LOCK_TIMEOUT_SECONDS = 20, 1
    timeouts.limit_requests()
    connection.close()
    yield
    connection_created.disconnect(dispatch_uid="holdfast_timeouts")
    connection.close()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("limited")
def test_server_sets_statement_and_lock_timeouts() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
        )
        assert cursor.fetchone() == ("20s", "1s")


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("limited")
def test_request_fails_soon_when_row_is_locked(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.5)
    api = client_of(superuser=True)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                "SELECT 1 FROM workflows_workflow WHERE id = %s FOR UPDATE", [scenario.caller.pk]
            )
        start = time.monotonic()
        body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
        response = api.post("executions/", body)
        assert_problem(response, 409, "contention")
        # One timeout of one second, not five.
        assert time.monotonic() - start < 3
    finally:
        other.close()
    assert api.post("executions/", body).status_code == 201


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OperationalError(LOST), "The database cannot be reached"),
        (OperationalError("no such table: workflows_workflow"), "Run: manage.py migrate"),
        (InterfaceError("connection already closed"), "The database cannot be reached"),
        (OperationalError("database is locked"), "Another process is using the database"),
        (locks.Contention(), "Another process is using the database"),
    ],
)
def test_command_explains_fault_in_one_line(error: Exception, words: str) -> None:
    with failing(error), pytest.raises(CommandError, match=words) as raised:
        call_command("check_integrity", stdout=StringIO())
    assert raised.value.returncode == 3
    assert "\n" not in str(raised.value)


@pytest.mark.django_db
def test_interrupted_command_prints_no_traceback() -> None:
    with failing(KeyboardInterrupt()), pytest.raises(CommandError) as raised:  # type: ignore[arg-type]
        call_command("check_integrity", stdout=StringIO())
    assert (raised.value.returncode, str(raised.value)) == (1, "Interrupted.")


@pytest.mark.django_db
def test_command_raises_programming_errors() -> None:
    with failing(DatabaseError("syntax error")), pytest.raises(DatabaseError, match="syntax"):
        call_command("check_integrity", stdout=StringIO())


@pytest.fixture
def file_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[Any]:
    """A server's connection to a SQLite file with one table."""
    path = tmp_path / "db.sqlite3"
    handler = ConnectionHandler({"default": environment._sqlite(str(path))})
    opened = handler["default"]
    with opened.cursor() as cursor:
        cursor.execute("CREATE TABLE original (name text)")
    monkeypatch.setattr(DatabaseWrapper, "creates_file", False)
    yield opened
    opened.close()


def begin_request(opened: Any) -> None:
    opened.close_if_unusable_or_obsolete()


def test_connection_fails_when_file_was_moved(file_connection: Any) -> None:
    path = Path(file_connection.settings_dict["NAME"])
    moved = path.rename(path.with_name("moved.sqlite3"))
    begin_request(file_connection)
    with pytest.raises(OperationalError) as raised, file_connection.cursor():
        pass
    assert faults.find_fault(raised.value) is faults.UNAVAILABLE
    assert not path.exists(), "no empty database is created"
    moved.rename(path)
    begin_request(file_connection)
    with file_connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM original")


def test_connection_opens_replaced_file(file_connection: Any) -> None:
    path = Path(file_connection.settings_dict["NAME"])
    backup = path.with_name("backup.sqlite3")
    with closing(sqlite3.connect(backup)) as other:
        other.execute("CREATE TABLE restored (name text)")
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    backup.replace(path)
    begin_request(file_connection)
    with file_connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM restored")


def test_connection_stays_open_when_file_is_unchanged(file_connection: Any) -> None:
    before = file_connection.connection
    begin_request(file_connection)
    with file_connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert file_connection.connection is before
