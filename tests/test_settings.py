"""A wrong value of the environment is a sentence and exit 1, and nothing was written before.

Settings are read in this process (``settings_from``); processes of their own prove the whole way
from a wrong value to the end of each kind of program.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db.utils import ConnectionHandler

from workflows_project import environment
from workflows_project.checks import environment_is_understood

ROOT = Path(__file__).resolve().parent.parent
VARIABLES = (
    "ALLOWED_HOSTS",
    "API_AUTHENTICATION_CLASSES",
    "AUTHENTICATION_BACKENDS",
    "CELERY_BROKER_URL",
    "CSRF_TRUSTED_ORIGINS",
    "DATABASE_URL",
    "DEBUG",
    "EMAIL_HOST",
    "EMAIL_PORT",
    "HTTP_REQUEST_HOSTS",
    "JOB_LEASE_SECONDS",
    "LOCK_TIMEOUT_SECONDS",
    "NUM_PROXIES",
    "SECRET_KEY",
    "SECURE_HSTS_SECONDS",
    "SECRETS_KEY",
    "SECURE_SSL_REDIRECT",
    "STATEMENT_TIMEOUT_SECONDS",
    "SWEEP_SECONDS",
    "TIME_ZONE",
    *(f"THROTTLE_{scope}" for scope in ("READ", "WRITE", "START", "TOKEN", "HOOK")),
    "TOKEN_HOURS",
    "WEBHOOK_KEEP_DAYS",
)


SAFEGUARDS = {"synchronous": 2, "journal_mode": "wal"}
"""Two pragmas of SQLite: FULL, and the log that is written ahead."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the settings are under some variables, and what is wrong with those."""

    values: dict[str, Any]
    problems: list[str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


Reader = Callable[..., Settings]


@pytest.fixture
def settings_from(monkeypatch: pytest.MonkeyPatch) -> Reader:
    """``settings_from(DEBUG="1")``: read the settings under these variables and no others."""

    def read(**values: str) -> Settings:
        problems: list[str] = []
        with monkeypatch.context() as patch:
            for name in VARIABLES:
                patch.delenv(name, raising=False)
            for name, value in values.items():
                patch.setenv(name, value)
            patch.setattr(environment, "problems", problems)
            found = runpy.run_path(str(ROOT / "workflows_project" / "settings.py"))
            errors = environment_is_understood(None)
        assert all(error.id == "workflows_project.E001" for error in errors)
        return Settings(found, [str(error.msg) for error in errors])

    return read


def database(settings_from: Reader, url: str) -> dict[str, Any]:
    """The default database under this address."""
    read = settings_from(DEBUG="1", DATABASE_URL=url)
    assert read.problems == []
    databases: dict[str, dict[str, Any]] = read["DATABASES"]
    return databases["default"]


def python(*arguments: str, **values: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these variables, and none of the settings' own from outside."""
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tempfile.gettempdir(),
        env={**inherited, "PYTHONPATH": str(ROOT), **values},
        capture_output=True,
        text=True,
        timeout=120,
    )


def manage(command: str, **values: str) -> subprocess.CompletedProcess[str]:
    """Run a command of manage.py."""
    return python(str(ROOT / "manage.py"), command, **values)


@pytest.mark.parametrize("command", ["check", "migrate"])
def test_command_stops_with_a_sentence_when_the_database_url_is_wrong(command: str) -> None:
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
def test_database_url_is_a_problem_and_not_used_when_it_is_wrong(
    settings_from: Reader, url: str
) -> None:
    read = settings_from(DEBUG="1", DATABASE_URL=url)

    [problem] = read.problems
    assert problem.startswith("DATABASE_URL")
    assert "hunter2" not in problem
    # In memory, so that nothing is written to a wrong one.
    assert read["DATABASES"]["default"]["NAME"] == ":memory:"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "maybe"),
        ("SECURE_SSL_REDIRECT", "perhaps"),
        ("SECURE_HSTS_SECONDS", "abc"),
        ("SECURE_HSTS_SECONDS", "-1"),
        ("JOB_LEASE_SECONDS", "0"),
        ("LOCK_TIMEOUT_SECONDS", "-1"),
        ("STATEMENT_TIMEOUT_SECONDS", "5s"),
        ("SWEEP_SECONDS", "0.5"),
        ("NUM_PROXIES", "-1"),
        ("THROTTLE_READ", "often"),
        ("THROTTLE_START", "0/minute"),
        ("THROTTLE_HOOK", "5/fortnight"),
        ("TOKEN_HOURS", "0"),
        ("TOKEN_HOURS", "1000000"),
    ],
)
def test_problem_names_the_variable_and_the_value(
    settings_from: Reader, name: str, value: str
) -> None:
    [problem] = settings_from(**{"SECRET_KEY": "for this test", name: value}).problems

    assert name in problem
    assert value in problem


