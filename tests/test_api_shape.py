"""Every error response below ``/api/`` and ``/hooks/`` has one shape."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import SuspiciousOperation
from django.test import Client as Browser

from tests.workflows.api.clients import Client, assert_problem, client_of
from workflows.models import FindingType

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]


@pytest.fixture
def api(transactional_db: None) -> Client:
    return client_of(superuser=True)


LISTS = (
    *("workflows", "executions", "executions/mine", "findings", "inventory-models"),
    *("finding-types", "record-types", "pending-changes", "audit", "node-types"),
)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/v1", "/api/v2/", "/hooks", "/hooks/", "/hooks/x", "/hooks/x/y/"]
)
def test_unknown_route_is_problem(settings: Any, path: str, debug: bool) -> None:
    settings.DEBUG = debug
    for send in (Browser().get, Browser(enforce_csrf_checks=True).post):
        assert_problem(send(path), 404, "not_found")


@pytest.mark.parametrize("debug", [False, True])
def test_unknown_host_is_refused(settings: Any, debug: bool) -> None:
    settings.DEBUG = debug
    for path in ("/api/v1/workflows/", "/hooks/x/", "/api/v1/moon/"):
        response = Browser().get(path, headers={"Host": "evil.example"})
        body = assert_problem(response, 400, "disallowed_host")
        assert "'evil.example'" in body["detail"]
    response = Browser().get("/admin/", headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert response["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("debug", [False, True])
def test_suspicious_request_is_refused(
    api: Client, settings: Any, monkeypatch: pytest.MonkeyPatch, debug: bool
) -> None:
    settings.DEBUG = debug

    def save(*args: Any, **kwargs: Any) -> None:
        raise SuspiciousOperation("secret")

    monkeypatch.setattr(FindingType, "save", save)
    body = assert_problem(api.post("finding-types/", {"name": "x"}), 400, "bad_request")
    assert "secret" not in str(body)


def test_too_many_parameters_are_refused(api: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 3
    assert_problem(api.get("workflows/?a=1&b=1&c=1&d=1"), 400, "bad_request")


@pytest.mark.parametrize("debug", [False, True])
def test_error_has_details_in_debug_mode_only(
    api: Client, settings: Any, monkeypatch: pytest.MonkeyPatch, debug: bool
) -> None:
    settings.DEBUG = debug

    def save(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(FindingType, "save", save)
    api.raise_request_exception = False
    response = api.post("finding-types/", {"name": "x"})
    body = assert_problem(response, 500, "server_error")
    assert ("secret" in body["detail"]) == ("traceback" in body) == debug
    assert response["X-Request-ID"]


def test_unknown_step_is_refused(settings: Any) -> None:
    script = Browser(enforce_csrf_checks=True)
    # Many senders of webhooks cannot choose their Accept header.
    response = script.post("/hooks/x/", "{}", "application/json", headers={"Accept": "text/html"})
    assert_problem(response, 404, "not_found")
    response = script.get("/hooks/x/")
    assert_problem(response, 405, "method_not_allowed")
    assert "POST" in response["Allow"]
    settings.ALLOWED_HOSTS = ["*"]
    response = script.post("/hooks/x/", b" " * (1024 * 1024 + 1), "application/json")
    assert_problem(response, 413, "too_large")


# Nothing is ignored


@pytest.mark.parametrize("route", LISTS)
def test_list_refuses_unknown_filters_and_values(api: Client, route: str) -> None:
    assert api.get(f"{route}/", {"page": 1, "page_size": 500}).status_code == 200
    for query, code, pointer in (
        ("nonsense=1", "unknown_parameter", "/nonsense"),
        ("page_size=1&page_size=2", "repeated_parameter", "/page_size"),
        ("page_size=abc", "invalid", "/page_size"),
        ("page_size=0", "invalid", "/page_size"),
        ("page_size=-1", "invalid", "/page_size"),
        ("page_size=501", "invalid", "/page_size"),
        ("page_size=²", "invalid", "/page_size"),
        ("page=", "invalid", "/page"),
        ("page=last", "invalid", "/page"),
    ):
        body = assert_problem(api.get(f"{route}/?{query}"), 400, code)
        assert [row["pointer"] for row in body["errors"]] == [pointer], query
        assert pointer[1:] in body["detail"]
    body = assert_problem(api.get(f"{route}/?nonsense=1"), 400, "unknown_parameter")
    assert "page, page_size" in body["detail"]
    body = assert_problem(api.get(f"{route}/?page=99"), 404, "not_found")
    assert "99" in body["detail"]


@pytest.mark.parametrize(
    "name", ["status", "live", "started_after", "waiting_for", "entity", "workflow__in"]
)
def test_empty_filter_is_refused(api: Client, name: str) -> None:
    body = assert_problem(api.get(f"executions/?{name}="), 400, "invalid")
    assert f"'{name}' is empty" in body["detail"]
    assert api.get("executions/?search=&ordering=").status_code == 200


def test_nested_lists_refuse_unknown_parameters(api: Client, scenario: Any) -> None:
    execution = scenario.start()
    for path in (
        f"executions/{execution.cuid}/steps/",
        f"workflows/{scenario.caller.cuid}/versions/",
    ):
        assert api.get(path).status_code == 200
        assert_problem(api.get(f"{path}?search=x"), 400, "unknown_parameter")


def test_refusal_names_known_filters(api: Client) -> None:
    body = assert_problem(api.get("executions/?stat=live&x=1"), 400, "unknown_parameter")
    assert "search, ordering, cursor, page" in body["detail"]
    assert [row["pointer"] for row in body["errors"]] == ["/stat", "/x"]
    body = assert_problem(api.get("executions/?ordering=nonsense"), 400, "invalid")
    assert "'nonsense'" in body["detail"] and "started_at" in body["detail"]
    assert body["errors"][0]["pointer"] == "/ordering"


def test_repeated_name_in_body_is_refused(api: Client) -> None:
    for text in ('{"name": "a", "name": "b"}', '{"name": "a", "x": [{"y": 1, "y": 1}]}'):
        response = api.post("finding-types/", text, content_type="application/json")
        assert "twice" in assert_problem(response, 400, "parse_error")["detail"]
    assert not FindingType.objects.exists()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_invalid_number_is_refused(api: Client, number: str) -> None:
    text = f'{{"name": "a", "description": {number}}}'
    response = api.post("finding-types/", text, content_type="application/json")
    assert number in assert_problem(response, 400, "parse_error")["detail"]


@pytest.mark.parametrize(
    ("path", "sent", "pointer"),
    [
        ("finding-types/", {"name": 3}, "/name"),
        ("finding-types/", {"name": True}, "/name"),
        ("workflows/", {"title": "t", "entity_name_type": 1}, "/entity_name_type"),
        ("workflows/", {"title": "t", "state": 1}, "/state"),
        ("workflows/", {"title": "t", "trigger_data": "{}"}, "/trigger_data"),
        ("executions/", {"workflow": "x", "entity": "y", "scheduled_for": 5}, "/scheduled_for"),
        ("executions/", {"workflow": "x", "entity": "y", "scheduled_for": True}, "/scheduled_for"),
        (
            "workflows/change-entity-context/",
            {"workflows": ["x"], "dry_run": "true"},
            "/dry_run",
        ),
        ("workflows/change-entity-context/", {"workflows": "x"}, "/workflows"),
        ("workflows/change-entity-context/", {"workflows": [1]}, "/workflows/0"),
        ("findings/", {"title": "t", "fields": []}, "/fields"),
    ],
)
def test_value_of_other_type_is_refused(
    api: Client, path: str, sent: dict[str, Any], pointer: str
) -> None:
    response = api.post(path, sent)
    assert response.status_code == 400
    assert pointer in [row["pointer"] for row in response.json()["errors"]]
