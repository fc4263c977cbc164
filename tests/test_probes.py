"""Probes: ``/healthz`` and ``/readyz``."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import ConnectionHandler
from django.test import Client

from executions.models import WorkerHeartbeat, WorkerKind
from executions.worker import heartbeat
from tests.test_database_faults import failing
from workflows.db import clock, write_once
from workflows.db.prepared import UNPREPARED
from workflows_project import environment
from workflows_project.ops import readiness

CHECKS = [check.name for check in readiness.CHECKS]


@pytest.fixture(autouse=True)
def _worker(request: pytest.FixtureRequest) -> None:
    """Store that a worker runs, in tests with a database."""
    if request.node.get_closest_marker("django_db") or "db" in request.fixturenames:
        request.getfixturevalue("db")
        heartbeat.beat(WorkerKind.WORK)


def checks(response: Any, status: int) -> dict[str, str]:
    """Return the status of each check of a response with this HTTP status."""
    assert response.status_code == status, response.content
    return {name: check["status"] for name, check in response.json()["checks"].items()}


def test_process_is_healthy_without_a_database(client: Client) -> None:
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probe_is_answered_by_ip_address_and_without_https(
    client: Client, settings: Any, db: None, path: str
) -> None:
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["holdfast.example"], True
    response = client.get(path, headers={"host": "10.0.0.7:8000"})
    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probe_allows_reading_only(client: Client, path: str) -> None:
    response = client.post(path)
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.both_databases
@pytest.mark.django_db
def test_server_is_ready_when_every_check_passes(client: Client) -> None:
    assert checks(client.get("/readyz"), 200) == dict.fromkeys(CHECKS, "ok")


@pytest.mark.both_databases
@pytest.mark.django_db
def test_server_is_not_ready_when_a_migration_is_missing(client: Client) -> None:
    MigrationRecorder(connection).record_unapplied("executions", "0001_initial")
    response = client.get("/readyz")
    assert checks(response, 503)["migrations"] == "failed"
    assert response.json()["checks"]["migrations"] == {
        "status": "failed",
        "detail": "1 migration is not applied (executions.0001_initial …).",
        "remedy": "Run: manage.py migrate",
    }


@pytest.mark.django_db
def test_server_is_ready_when_the_next_release_has_migrated(client: Client) -> None:
    MigrationRecorder(connection).record_applied("executions", "9999_next")
    assert checks(client.get("/readyz"), 200)["migrations"] == "ok"


@pytest.mark.both_databases
@pytest.mark.django_db
def test_server_is_not_ready_when_triggers_are_missing(client: Client) -> None:
    write_once.remove(connection)
    response = client.get("/readyz")
    assert checks(response, 503)["triggers"] == "failed"
    assert "write-once triggers are missing" in response.json()["checks"]["triggers"]["detail"]


READ_ONLY = {
    "postgresql": "SET default_transaction_read_only = {}",
    "sqlite": "PRAGMA query_only = {}",
}


@pytest.mark.django_db(transaction=True)
def test_server_is_not_ready_when_the_database_is_read_only(client: Client, vendor: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(READ_ONLY[vendor].format("on"))
        response = client.get("/readyz")
        cursor.execute(READ_ONLY[vendor].format("off"))
    assert checks(response, 503)["database"] == "failed"
    assert "The database is read-only." in response.json()["checks"]["database"]["detail"]


@pytest.mark.django_db
def test_server_is_ready_while_another_connection_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = {"default": environment._sqlite(str(tmp_path / "db.sqlite3"))}
    own, other = ConnectionHandler(settings)["default"], ConnectionHandler(settings)["default"]
    monkeypatch.setattr(readiness, "connections", {"default": own})
    monkeypatch.setattr(readiness, "BUSY_MILLISECONDS", 10)
    with closing(own), closing(other), other.cursor() as writer, own.cursor() as cursor:
        writer.execute("BEGIN IMMEDIATE")
        assert readiness.check_database() is None
        cursor.execute("PRAGMA busy_timeout")
        assert cursor.fetchone() == (20_000,), "requests wait as long as before"


@pytest.mark.django_db
def test_unreachable_database_fails_once_and_reveals_nothing(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with failing(OperationalError("could not connect to server db.internal, user holdfast")):
        response = client.get("/readyz")
    skipped = dict.fromkeys(CHECKS, "skipped")
    assert checks(response, 503) == {**skipped, "database": "failed"}
    assert b"db.internal" not in response.content
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("Not ready: database: The database cannot be reached.")
    assert "db.internal" in line


@pytest.mark.django_db
def test_server_is_not_ready_behind_an_undeclared_transaction_pooler(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "shares_sessions", lambda: True)
    assert checks(client.get("/readyz"), 503)["pooler"] == "failed"
    monkeypatch.setitem(connection.settings_dict, UNPREPARED, True)
    assert checks(client.get("/readyz"), 200)["pooler"] == "ok"


@pytest.mark.both_databases
@pytest.mark.django_db
def test_server_is_not_ready_when_no_worker_was_seen_for_a_minute(client: Client) -> None:
    WorkerHeartbeat.objects.update(last_beat=clock.now() - timedelta(seconds=70))
    response = client.get("/readyz")
    assert checks(response, 503) == {**dict.fromkeys(CHECKS, "ok"), "worker": "failed"}
    assert response.json()["checks"]["worker"]["remedy"] == "Run: manage.py work"
    assert "worker" not in checks(client.get("/readyz?exclude=worker"), 200)
    WorkerHeartbeat.objects.all().delete()
    assert checks(client.get("/readyz"), 503)["worker"] == "failed"


@pytest.mark.django_db
def test_probe_can_exclude_checks(client: Client) -> None:
    write_once.remove(connection)
    assert "triggers" not in checks(client.get("/readyz?exclude=triggers"), 200)
    response = client.get("/readyz?exclude=trigger")
    assert response.status_code == 400
    assert "Allowed: database, migrations, triggers, pooler, worker" in response.json()["detail"]