def test_check_names_every_wrong_value_at_once() -> None:
    wrong = {
        "SECURE_HSTS_SECONDS": "abc",
        "THROTTLE_READ": "often",
        "API_AUTHENTICATION_CLASSES": "no.such.Class,json.JSONDecoder",
        "AUTHENTICATION_BACKENDS": "Backend",
    }
    done = manage("check", SECRET_KEY="for this test", **wrong)

    assert done.returncode == 1
    assert done.stderr.count("workflows_project.E001") == 5
    for name, values in wrong.items():
        assert name in done.stderr
        assert all(value in done.stderr for value in values.split(","))
    assert "Traceback" not in done.stderr


def test_secret_key_is_required_unless_debug(settings_from: Reader) -> None:
    [problem] = settings_from().problems

    assert problem.startswith("SECRET_KEY is not set")
    assert settings_from(DEBUG="1").problems == []
    assert settings_from(SECRET_KEY="for this test").problems == []


def test_check_passes_when_the_values_are_right() -> None:
    done = manage("check", DATABASE_URL="sqlite://:memory:", SECRET_KEY="for this test")

    assert done.returncode == 0, done.stderr


def test_secret_key_cannot_be_guessed_when_it_is_missing(settings_from: Reader) -> None:
    assert settings_from()["SECRET_KEY"] != settings_from()["SECRET_KEY"]
    assert settings_from()["SECRET_KEY"] != settings_from(DEBUG="1")["SECRET_KEY"]


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_server_does_not_start_when_a_value_is_wrong(server: str) -> None:
    done = python("-c", f"import workflows_project.{server}", SECURE_HSTS_SECONDS="abc")

    assert done.returncode == 1
    assert "ImproperlyConfigured" in done.stderr
    assert "SECURE_HSTS_SECONDS" in done.stderr


def test_production_is_the_default(settings_from: Reader) -> None:
    read = settings_from()

    assert read["DEBUG"] is False
    assert read["ALLOWED_HOSTS"] == []
    assert read["SESSION_COOKIE_SECURE"] is False
    assert read["SECURE_HSTS_SECONDS"] == 0


def test_cookies_are_secure_when_requests_are_redirected_to_https(settings_from: Reader) -> None:
    read = settings_from(SECURE_SSL_REDIRECT="1")

    assert read["SESSION_COOKIE_SECURE"] is True
    assert read["CSRF_COOKIE_SECURE"] is True


def test_lists_are_separated_by_commas(settings_from: Reader) -> None:
    read = settings_from(DEBUG="1", ALLOWED_HOSTS="one.example, two.example")

    assert read["ALLOWED_HOSTS"] == [
        *("one.example", "two.example", "localhost", "127.0.0.1", "[::1]")
    ]


def test_database_is_a_file_beside_manage_py_when_none_is_named(settings_from: Reader) -> None:
    default = database(settings_from, "")

    assert default["ENGINE"] == "workflows_project.sqlite"
    assert Path(default["NAME"]) == ROOT / "db.sqlite3"
    assert default["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert default["CONN_MAX_AGE"] == 60


@pytest.mark.django_db
def test_commit_is_on_the_disk_before_it_is_answered_when_the_database_is_sqlite(
    settings_from: Reader, tmp_path: Path
) -> None:
    configured = database(settings_from, f"sqlite:///{tmp_path}/db.sqlite3")
    handler = ConnectionHandler({"default": configured})

    with handler["default"].cursor() as cursor:
        found = [cursor.execute(f"PRAGMA {name}").fetchone() for name in SAFEGUARDS]
    handler.close_all()

    assert dict(zip(SAFEGUARDS, found, strict=True)) == {
        name: (value,) for name, value in SAFEGUARDS.items()
    }


def test_database_is_postgresql_over_the_network(settings_from: Reader) -> None:
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
def test_database_is_postgresql_over_a_socket(
    settings_from: Reader, suffix: str, port: str | int
) -> None:
    default = database(settings_from, f"postgres://user:@%2Fvar%2FRun%2Fpg{suffix}/name")

    assert (default["HOST"], default["PORT"]) == ("/var/Run/pg", port)
    assert (default["USER"], default["NAME"]) == ("user", "name")


def test_secrets_key_is_a_problem_and_not_shown_when_it_is_none(settings_from: Reader) -> None:
    [problem] = settings_from(DEBUG="1", SECRETS_KEY="hunter2").problems

    assert problem.startswith("SECRETS_KEY holds what is no key")
    assert "hunter2" not in problem


def test_port_is_a_problem_when_it_is_out_of_range(settings_from: Reader) -> None:
    [problem] = settings_from(DEBUG="1", EMAIL_PORT="70000").problems

    assert problem == "EMAIL_PORT='70000' is not the number of a port."


@pytest.mark.parametrize(
    "url",
    [
        "garbage",
        "amqp://:hunter2@host//",
        "redis://",
        "redis://:hunter2@host:port/0",
        "redis+socket://",
        "redis+socket://host/path",
    ],
)
def test_broker_is_a_problem_and_not_shown_when_it_cannot_be_read(
    settings_from: Reader, url: str
) -> None:
    [problem] = settings_from(DEBUG="1", CELERY_BROKER_URL=url).problems

    assert problem.startswith("CELERY_BROKER_URL cannot be read as redis://")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "url", ["", "redis://host", "rediss://user:pass@host:6380/2", "redis+socket:///a/redis.sock"]
)
def test_broker_is_used_when_it_can_be_read(settings_from: Reader, url: str) -> None:
    read = settings_from(DEBUG="1", CELERY_BROKER_URL=url)

    assert read["CELERY_BROKER_URL"] == url
    assert read.problems == []


