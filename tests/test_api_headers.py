"""Headers, status, CORS and addresses of problem types."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.core.cache import cache
from django.test import Client as Browser

from executions.models import WorkerKind
from executions.worker import heartbeat
from tests.workflows.api.clients import Client, assert_problem, client_of
from workflows_project.api.throttling import SCOPES

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Client:
    return client_of(superuser=True)


def test_status_names_version_database_and_worker(api: Client) -> None:
    status = api.get("status/").json()
    pyproject = (Path(project.BASE_DIR) / "pyproject.toml").read_text()
    assert status["version"] == tomllib.loads(pyproject)["project"]["version"]
    assert status["database"]["vendor"] in ("sqlite", "postgresql")
    assert status["database"]["version"][0].isdigit()
    assert status["worker"] == {"running": False, "last_seen_at": None}
    heartbeat.beat(WorkerKind.WORK)
    assert api.get("status/").json()["worker"]["running"]


# Accept

JSON, CSV = "application/json", "text/csv; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", JSON),
        ("text/csv", CSV),
        ("text/csv, application/json;q=0.5", CSV),
        ("text/csv;q=0.5, application/json", JSON),
        ("text/csv;q=0.5, */*;q=0.1", CSV),
        ("application/json;q=0, */*", CSV),
        ("text/*, */*;q=0.9", CSV),
        ("text/csv, */*", CSV),
        ("text/html, */*;q=0.1", JSON),
        ("Application/JSON;q=1.0", JSON),
        ("text/csv;q=nonsense", CSV),
    ],
)
def test_list_has_the_preferred_format(api: Client, accept: str, expected: str) -> None:
    response = api.get("workflows/", headers={"Accept": accept})
    assert (response.status_code, response["Content-Type"]) == (200, expected)


@pytest.mark.parametrize(
    "accept", ["text/html", "*/*;q=0", "application/json;q=0", "text/html;q=1"]
)
def test_list_is_not_acceptable_without_a_format_of_it(api: Client, accept: str) -> None:
    assert_problem(api.get("workflows/", headers={"Accept": accept}), 406, "not_acceptable")


# Rate limits


@pytest.fixture
def limited(settings: Any) -> Iterator[None]:
    cache.clear()
    settings.THROTTLE_RATES = {**dict.fromkeys(SCOPES), "read": "2/minute"}
    yield
    cache.clear()


def test_limited_response_says_what_is_left(limited: None) -> None:
    api = client_of(superuser=True)
    for left in ("1", "0", "0"):
        response = api.get("workflows/")
        assert response["RateLimit-Policy"] == '"read";q=2;w=60'
        assert response["RateLimit"].startswith(f'"read";r={left};t=')
        assert 0 < int(response["RateLimit"].rpartition("=")[2]) <= 60
    assert response.status_code == 429
    assert not api.post("finding-types/", {"name": "n"}).has_header("RateLimit")


def test_every_response_has_a_request_id(api: Client) -> None:
    assert api.get("workflows/")["X-Request-ID"]
    assert api.get("nothing/", headers={"X-Request-ID": "a-1"})["X-Request-ID"] == "a-1"


# CORS


def test_other_origins_get_no_access_by_default(api: Client) -> None:
    response = api.get("workflows/", headers={"Origin": "https://app.example"})
    assert not response.has_header("Access-Control-Allow-Origin")


def test_named_origins_may_use_the_api(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    settings.MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware", *settings.MIDDLEWARE]
    api = client_of(superuser=True)
    response = api.get("workflows/", headers={"Origin": "https://app.example"})
    assert response["Access-Control-Allow-Origin"] == "https://app.example"
    assert "ETag" in response["Access-Control-Expose-Headers"]
    preflight = Browser().options(
        "/api/v1/executions/",
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, idempotency-key",
        },
    )
    assert preflight.status_code == 200
    assert "idempotency-key" in preflight["Access-Control-Allow-Headers"]
    other = api.get("workflows/", headers={"Origin": "https://evil.example"})
    assert not other.has_header("Access-Control-Allow-Origin")
    admin = Browser().get("/admin/login/", headers={"Origin": "https://app.example"})
    assert not admin.has_header("Access-Control-Allow-Origin")


# Addresses of problem types


def test_type_of_problem_leads_to_its_section(api: Client) -> None:
    address = assert_problem(api.get("nothing/"), 404, "not_found")["type"]
    response = Browser().get(address)
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    text = response.content.decode()
    assert text.startswith("not_found\n\n**404.**") and "###" not in text
    assert Browser().get("/problems/nonsense").status_code == 404


def test_type_of_problem_redirects_to_the_website(settings: Any) -> None:
    settings.DOCS_URL = "https://docs.example/holdfast/"
    response = Browser().get("/problems/not_found")
    assert response["Location"] == "https://docs.example/holdfast/reference/problems.html#not_found"
