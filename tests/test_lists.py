"""Every list of the API: pages, fields, statements and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from executions import services as running
from executions.api.executions import ExecutionViewSet
from executions.models import Execution
from tests.conftest import Scenario
from tests.executions.receivers import create_webhook
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    InventoryModelFactory,
    RecordTypeFactory,
    WorkflowFactory,
    form,
    save_line,
)
from tests.openapi import schema
from tests.workflows.api.clients import Client, assert_problem, client_of, statements
from workflows import editing
from workflows.values import csv_cells
from workflows_project.api import pagination

pytestmark = pytest.mark.django_db

LISTS = [
    path.removeprefix("/api/v1/")
    for path, methods in schema()["paths"].items()
    if any(row["name"] == "page" for row in methods.get("get", {}).get("parameters", ()))
]


@pytest.fixture
def api() -> Client:
    return client_of(superuser=True)


@pytest.fixture
def list_path(scenario: Scenario, settings: Any) -> Callable[[str], str]:
    """Return a function that returns the path of a list with rows."""
    execution = scenario.start()

    def path(route: str) -> str:
        row: Any = scenario.caller
        if route.startswith("executions"):
            row = execution
        elif route.startswith("webhooks"):
            settings.SECRETS_KEY = [Fernet.generate_key().decode()]
            settings.HTTP_REQUEST_HOSTS = ["listener.example"]
            row, _ = create_webhook("https://listener.example/")
            scenario.start()
        return route.replace("{cuid}", row.cuid)

    return path


def add_rows(scenario: Scenario, number: int) -> None:
    """Add rows to every list."""
    workflow = WorkflowFactory(entity_name_type=FindingTypeFactory())
    save_line(workflow, form())
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    for index in range(number):
        running.start(workflow, finding)
        InventoryModelFactory(primary_record_type=RecordTypeFactory())
        save_line(scenario.caller, form(), form(f"form {index}"))
        scenario.start()
        draining = WorkflowFactory(entity_name_type=workflow.entity_name_type)
        save_line(draining, form())
        running.start(draining, finding)
        editing.change_entity_context(
            [draining], entity_name_type=FindingTypeFactory(), when="drained"
        )


def read_pages(
    api: Client, path: str, direction: str = "next", **query: Any
) -> list[dict[str, Any]]:
    """Return the rows of all pages in a direction."""
    rows: list[dict[str, Any]] = []
    address: str | None = path
    while address:
        body = api.get(address, query).json()
        page = body["results"]
        rows = rows + page if direction == "next" else page + rows
        address, query = body[direction], {}
        if address:
            parts = urlsplit(address)
            address = f"{parts.path}?{parts.query}"
    return rows


# Pages


def test_openapi_describes_the_lists() -> None:
    assert {"executions/", "executions/{cuid}/steps/", "tokens/", "audit/"} <= set(LISTS)


def test_list_costs_the_same_statements_for_any_length(
    api: Client, scenario: Scenario, list_path: Callable[[str], str]
) -> None:
    paths = [list_path(route) for route in LISTS]

    def count() -> dict[str, int]:
        return {path: statements(partial(api.get, path)) for path in paths}

    add_rows(scenario, 1)
    few = count()
    add_rows(scenario, 3)
    assert count() == few
    assert {path: number for path, number in few.items() if number > 12} == {}


@pytest.fixture
def executions(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> list[Execution]:
    """Return nine executions in several statuses, some started at the same moment."""
    moments = [timezone.now() + timedelta(days=day) for day in range(2)]
    for number in range(9):
        monkeypatch.setattr(timezone, "now", lambda now=moments[number % 2]: now)
        execution = scenario.start()
        if number % 3 == 1:
            running.cancel(execution)
        elif number % 3 == 2:
            running.submit(execution, node="form", data={"note": "n"})
    monkeypatch.undo()
    return list(Execution.objects.order_by("pk"))


ORDERINGS = ["", *(sign + name for name in ExecutionViewSet.ordering_fields for sign in ("", "-"))]


@pytest.mark.both_databases
def test_pages_have_every_row_once_in_order(api: Client, executions: list[Execution]) -> None:
    for ordering in [*ORDERINGS, "status,-started_at", "-started_at,-status"]:
        query: dict[str, Any] = {"ordering": ordering} if ordering else {}
        whole = api.get("executions/", {**query, "page_size": 500}).json()
        assert (whole["count"], whole["next"], whole["previous"]) == (len(executions), None, None)
        for size in (1, 2, 5):
            found = read_pages(api, "executions/", page_size=size, **query)
            assert [row["cuid"] for row in found] == [row["cuid"] for row in whole["results"]]
            assert len({row["cuid"] for row in found}) == len(executions), ordering
        for name in ordering.split(",")[:1]:
            values = [row[name.lstrip("-")] for row in found] if name else []
            present = [value for value in values if value is not None]
            assert present == sorted(present, reverse=name.startswith("-")), ordering
            assert values[: len(present)] == present, f"{ordering}: rows without a value come last"


@pytest.mark.both_databases
def test_previous_links_return_the_same_pages(api: Client, executions: list[Execution]) -> None:
    for ordering in ORDERINGS:
        query: dict[str, Any] = {"ordering": ordering} if ordering else {}
        pages_found, address = [], "executions/"
        body = api.get(address, {**query, "page_size": 2}).json()
        while True:
            pages_found.append(body["results"])
            if body["next"] is None:
                break
            body = api.get(body["next"]).json()
        for expected in reversed(pages_found[:-1]):
            body = api.get(body["previous"]).json()
            assert body["results"] == expected, ordering
        assert body["previous"] is None or api.get(body["previous"]).json()["results"] == []


def test_new_row_does_not_shift_the_next_page(api: Client, scenario: Scenario) -> None:
    first = [scenario.start().cuid for _ in range(4)][::-1]
    body = api.get("executions/", {"page_size": 2}).json()
    scenario.start()
    after = api.get(body["next"]).json()
    assert [row["cuid"] for row in body["results"] + after["results"]] == first


def test_cursor_of_another_order_is_rejected(api: Client, executions: list[Execution]) -> None:
    after = api.get("executions/", {"page_size": 2}).json()["next"]
    assert api.get(after).status_code == 200
    assert_problem(api.get(f"{after}&ordering=status"), 400, "invalid_cursor")


@pytest.mark.parametrize(
    "cursor", ["", "x", "é", "W10", "bnVsbA", "WyItcGsiXQ", "W1siLXBrIl0sZmFsc2UsWzFlOTldXQ"]
)
def test_damaged_cursor_is_rejected(api: Client, cursor: str) -> None:
    assert_problem(api.get("executions/", {"cursor": cursor}), 400, "invalid_cursor")


def test_nullable_field_must_come_first_in_the_ordering(api: Client) -> None:
    assert api.get("executions/", {"ordering": "-ended_at,status"}).status_code == 200
    response = api.get("executions/", {"ordering": "status,ended_at"})
    assert "ended_at" in assert_problem(response, 400, "invalid")["detail"]


def test_count_is_null_above_the_limit(
    api: Client, executions: list[Execution], monkeypatch: Any
) -> None:
    monkeypatch.setattr(pagination, "COUNT_LIMIT", 4)
    body = api.get("executions/", {"page_size": 2}).json()
    assert body["count"] is None
    assert api.get("executions/", {"page_size": 2, "page": 2}).status_code == 200
    response = api.get("executions/", {"page_size": 2, "page": 3})
    assert "next" in assert_problem(response, 400, "invalid")["detail"]
    assert len(read_pages(api, "executions/", page_size=2)) == len(executions)


# Fields


@pytest.mark.parametrize("route", LISTS)
def test_fields_parameter_limits_the_fields_of_a_list(
    api: Client, list_path: Callable[[str], str], route: str
) -> None:
    path = list_path(route)
    whole = api.get(path).json()
    if not whole["results"]:
        pytest.skip("The list is empty.")
    name, *_, last = whole["results"][0]
    body = api.get(path, {"fields": f"{last},{name}"}).json()
    assert body == {**whole, "results": [{name: r[name], last: r[last]} for r in whole["results"]]}
    problem = assert_problem(api.get(path, {"fields": "nope"}), 400, "unknown_parameter")
    assert name in problem["detail"]


@pytest.mark.parametrize("kind", ["workflow", "execution", "finding"])
def test_fields_parameter_keeps_the_etag_of_the_whole_row(
    api: Client, scenario: Scenario, kind: str
) -> None:
    row: Any = {
        "workflow": scenario.caller,
        "execution": scenario.start(),
        "finding": scenario.finding,
    }[kind]
    path = f"{kind}s/{row.cuid}/"
    response = api.get(path, {"fields": "cuid"})
    assert response.json() == {"cuid": row.cuid}
    assert response.headers.get("ETag") == api.get(path).headers.get("ETag")
    assert_problem(api.get(path, {"fields": "cuid,"}), 400, "unknown_parameter")


# CSV


def table(response: Any) -> list[dict[str, str]]:
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("route", LISTS)
def test_every_list_is_available_as_csv(
    api: Client, list_path: Callable[[str], str], route: str
) -> None:
    path = list_path(route)
    whole = api.get(path).json()
    response = api.get(path, headers={"Accept": "text/csv"})
    assert "attachment" in response["Content-Disposition"]
    assert len(table(response)) == len(whole["results"])
    assert len(table(api.get(path, {"format": "csv"}))) == len(whole["results"])


@pytest.mark.both_databases
def test_csv_has_all_filtered_rows(
    api: Client, executions: list[Execution], monkeypatch: Any
) -> None:
    monkeypatch.setattr(pagination.ListPagination, "max_page_size", 4)
    query: dict[str, Any] = {"format": "csv", "ordering": "-ended_at", "page_size": 2}
    found = table(api.get("executions/", {**query, "fields": "cuid,entity,status"}))
    assert len(found) == len(executions)
    assert list(found[0]) == ["cuid", "status", "entity.cuid", "entity.title", "entity.entity_name"]
    cancelled = table(api.get("executions/", {**query, "status": "cancelled"}))
    assert {row["status"] for row in cancelled} == {"cancelled"}


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2", "'-2"),
        (-2, -2),
        (None, ""),
        (True, "true"),
        ({"a": ["é"]}, '{"a": ["é"]}'),
    ],
)
def test_csv_cell_is_never_a_formula(value: Any, cell: Any) -> None:
    assert csv_cells.format_cell(value) == cell


def test_csv_is_not_acceptable_for_single_rows(api: Client, scenario: Scenario) -> None:
    for path in (f"workflows/{scenario.caller.cuid}/", "workflows/change-entity-context/"):
        response = api.get(path, headers={"Accept": "text/csv"})
        assert_problem(response, 406, "not_acceptable")
        assert_problem(api.get(f"{path}?format=csv"), 406, "not_acceptable")


def test_csv_is_not_acceptable_for_options(api: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    for path in ("executions/", f"executions/{execution.cuid}/steps/", "tokens/"):
        response = api.options(path, headers={"Accept": "text/csv"})
        assert_problem(response, 406, "not_acceptable")
        assert_problem(api.options(f"{path}?format=csv"), 406, "not_acceptable")


def test_error_of_a_csv_request_is_a_problem(api: Client) -> None:
    response = api.get("executions/", {"status": "nope"}, headers={"Accept": "text/csv"})
    assert_problem(response, 400, "invalid_choice")


# Filters and search


def test_executions_are_filtered_by_several_statuses(
    api: Client, executions: list[Execution]
) -> None:
    def found(text: str) -> set[str]:
        return {row["status"] for row in api.get("executions/", {"status": text}).json()["results"]}

    assert found("cancelled") == {"cancelled"}
    assert found("cancelled,completed") == {"cancelled", "completed"}
    assert found("cancelled,waiting") == {"cancelled", "waiting"}
    assert_problem(api.get("executions/", {"status": "cancelled,x"}), 400, "invalid_choice")


def test_poll_returns_changes_since_a_moment(api: Client, scenario: Scenario) -> None:
    first, second = scenario.start(), scenario.start()
    since = api.get(f"executions/{second.cuid}/").json()["updated_at"]
    running.cancel(first)
    query = {"updated_after": since, "ordering": "updated_at", "fields": "cuid,status"}
    assert api.get("executions/", query).json()["results"] == [
        {"cuid": second.cuid, "status": "waiting"},
        {"cuid": first.cuid, "status": "cancelled"},
    ]
    assert api.get("executions/", {**query, "updated_before": since}).json()["results"] == []


def test_waiting_for_me_equals_mine(scenario: Scenario) -> None:
    api = client_of("executions.view_execution", "executions.submit_execution")
    waiting, ended = scenario.start(), scenario.start()
    running.cancel(ended)
    found = api.get("executions/", {"waiting_for": "me"}).json()["results"]
    assert [row["cuid"] for row in found] == [waiting.cuid]
    assert found == api.get("executions/mine/").json()["results"]
    assert_problem(api.get("executions/", {"waiting_for": "others"}), 400, "invalid_choice")


def test_search_finds_a_cuid_and_a_title_of_the_same_length(
    api: Client, scenario: Scenario
) -> None:
    execution = scenario.start()
    scenario.start()
    entity = FindingFactory(title="t" * 25, entity_name_type=scenario.limitation)
    other = running.start(scenario.caller, entity)

    def found(text: str) -> list[str]:
        return [row["cuid"] for row in api.get("executions/", {"search": text}).json()["results"]]

    assert found(execution.cuid) == [execution.cuid]
    assert found("t" * 25) == [other.cuid]
    assert found("x" * 25) == []
