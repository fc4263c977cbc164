"""Environment variables: an invalid value is reported, and no server starts with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.settings.environments import ROOT, Reader, manage, python
from workflows_project.ops import log_format

MEMORY = "sqlite://:memory:"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "maybe"),
        ("SECURE_SSL_REDIRECT", "perhaps"),
        ("SECURE_HSTS_SECONDS", "abc"),
        ("SECURE_HSTS_SECONDS", "-1"),
        ("SECURE_PROXY_SSL_HEADER", "X-Forwarded-Proto: https"),
        ("JOB_LEASE_SECONDS", "0"),
        ("LOCK_TIMEOUT_SECONDS", "-1"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
        ("STATEMENT_TIMEOUT_SECONDS", "5s"),
        ("SWEEP_SECONDS", "0.5"),
        ("METRICS_NETWORKS", "10.0.0.1/8"),
        ("NUM_PROXIES", "-1"),
        ("THROTTLE_READ", "often"),
        ("THROTTLE_START", "0/minute"),
        ("THROTTLE_HOOK", "5/fortnight"),
        ("TOKEN_HOURS", "0"),
        ("TOKEN_HOURS", "1000000"),
    ],
)
def test_problem_names_variable_and_value(settings_from: Reader, name: str, value: str) -> None:
    valid = {"SECRET_KEY": "for this test", "DATABASE_URL": MEMORY}
    [problem] = settings_from(**{**valid, name: value}).problems

    assert name in problem
    assert value in problem


def test_check_reports_all_invalid_values() -> None:
    wrong = {
        "SECURE_HSTS_SECONDS": "abc",
        "THROTTLE_READ": "often",
        "API_AUTHENTICATION_CLASSES": "no.such.Class,json.JSONDecoder",
        "AUTHENTICATION_BACKENDS": "Backend",
    }
    done = manage("check", SECRET_KEY="for this test", DATABASE_URL=MEMORY, **wrong)

    assert done.returncode == 1
    assert done.stderr.count("workflows_project.E001") == 5
    for name, values in wrong.items():
        assert name in done.stderr
        assert all(value in done.stderr for value in values.split(","))
    assert "Traceback" not in done.stderr


def test_secret_key_is_required_unless_debug(settings_from: Reader) -> None:
    [problem] = settings_from(DATABASE_URL=MEMORY).problems

    assert problem.startswith("SECRET_KEY is not set")
    assert settings_from(DEBUG="1").problems == []
    assert settings_from(DATABASE_URL=MEMORY, SECRET_KEY="for this test").problems == []


def test_database_url_is_required_unless_debug(settings_from: Reader) -> None:
    read = settings_from(SECRET_KEY="for this test")

    assert [text[:25] for text in read.problems] == ["DATABASE_URL is not set. "]
    assert read["DATABASES"]["default"]["NAME"] == ":memory:"
    assert str(settings_from(DEBUG="1")["DATABASES"]["default"]["NAME"]).endswith("db.sqlite3")


SECRETS = ("SECRET_KEY", "DATABASE_URL", "EMAIL_HOST_PASSWORD", "METRICS_TOKEN")


@pytest.mark.parametrize("name", [*SECRETS, "SECRETS_KEY", "CELERY_BROKER_URL"])
def test_secret_is_read_from_file(settings_from: Reader, tmp_path: Path, name: str) -> None:
    values = {
        "SECRETS_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "CELERY_BROKER_URL": "redis://host",
        "DATABASE_URL": "sqlite:///from-a-file",
    }
    value = values.get(name, "from-a-file")
    (tmp_path / "secret").write_text(f"{value}\n")
    read = settings_from(DEBUG="1", **{f"{name}_FILE": str(tmp_path / "secret")})

    assert read.problems == []
    setting = {"DATABASE_URL": "DATABASES"}.get(name, name)
    assert value.removeprefix("sqlite:///") in str(read[setting])


def test_file_of_secret_must_be_readable_and_the_only_source(settings_from: Reader) -> None:
    [problem] = settings_from(DEBUG="1", SECRET_KEY_FILE="/no/such/file").problems
    assert problem == "SECRET_KEY_FILE: '/no/such/file' cannot be read (No such file or directory)."
    both = {"SECRET_KEY": "hunter2", "SECRET_KEY_FILE": "/no/such/file"}
    [problem] = settings_from(DEBUG="1", **both).problems
    assert problem == "SECRET_KEY and SECRET_KEY_FILE are both set. Set one of them."


def test_proxy_can_say_that_a_request_came_by_https(settings_from: Reader) -> None:
    read = settings_from(DEBUG="1", SECURE_PROXY_SSL_HEADER="X-Forwarded-Proto")
    assert read["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")
    assert settings_from(DEBUG="1")["SECURE_PROXY_SSL_HEADER"] is None


PRODUCTION = {
    "SECRET_KEY": "production-0123456789-abcdefghijklmnopqrstuvwxyz-0123456789",
    "DATABASE_URL": MEMORY,
    "ALLOWED_HOSTS": "holdfast.example.com",
    "CSRF_TRUSTED_ORIGINS": "https://holdfast.example.com",
    "SECURE_SSL_REDIRECT": "1",
    "SECURE_PROXY_SSL_HEADER": "X-Forwarded-Proto",
    "SECURE_HSTS_SECONDS": "31536000",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS": "1",
    "SECURE_HSTS_PRELOAD": "1",
}


def test_deployment_check_passes_with_settings_of_the_guide() -> None:
    program = "import sys; sys.argv = ['manage.py', 'check', '--deploy', '--fail-level', 'WARNING']"
    program += "; import manage; manage.main()"
    done = python("-c", program, **PRODUCTION)

    assert done.returncode == 0, done.stderr
    guide = (ROOT / "docs" / "how-to" / "operate" / "configure.md").read_text()
    assert {name for name in PRODUCTION if name not in guide} == set()


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_server_does_not_start_on_an_unmigrated_database(server: str, tmp_path: Path) -> None:
    (tmp_path / "empty.sqlite3").touch()
    url = f"sqlite:///{tmp_path}/empty.sqlite3"
    done = python("-c", f"import workflows_project.{server}", DEBUG="1", DATABASE_URL=url)

    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert re.search(r"\d+ migrations are not applied \(.*\)\. Run: manage\.py migrate$", last)


def test_check_passes_with_valid_values() -> None:
    done = manage("check", DATABASE_URL="sqlite://:memory:", SECRET_KEY="for this test")

    assert done.returncode == 0, done.stderr


def test_secret_key_is_random_when_missing(settings_from: Reader) -> None:
    assert settings_from()["SECRET_KEY"] != settings_from()["SECRET_KEY"]
    assert settings_from()["SECRET_KEY"] != settings_from(DEBUG="1")["SECRET_KEY"]


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_server_does_not_start_with_invalid_value(server: str) -> None:
    done = python("-c", f"import workflows_project.{server}", SECURE_HSTS_SECONDS="abc")

    assert done.returncode == 1
    assert "ImproperlyConfigured" in done.stderr
    assert "SECURE_HSTS_SECONDS" in done.stderr


@pytest.mark.parametrize(("server", "seconds"), [("wsgi", 60), ("asgi", 0)])
def test_only_wsgi_keeps_connections_between_requests(server: str, seconds: int) -> None:
    printing = "from django.db import connection; print(connection.settings_dict['CONN_MAX_AGE'])"
    done = python(
        *("-c", f"import workflows_project.{server}; {printing}"),
        DATABASE_URL="postgres://nobody@localhost/none",
        SECRET_KEY="for this test",
    )

    assert done.stdout.split() == [str(seconds)], done.stderr


def test_defaults_are_for_production(settings_from: Reader) -> None:
    read = settings_from()

    assert read["DEBUG"] is False
    assert read["ALLOWED_HOSTS"] == []
    assert read["SESSION_COOKIE_SECURE"] is False
    assert read["SECURE_HSTS_SECONDS"] == 0


def test_cookies_are_secure_with_https_redirect(settings_from: Reader) -> None:
    read = settings_from(SECURE_SSL_REDIRECT="1")

    assert read["SESSION_COOKIE_SECURE"] is True
    assert read["CSRF_COOKIE_SECURE"] is True


def test_lists_are_separated_by_commas(settings_from: Reader) -> None:
    read = settings_from(DEBUG="1", ALLOWED_HOSTS="one.example, two.example")

    assert read["ALLOWED_HOSTS"] == [
        *("one.example", "two.example", "localhost", "127.0.0.1", "[::1]")
    ]


def test_invalid_secrets_key_is_reported_without_its_value(settings_from: Reader) -> None:
    [problem] = settings_from(DEBUG="1", SECRETS_KEY="hunter2").problems

    assert problem.startswith("SECRETS_KEY contains an invalid key")
    assert "hunter2" not in problem


def test_port_out_of_range_is_reported(settings_from: Reader) -> None:
    [problem] = settings_from(DEBUG="1", EMAIL_PORT="70000").problems

    assert problem == "EMAIL_PORT='70000' is not a port number."


def test_command_ends_quietly_when_its_output_is_closed() -> None:
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


@pytest.mark.parametrize("name", ["", "UTC", "Europe/Berlin", "America/Argentina/Ushuaia"])
def test_time_zone_is_read_from_environment(settings_from: Reader, name: str) -> None:
    found = settings_from(DEBUG="1", TIME_ZONE=name)
    assert (found["TIME_ZONE"], found.problems) == (name or "UTC", [])


@pytest.mark.parametrize("name", ["Berlin", "Europe", "+02:00", "../etc/passwd"])
def test_invalid_time_zone_is_reported_and_utc_is_used(settings_from: Reader, name: str) -> None:
    found = settings_from(DEBUG="1", TIME_ZONE=name)
    assert found["TIME_ZONE"] == "UTC"
    assert found.problems == [
        f"TIME_ZONE={name!r} is not a time zone of the IANA database (Europe/Berlin)."
    ]


def test_log_format_and_level_are_settings(settings_from: Reader) -> None:
    read = settings_from(DEBUG="1", LOG_FORMAT="JSON", LOG_LEVEL="warning")["LOGGING"]
    assert read["formatters"]["chosen"]["()"] is log_format.JsonFormatter
    assert read["root"]["level"] == "WARNING"
    default = settings_from(DEBUG="1")["LOGGING"]
    assert default["formatters"]["chosen"]["()"] is log_format.LineFormatter
    assert default["root"]["level"] == "INFO"


def test_worker_does_not_start_on_an_unmigrated_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/empty.sqlite3"
    done = manage("work", DEBUG="1", DATABASE_URL=url)

    assert done.returncode == 3
    assert re.search(r"migrations are not applied \(.*\)\. Run: manage\.py migrate$", done.stderr)
