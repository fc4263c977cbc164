"""``CELERY_BROKER_URL``: the broker, and the start of Celery."""

from __future__ import annotations

import pytest

from tests.settings.environments import Reader, python


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
def test_invalid_broker_url_is_reported_without_its_value(settings_from: Reader, url: str) -> None:
    [problem] = settings_from(DEBUG="1", CELERY_BROKER_URL=url).problems

    assert problem.startswith("CELERY_BROKER_URL is invalid. Use redis://")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "url", ["", "redis://host", "rediss://user:pass@host:6380/2", "redis+socket:///a/redis.sock"]
)
def test_valid_broker_url_is_used(settings_from: Reader, url: str) -> None:
    read = settings_from(DEBUG="1", CELERY_BROKER_URL=url)

    assert read["CELERY_BROKER_URL"] == url
    assert read.problems == []


@pytest.mark.parametrize(
    ("part", "values", "sentence"),
    [
        ("worker", {}, "CELERY_BROKER_URL is not set. Set it, or run manage.py work"),
        ("beat", {"CELERY_BROKER_URL": "garbage"}, "CELERY_BROKER_URL is invalid. Use redis://"),
        (
            "worker",
            {"CELERY_BROKER_URL": "redis://host", "EMAIL_PORT": "0"},
            "EMAIL_PORT='0' is not",
        ),
    ],
)
def test_celery_does_not_start_with_invalid_value(
    part: str, values: dict[str, str], sentence: str
) -> None:
    done = python("-m", "celery", "-A", "workflows_project", part, DEBUG="1", **values)

    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_celery_is_imported_only_with_broker() -> None:
    program = "import django, sys; django.setup(); print('celery' in sys.modules)"
    settings = {"DEBUG": "1", "DJANGO_SETTINGS_MODULE": "workflows_project.settings"}

    assert python("-c", program, **settings).stdout == "False\n"
    assert python("-c", program, CELERY_BROKER_URL="redis://host", **settings).stdout == "True\n"


def test_broker_certificate_is_required_with_tls() -> None:
    program = "from workflows_project.celery import app; print(app.conf.broker_use_ssl)"
    settings = {"DEBUG": "1", "DJANGO_SETTINGS_MODULE": "workflows_project.settings"}

    assert (
        "CERT_REQUIRED"
        in python("-c", program, CELERY_BROKER_URL="rediss://host", **settings).stdout
    )
