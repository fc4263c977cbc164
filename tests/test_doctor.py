"""``manage.py doctor`` and ``manage.py send_test_mail``."""

from __future__ import annotations

import json
import smtplib
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import mail
from django.core.files.storage import default_storage
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder

from executions.models import Secret, WorkerKind
from executions.worker import heartbeat
from tests.commands import main
from tests.settings.environments import manage
from tests.test_database_faults import LOST, failing
from workflows_project import environment
from workflows_project.ops import diagnosis, static_files

NAMES = [check.name for check in diagnosis.CHECKS]


@pytest.fixture(autouse=True)
def _worker(request: pytest.FixtureRequest) -> None:
    """Store that a worker runs, in tests with a database."""
    if request.node.get_closest_marker("django_db"):
        request.getfixturevalue("db")
        heartbeat.beat(WorkerKind.WORK)


@pytest.fixture(autouse=True)
def _collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_files, "are_collected", lambda: True)


@pytest.mark.both_databases
@pytest.mark.django_db
def test_doctor_prints_one_line_for_each_check() -> None:
    code, out, err = main("doctor")
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{name}: ok" for name in NAMES]


@pytest.mark.django_db
def test_doctor_exits_with_1_and_says_what_to_do_when_a_check_fails() -> None:
    MigrationRecorder(connection).record_unapplied("executions", "0001_initial")
    code, out, err = main("doctor")
    assert code == 1
    assert "migrations: 1 migration is not applied" in out and "Run: manage.py migrate" in out
    assert err == "CommandError: 1 fault found.\n"


@pytest.mark.django_db
def test_doctor_exits_with_3_when_the_database_cannot_be_used() -> None:
    with failing(OperationalError(LOST)):
        code, out, err = main("doctor", "--json")
    checks = {row["name"]: row for row in json.loads(out)["checks"]}
    assert code == 3 and "could not run" in err
    assert checks["database"]["error"] == "server closed the connection unexpectedly"
    assert checks["migrations"]["skipped"] and checks["secrets_key"]["skipped"]
    assert not checks["mail"]["skipped"]


@pytest.mark.django_db
def test_doctor_reports_invalid_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "problems", ["EMAIL_PORT='x' is not a port number."])
    code, out, _ = main("doctor")
    assert code == 1
    assert "configuration: EMAIL_PORT='x' is not a port number. (workflows_project.E001)" in out


@pytest.mark.django_db
def test_doctor_tries_to_decrypt_secrets(settings: Any) -> None:
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    secret = Secret(name="token")
    secret.set_value("value")
    secret.save()
    assert main("doctor")[0] == 0
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    code, out, _ = main("doctor")
    assert code == 1 and "was encrypted with a key that SECRETS_KEY does not have" in out


@pytest.mark.django_db
def test_doctor_tries_mail_server_and_broker_without_printing_passwords(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    settings.EMAIL_HOST_PASSWORD = "hunter2"
    settings.CELERY_BROKER_URL = "redis://:hunter2@127.0.0.1:1/0"
    code, out, _ = main("doctor")
    assert code == 1
    assert "mail: The mail server 127.0.0.1:1 cannot be used" in out
    assert "broker: The broker cannot be reached" in out
    assert "hunter2" not in out
    assert main("doctor", "--exclude", "mail", "--exclude", "broker")[0] == 0


@pytest.mark.django_db
def test_doctor_reports_missing_static_files(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    monkeypatch.undo()
    settings.STATIC_ROOT = tmp_path
    code, out, _ = main("doctor")
    assert code == 1 and "Run: manage.py collectstatic" in out


def test_page_uses_plain_name_when_static_files_are_not_collected(
    settings: Any, tmp_path: Path
) -> None:
    settings.STATIC_ROOT = tmp_path
    name = "workflows/admin.css"
    assert static_files.HashedFiles().url(name) == f"/static/{name}"


def test_doctor_runs_although_a_setting_is_invalid() -> None:
    done = manage("doctor", DEBUG="1", DATABASE_URL="sqlite://:memory:", EMAIL_PORT="x")
    assert done.returncode == 1
    assert "configuration: EMAIL_PORT='x' is not a port number." in done.stdout
    assert "Traceback" not in done.stderr


def test_send_test_mail_sends_one_mail(settings: Any) -> None:
    code, out, _ = main("send_test_mail", "anna@example.com", "ben@example.com")
    assert code == 0 and "to anna@example.com, ben@example.com." in out
    [sent] = mail.outbox
    assert sent.to == ["anna@example.com", "ben@example.com"]
    assert sent.from_email == settings.DEFAULT_FROM_EMAIL


def test_send_test_mail_reports_the_answer_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> int:
        raise smtplib.SMTPAuthenticationError(535, b"wrong password")

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
    code, _, err = main("send_test_mail", "anna@example.com")
    assert code == 1 and "535" in err and "Traceback" not in err
    assert main("send_test_mail", "nobody")[0] == 2


def test_storage_that_fails_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise PermissionError("denied")

    assert diagnosis.check_file_storage() is None
    monkeypatch.setattr(default_storage, "save", fail)
    fault = diagnosis.check_file_storage()
    assert fault is not None and "denied" in fault.detail and "MEDIA_ROOT" in fault.remedy
