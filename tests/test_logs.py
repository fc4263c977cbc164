"""Logs: one line for each request, with its id, in lines or as JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError
from django.test import Client as Browser

from tests.factories import UserFactory
from tests.test_database_faults import LOST, failing
from tests.workflows.api.clients import API, Client, client_of
from workflows.audit.actor import Actor, act_as
from workflows_project.ops import log_format

Lines = Callable[[], list[str]]


def read_log(form: str) -> Iterator[Lines]:
    """Write the log in this format, at its default level, and return a function that reads it."""
    written = StringIO()
    factory = log_format.configure(form, "INFO")["formatters"]["chosen"]["()"]
    handler = logging.StreamHandler(written)
    handler.setFormatter(factory())
    root = logging.getLogger()
    root.addHandler(handler)
    yield lambda: written.getvalue().splitlines()
    root.removeHandler(handler)


@pytest.fixture
def lines() -> Iterator[Lines]:
    yield from read_log("line")


@pytest.fixture
def records() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    for read in read_log("json"):

        def parse(read: Lines = read) -> list[dict[str, Any]]:
            return [json.loads(line) for line in read()]

        yield parse


@pytest.mark.django_db
def test_request_logs_one_json_object_with_id_user_and_duration(records: Any) -> None:
    user = UserFactory(username="anna", is_superuser=True)
    user.set_password("s3cret-password")
    user.save()
    client = Client()
    client.credentials(HTTP_AUTHORIZATION=basic("anna", "s3cret-password"))
    body = {"name": "A private name"}
    client.post("finding-types/?dry_run=true", body, headers={"X-Request-ID": "mine-1"})
    [record] = records()
    assert record.pop("duration_ms") > 0
    assert record.pop("time").endswith("Z")
    assert record.pop("message").startswith("POST /api/v1/finding-types/ 200 in ")
    assert record == {
        "level": "INFO",
        "logger": "holdfast.requests",
        "request_id": "mine-1",
        "interface": "api",
        "user": "anna",
        "method": "POST",
        "path": "/api/v1/finding-types/",
        "status": 200,
        "address": "127.0.0.1",
    }


def basic(name: str, password: str) -> str:
    from base64 import b64encode

    return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


@pytest.mark.django_db
def test_line_has_request_id_user_and_problem_code(lines: Lines) -> None:
    client = client_of("workflows.view_workflow")
    response = client.get("workflows/?nonsense=1")
    [line] = lines()
    assert f" INFO holdfast.requests [{response['X-Request-ID']}] GET " in line
    assert " /api/v1/workflows/ 400 in " in line
    assert " user=client" in line and line.endswith(" code=unknown_parameter")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "host", "status"),
    [("/admin/none/", "testserver", 302), ("/api/none/", "testserver", 404), ("/", "evil", 400)],
)
def test_every_response_has_an_id_and_one_line(
    client: Browser, lines: Lines, path: str, host: str, status: int
) -> None:
    response = client.get(path, headers={"host": host, "X-Request-ID": "id-7"})
    assert (response.status_code, response.headers["X-Request-ID"]) == (status, "id-7")
    [line] = lines()
    assert "[id-7]" in line


def test_invalid_request_id_is_replaced(client: Browser, db: None) -> None:
    response = client.get("/api/none/", headers={"X-Request-ID": 'a"b\tc'})
    assert response.headers["X-Request-ID"].isalnum()


def test_probes_are_not_logged(client: Browser, lines: Lines) -> None:
    client.get("/healthz")
    assert lines() == []


@pytest.mark.django_db
def test_all_lines_of_a_request_have_its_id(records: Any) -> None:
    client = client_of(superuser=True)
    client.raise_request_exception = False
    with failing(DatabaseError("syntax error"), at="workflows_workflow"):
        client.get("workflows/", headers={"X-Request-ID": "id-8"})
    found = records()
    assert [row["logger"] for row in found] == ["django.request", "holdfast.requests"]
    assert {row["request_id"] for row in found} == {"id-8"}
    assert "DatabaseError: syntax error" in found[0]["exception"]


@pytest.mark.django_db
def test_database_fault_is_logged_at_error_without_reading_the_user(records: Any) -> None:
    client = client_of(superuser=True)
    with failing(OperationalError(LOST)):
        client.get("workflows/")
    [record] = records()
    assert (record["level"], record["status"], record["user"]) == ("ERROR", 503, "")
    assert record["fault"].startswith("database_unavailable: server closed")


@pytest.mark.django_db
def test_path_of_a_client_cannot_begin_a_line(client: Browser, lines: Lines) -> None:
    client.get(f"{API}x%0AERROR%20forged")
    logging.getLogger("holdfast").warning("From a client: %s", "a\nb\u2028c")
    assert len(lines()) == 2
    assert lines()[1].endswith(r"From a client: a\nb\u2028c")


def test_lines_of_commands_have_the_account() -> None:
    record = logging.LogRecord("holdfast", logging.INFO, "", 1, "Hello", None, None)
    with act_as(Actor(request_id="run-1", account="operator")):
        text = log_format.LineFormatter().format(record)
    assert text.endswith(" INFO holdfast [run-1] Hello user=operator")
