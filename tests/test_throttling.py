"""Rate limits: none by default, set by the environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

from tests.conftest import Scenario
from tests.workflows.api.clients import Client, assert_problem, client_of
from workflows_project.api.throttling import SCOPES, ScopedThrottle

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_counted() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def rates(settings: Any, **given: str) -> None:
    settings.THROTTLE_RATES = {**dict.fromkeys(SCOPES), **given}


def test_requests_are_unlimited_by_default(settings: Any) -> None:
    assert set(settings.THROTTLE_RATES) == set(SCOPES)
    assert not any(settings.THROTTLE_RATES.values())


def test_throttled_request_has_retry_after(settings: Any) -> None:
    rates(settings, read="2/minute")
    client = client_of(superuser=True)
    for _ in range(2):
        assert client.get("workflows/").status_code == 200
    response = client.get("executions/")
    assert_problem(response, 429, "throttled")
    assert 1 <= int(response["Retry-After"]) <= 60
    assert client_of(superuser=True).get("workflows/").status_code == 200, "another user"
    assert client.post("finding-types/", {"name": "n"}).status_code == 201, "another scope"


def test_request_is_accepted_when_period_is_over(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates(settings, read="1/minute")
    now = 1_000.0
    monkeypatch.setattr(ScopedThrottle, "timer", staticmethod(lambda: now))
    client = client_of(superuser=True)
    assert client.get("workflows/").status_code == 200
    now += 59.5
    assert client.get("workflows/")["Retry-After"] == "1"
    now += 1
    assert client.get("workflows/").status_code == 200


def test_lowered_rate_has_retry_after(settings: Any) -> None:
    client = client_of(superuser=True)
    rates(settings, read="9/minute")
    for _ in range(5):
        client.get("workflows/")
    rates(settings, read="2/hour")
    assert client.get("workflows/")["Retry-After"] == "3600"


def test_starts_have_own_scope(settings: Any, scenario: Scenario) -> None:
    rates(settings, start="1/day")
    client = client_of(superuser=True)
    start = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    execution = client.post("executions/", start).json()["cuid"]
    for path, sent in (
        ("executions/", start),
        ("executions/bulk/start/", {"items": [start]}),
        (f"executions/{execution}/restart/", {}),
    ):
        assert_problem(client.post(path, sent), 429, "throttled")
    assert client.post(f"executions/{execution}/cancel/").status_code == 200


def test_tokens_and_incoming_webhooks_have_own_scopes(settings: Any) -> None:
    rates(settings, token="1/hour", hook="1/hour")
    client = client_of()
    assert client.post("tokens/").status_code == 201
    assert_problem(client.post("tokens/"), 429, "throttled")
    assert client.get("tokens/").status_code == 200
    sender = Client()
    assert sender.post("/hooks/nothing/", {}).status_code == 404
    # A sender cannot choose its own address.
    response = sender.post("/hooks/nothing/", {}, headers={"X-Forwarded-For": "192.0.2.1"})
    assert_problem(response, 429, "throttled")
