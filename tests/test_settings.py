"""A wrong value of the environment is a sentence and exit 1, and nothing was written before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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
    "NUM_PROXIES",
    "SECRET_KEY",
    "SECURE_HSTS_SECONDS",
    "SECRETS_KEY",
    "SECURE_SSL_REDIRECT",
    "SWEEP_SECONDS",
    *(f"THROTTLE_{scope}" for scope in ("READ", "WRITE", "START", "TOKEN", "HOOK")),
    "TOKEN_HOURS",
    "WEBHOOK_KEEP_DAYS",
)
SHOW = """
import json
from workflows_project import settings
print(json.dumps(getattr(settings, {name!r})))
"""


def python(
    *arguments: str, cwd: Path | str = ROOT, **values: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with these variables, and none of the settings' own from outside."""
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**inherited, "PYTHONPATH": str(ROOT), **values},
        capture_output=True,
        text=True,
        timeout=120,
    )


def manage(command: str, *arguments: str, **values: str) -> subprocess.CompletedProcess[str]:
    """Run a command of manage.py."""
    return python(str(ROOT / "manage.py"), command, *arguments, cwd=ROOT, **values)


def setting(name: str, **values: str) -> Any:
    """What a setting is under these variables, seen from another working directory."""
    done = python("-c", SHOW.format(name=name), cwd=Path("/"), **values)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def database(url: str) -> dict[str, Any]:
    """The default database under this address."""
    databases: dict[str, dict[str, Any]] = setting("DATABASES", DEBUG="1", DATABASE_URL=url)
    return databases["default"]


WRONG_ADDRESSES = [
    "garbage",
    "mysql://user:hunter2@host/name",
    "postgres://",
    "postgres://user:hunter2@host",
    "postgres://user:hunter2@host:port/name",
    "sqlite://name",
    "sqlite:////no/such/directory/name",
]