@pytest.mark.parametrize(
    ("part", "values", "sentence"),
    [
        ("worker", {}, "CELERY_BROKER_URL is not set: without a broker, manage.py work serves"),
        ("beat", {"CELERY_BROKER_URL": "garbage"}, "CELERY_BROKER_URL cannot be read as redis://"),
        (
            "worker",
            {"CELERY_BROKER_URL": "redis://host", "EMAIL_PORT": "0"},
            "EMAIL_PORT='0' is not",
        ),
    ],
)
def test_celery_does_not_start_when_a_value_is_wrong(
    part: str, values: dict[str, str], sentence: str
) -> None:
    done = python("-m", "celery", "-A", "workflows_project", part, DEBUG="1", **values)

    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_celery_is_loaded_only_when_there_is_a_broker() -> None:
    seen = "import django, sys; django.setup(); print('celery' in sys.modules)"
    settings = {"DEBUG": "1", "DJANGO_SETTINGS_MODULE": "workflows_project.settings"}

    assert python("-c", seen, **settings).stdout == "False\n"
    assert python("-c", seen, CELERY_BROKER_URL="redis://host", **settings).stdout == "True\n"


def test_broker_is_asked_for_its_certificate_when_it_uses_tls() -> None:
    asked = "from workflows_project.celery import app; print(app.conf.broker_use_ssl)"
    settings = {"DEBUG": "1", "DJANGO_SETTINGS_MODULE": "workflows_project.settings"}

    assert (
        "CERT_REQUIRED" in python("-c", asked, CELERY_BROKER_URL="rediss://host", **settings).stdout
    )


def test_command_ends_quietly_when_its_reader_has_enough() -> None:
    environment = {**os.environ, "DEBUG": "1", "DATABASE_URL": "sqlite://:memory:"}
    with subprocess.Popen(
        [sys.executable, "manage.py", "help"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_rates_are_off_unless_set(settings_from: Reader) -> None:
    assert set(settings_from(DEBUG="1")["THROTTLE_RATES"].values()) == {None}
    assert settings_from(DEBUG="1", THROTTLE_READ="")["THROTTLE_RATES"]["read"] is None
    read = settings_from(DEBUG="1", THROTTLE_READ="9/second")
    assert read["THROTTLE_RATES"]["read"] == "9/second"


ADDED = """
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from rest_framework.authentication import BaseAuthentication

class Backend(ModelBackend):
    pass

class Bearer(BaseAuthentication):
    def authenticate(self, request):
        if request.headers.get("Authorization") == "Bearer of news":
            return get_user_model()(username="ada"), None
"""
ASKED = """
import django
django.setup()
from django.contrib.auth import get_backends
from rest_framework.test import APIClient
client = APIClient(headers={"Host": "localhost", "Authorization": "Bearer of news"})
print(client.get("/api/v1/node-types/").status_code, [type(row).__name__ for row in get_backends()])
"""


def test_login_class_is_added_when_the_environment_names_it(tmp_path: Path) -> None:
    (tmp_path / "own_login.py").write_text(ADDED)
    settings = {"DEBUG": "1", "DJANGO_SETTINGS_MODULE": "workflows_project.settings"}
    path = f"{ROOT}{os.pathsep}{tmp_path}"

    without = python("-c", ASKED, PYTHONPATH=path, **settings)
    added = python(
        "-c",
        ASKED,
        PYTHONPATH=path,
        API_AUTHENTICATION_CLASSES="own_login.Bearer",
        AUTHENTICATION_BACKENDS="own_login.Backend",
        **settings,
    )

    assert without.stdout == "401 ['ModelBackend']\n", without.stderr
    assert added.stdout == "200 ['ModelBackend', 'Backend']\n", added.stderr


@pytest.mark.parametrize("name", ["", "UTC", "Europe/Berlin", "America/Argentina/Ushuaia"])
def test_time_zone_is_of_the_environment(settings_from: Reader, name: str) -> None:
    found = settings_from(DEBUG="1", TIME_ZONE=name)
    assert (found["TIME_ZONE"], found.problems) == (name or "UTC", [])


@pytest.mark.parametrize("name", ["Berlin", "Europe", "+02:00", "../etc/passwd"])
def test_time_zone_that_is_none_is_a_problem_and_utc(settings_from: Reader, name: str) -> None:
    found = settings_from(DEBUG="1", TIME_ZONE=name)
    assert found["TIME_ZONE"] == "UTC"
    assert found.problems == [
        f"TIME_ZONE={name!r} is not a time zone of the IANA database (Europe/Berlin)."
    ]