@pytest.mark.parametrize("command", ["check", "migrate"])
@pytest.mark.parametrize("url", WRONG_ADDRESSES)
def test_a_wrong_database_url_stops_every_command_with_a_sentence(command: str, url: str) -> None:
    done = manage(command, DEBUG="1", DATABASE_URL=url)

    assert done.returncode == 1
    assert "(workflows_project.E001) DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert "(fields." not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "maybe"),
        ("SECURE_SSL_REDIRECT", "perhaps"),
        ("SECURE_HSTS_SECONDS", "abc"),
        ("SECURE_HSTS_SECONDS", "-1"),
        ("JOB_LEASE_SECONDS", "0"),
        ("SWEEP_SECONDS", "0.5"),
        ("NUM_PROXIES", "-1"),
        ("THROTTLE_READ", "often"),
        ("THROTTLE_START", "0/minute"),
        ("THROTTLE_HOOK", "5/fortnight"),
        ("TOKEN_HOURS", "0"),
        ("TOKEN_HOURS", "1000000"),
        ("API_AUTHENTICATION_CLASSES", "no.such.Class"),
        ("API_AUTHENTICATION_CLASSES", "json.JSONDecoder"),
        ("AUTHENTICATION_BACKENDS", "Backend"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(name: str, value: str) -> None:
    done = manage("check", **{"SECRET_KEY": "for this test", name: value})

    assert done.returncode == 1
    assert "workflows_project.E001" in done.stderr
    assert name in done.stderr
    assert value in done.stderr
    assert "Traceback" not in done.stderr


def test_a_secret_key_is_required() -> None:
    done = manage("check")

    assert done.returncode == 1
    assert "SECRET_KEY is not set" in done.stderr


@pytest.mark.parametrize("values", [{"DEBUG": "1"}, {"SECRET_KEY": "for this test"}])
def test_right_values_pass(values: dict[str, str]) -> None:
    done = manage("check", DATABASE_URL="sqlite://:memory:", **values)

    assert done.returncode == 0, done.stderr


def test_a_missing_secret_key_leaves_one_that_nobody_can_know() -> None:
    assert setting("SECRET_KEY") != setting("SECRET_KEY")
    assert setting("SECRET_KEY") != setting("SECRET_KEY", DEBUG="1")


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_a_server_does_not_start_on_a_wrong_value(server: str) -> None:
    done = python("-c", f"import workflows_project.{server}", SECURE_HSTS_SECONDS="abc")

    assert done.returncode == 1
    assert "ImproperlyConfigured" in done.stderr
    assert "SECURE_HSTS_SECONDS" in done.stderr


def test_production_is_the_default() -> None:
    assert setting("DEBUG") is False
    assert setting("ALLOWED_HOSTS") == []
    assert setting("SESSION_COOKIE_SECURE") is False
    assert setting("SECURE_HSTS_SECONDS") == 0


def test_cookies_follow_the_redirect_to_https() -> None:
    assert setting("SESSION_COOKIE_SECURE", SECURE_SSL_REDIRECT="1") is True
    assert setting("CSRF_COOKIE_SECURE", SECURE_SSL_REDIRECT="1") is True


def test_lists_are_separated_by_commas() -> None:
    hosts = setting("ALLOWED_HOSTS", DEBUG="1", ALLOWED_HOSTS="one.example, two.example")

    assert hosts == ["one.example", "two.example", "localhost", "127.0.0.1", "[::1]"]


def test_the_default_database_lies_beside_manage_py() -> None:
    default = database("")

    assert default["ENGINE"] == "django.db.backends.sqlite3"
    assert Path(default["NAME"]) == ROOT / "db.sqlite3"
    assert default["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert default["CONN_MAX_AGE"] == 60


def test_postgresql_over_the_network() -> None:
    default = database("postgresql://user:pass%40word@db.example:5433/name?sslmode=require")

    assert default["ENGINE"] == "workflows_project.postgresql"
    assert default["NAME"] == "name"
    assert (default["USER"], default["PASSWORD"]) == ("user", "pass@word")
    assert (default["HOST"], default["PORT"]) == ("db.example", 5433)
    assert default["OPTIONS"] == {"sslmode": "require"}
    assert default["CONN_MAX_AGE"] == 60
    assert default["CONN_HEALTH_CHECKS"] is True


@pytest.mark.parametrize(("suffix", "port"), [("", ""), (":5433", 5433)])
def test_postgresql_over_a_socket(suffix: str, port: str | int) -> None:
    default = database(f"postgres://user:@%2Fvar%2FRun%2Fpg{suffix}/name")

    assert (default["HOST"], default["PORT"]) == ("/var/Run/pg", port)
    assert (default["USER"], default["NAME"]) == ("user", "name")


def test_a_secrets_key_that_is_none_is_refused_and_not_shown() -> None:
    done = manage("check", DEBUG="1", SECRETS_KEY="hunter2")

    assert done.returncode == 1
    assert "(workflows_project.E001) SECRETS_KEY holds what is no key" in done.stderr
    assert "hunter2" not in done.stderr


def test_a_port_that_is_none_is_refused() -> None:
    done = manage("check", DEBUG="1", EMAIL_PORT="70000")

    assert done.returncode == 1
    assert "EMAIL_PORT='70000' is not the number of a port." in done.stderr


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
def test_a_broker_that_is_none_is_refused_and_not_shown(url: str) -> None:
    done = manage("check", DEBUG="1", CELERY_BROKER_URL=url)

    assert done.returncode == 1
    assert "(workflows_project.E001) CELERY_BROKER_URL cannot be read as redis://" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "url", ["", "redis://host", "rediss://user:pass@host:6380/2", "redis+socket:///a/redis.sock"]
)
def test_a_broker_that_can_be_read_is_taken(url: str) -> None:
    assert setting("CELERY_BROKER_URL", DEBUG="1", CELERY_BROKER_URL=url) == url


@pytest.mark.parametrize("part", ["worker", "beat"])
@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "CELERY_BROKER_URL is not set: without a broker, manage.py work serves"),
        ({"CELERY_BROKER_URL": "garbage"}, "CELERY_BROKER_URL cannot be read as redis://"),
        ({"CELERY_BROKER_URL": "redis://host", "EMAIL_PORT": "0"}, "EMAIL_PORT='0' is not"),
    ],
)
def test_celery_does_not_begin_with_a_wrong_value(
    part: str, values: dict[str, str], told: str, tmp_path: Path
) -> None:
    done = python(
        "-m", "celery", "-A", "workflows_project", part, cwd=tmp_path, DEBUG="1", **values
    )

    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_broker_nothing_of_celery_is_loaded() -> None:
    seen = "import django, sys; django.setup(); print('celery' in sys.modules)"
    settings = {"DEBUG": "1", "DJANGO_SETTINGS_MODULE": "workflows_project.settings"}

    assert python("-c", seen, **settings).stdout == "False\n"
    assert python("-c", seen, CELERY_BROKER_URL="redis://host", **settings).stdout == "True\n"


def test_a_broker_is_asked_for_its_certificate() -> None:
    asked = "from workflows_project.celery import app; print(app.conf.broker_use_ssl)"
    settings = {"DEBUG": "1", "DJANGO_SETTINGS_MODULE": "workflows_project.settings"}

    assert (
        "CERT_REQUIRED" in python("-c", asked, CELERY_BROKER_URL="rediss://host", **settings).stdout
    )


def test_a_reader_that_has_enough_is_no_failure() -> None:
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


def test_rates_are_off_unless_set() -> None:
    assert set(setting("THROTTLE_RATES", DEBUG="1").values()) == {None}
    assert setting("THROTTLE_RATES", DEBUG="1", THROTTLE_READ="")["read"] is None
    assert setting("THROTTLE_RATES", DEBUG="1", THROTTLE_READ="9/second")["read"] == "9/second"


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


def test_ways_to_log_in_are_added_without_touching_the_code(tmp_path: Path) -> None:
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
