"""Every list of the API: its pages, its columns, what it costs, and all of it as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from executions import services as running
from executions.models import Execution
from tests.conftest import Scenario
from tests.executions.listening import subscribed
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    InventoryModelFactory,
    RecordTypeFactory,
    WorkflowFactory,
    drawn,
    form,
)
from tests.openapi import schema
from tests.workflows.api.clients import Client, assert_problem, client_of, statements
from workflows import editing as drawing
from workflows.values import csv_cells
from workflows_project.api import pagination

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

LISTS = [
    path.removeprefix("/api/v1/")
    for path, methods in schema()["paths"].items()
    if any(row["name"] == "page" for row in methods.get("get", {}).get("parameters", ()))
]


@pytest.fixture
def api() -> Client:
    return client_of(superuser=True)


@pytest.fixture
def at(scenario: Scenario, settings: Any) -> Callable[[str], str]:
    """The path of a list, with something in it."""
    execution = scenario.start()

    def path(route: str) -> str:
        row: Any = scenario.caller
        if route.startswith("executions"):
            row = execution
        elif route.startswith("webhooks"):
            settings.SECRETS_KEY = [Fernet.generate_key().decode()]
            settings.HTTP_REQUEST_HOSTS = ["listener.example"]
            row, _ = subscribed("https://listener.example/")
            scenario.start()
        return route.replace("{cuid}", row.cuid)

    return path


def more(scenario: Scenario, number: int) -> None:
    """Rows in every list."""
    workflow = WorkflowFactory(entity_name_type=FindingTypeFactory())
    drawn(workflow, form())
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    for index in range(number):
        running.start(workflow, finding)
        InventoryModelFactory(primary_record_type=RecordTypeFactory())
        drawn(scenario.caller, form(), form(f"form {index}"))
        scenario.start()
        held = WorkflowFactory(entity_name_type=workflow.entity_name_type)
        drawn(held, form())
        running.start(held, finding)
        drawing.change_entity_context([held], entity_name_type=FindingTypeFactory(), when="drained")


def walked(api: Client, path: str, way: str = "next", **query: Any) -> list[dict[str, Any]]:
    """The rows of all pages, from the first on or from this path back."""
    rows: list[dict[str, Any]] = []
    address: str | None = path
    while address:
        body = api.get(address, query).json()
        page = body["results"]
        rows = rows + page if way == "next" else page + rows
        address, query = body[way], {}
        if address:
            parts = urlsplit(address)
            address = f"{parts.path}?{parts.query}"
    return rows


# Pages


def test_the_lists_are_those_of_the_description() -> None:
    assert {"executions/", "executions/{cuid}/steps/", "tokens/", "audit/"} <= set(LISTS)


@pytest.mark.parametrize("route", LISTS)
def test_a_list_costs_as_many_statements_however_long_it_is(
    api: Client, scenario: Scenario, at: Callable[[str], str], route: str
) -> None:
    path = at(route)
    more(scenario, 1)
    few = statements(lambda: api.get(path))
    more(scenario, 8)
    assert statements(lambda: api.get(path)) == few <= 12


@pytest.fixture
def executions(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> list[Execution]:
    """Nine in several statuses, some at the same instant."""
    moments = [timezone.now() + timedelta(days=day) for day in range(2)]
    for number in range(9):
        monkeypatch.setattr(timezone, "now", lambda at=moments[number % 2]: at)
        execution = scenario.start()
        if number % 3 == 1:
            running.cancel(execution)
        elif number % 3 == 2:
            running.submit(execution, node="form", data={"note": "n"})
    monkeypatch.undo()
    return list(Execution.objects.order_by("pk"))


ORDERINGS = ["", "status", "-status", "started_at", "-started_at", "ended_at", "-ended_at"]


@pytest.mark.parametrize("ordering", [*ORDERINGS, "status,-started_at", "-started_at,-status"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_pages_hold_every_row_once_in_order(
    api: Client, executions: list[Execution], ordering: str, size: int
) -> None:
    asked: dict[str, Any] = {"ordering": ordering} if ordering else {}
    whole = api.get("executions/", {**asked, "page_size": 500}).json()
    assert (whole["count"], whole["next"], whole["previous"]) == (len(executions), None, None)
    found = walked(api, "executions/", page_size=size, **asked)
    assert [row["cuid"] for row in found] == [row["cuid"] for row in whole["results"]]
    assert len({row["cuid"] for row in found}) == len(executions)
    for name in ordering.split(",")[:1]:
        values = [row[name.lstrip("-")] for row in found] if name else []
        there = [value for value in values if value is not None]
        assert there == sorted(there, reverse=name.startswith("-"))
        assert values[: len(there)] == there, "rows without a value come last"


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_the_way_back_shows_the_same_pages(
    api: Client, executions: list[Execution], ordering: str
) -> None:
    asked: dict[str, Any] = {"ordering": ordering} if ordering else {}
    pages_found, address = [], "executions/"
    body = api.get(address, {**asked, "page_size": 2}).json()
    while True:
        pages_found.append(body["results"])
        if body["next"] is None:
            break
        body = api.get(body["next"]).json()
    for expected in reversed(pages_found[:-1]):
        body = api.get(body["previous"]).json()
        assert body["results"] == expected
    assert body["previous"] is None or api.get(body["previous"]).json()["results"] == []


def test_what_is_added_meanwhile_moves_no_row(api: Client, scenario: Scenario) -> None:
    first = [scenario.start().cuid for _ in range(4)][::-1]
    body = api.get("executions/", {"page_size": 2}).json()
    scenario.start()
    after = api.get(body["next"]).json()
    assert [row["cuid"] for row in body["results"] + after["results"]] == first


def test_a_cursor_of_another_order_is_refused(api: Client, executions: list[Execution]) -> None:
    after = api.get("executions/", {"page_size": 2}).json()["next"]
    assert api.get(after).status_code == 200
    assert_problem(api.get(f"{after}&ordering=status"), 400, "invalid_cursor")


@pytest.mark.parametrize(
    "cursor", ["", "x", "é", "W10", "bnVsbA", "WyItcGsiXQ", "W1siLXBrIl0sZmFsc2UsWzFlOTldXQ"]
)
def test_a_damaged_cursor_is_refused(api: Client, cursor: str) -> None:
    assert_problem(api.get("executions/", {"cursor": cursor}), 400, "invalid_cursor")


def test_what_may_be_missing_is_ordered_by_first_or_not_at_all(api: Client) -> None:
    assert api.get("executions/", {"ordering": "-ended_at,status"}).status_code == 200
    response = api.get("executions/", {"ordering": "status,ended_at"})
    assert "ended_at" in assert_problem(response, 400, "invalid")["detail"]


def test_more_than_is_counted_is_not_counted(
    api: Client, executions: list[Execution], monkeypatch: Any
) -> None:
    monkeypatch.setattr(pagination, "COUNTED", 4)
    body = api.get("executions/", {"page_size": 2}).json()
    assert body["count"] is None
    assert api.get("executions/", {"page_size": 2, "page": 2}).status_code == 200
    response = api.get("executions/", {"page_size": 2, "page": 3})
    assert "next" in assert_problem(response, 400, "invalid")["detail"]
    assert len(walked(api, "executions/", page_size=2)) == len(executions)


# Some of a row


@pytest.mark.parametrize("route", LISTS)
def test_a_list_shows_what_is_asked_for_alone(
    api: Client, at: Callable[[str], str], route: str
) -> None:
    path = at(route)
    whole = api.get(path).json()
    if not whole["results"]:
        pytest.skip("Nothing is in it.")
    name, *_, last = whole["results"][0]
    body = api.get(path, {"fields": f"{last},{name}"}).json()
    assert body == {**whole, "results": [{name: r[name], last: r[last]} for r in whole["results"]]}
    problem = assert_problem(api.get(path, {"fields": "nope"}), 400, "unknown_parameter")
    assert name in problem["detail"]


@pytest.mark.parametrize("kind", ["workflow", "execution", "finding"])
def test_so_does_a_row_and_its_etag_is_that_of_the_whole(
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
def test_every_list_can_be_had_as_csv(api: Client, at: Callable[[str], str], route: str) -> None:
    path = at(route)
    whole = api.get(path).json()
    response = api.get(path, headers={"Accept": "text/csv"})
    assert "attachment" in response["Content-Disposition"]
    assert len(table(response)) == len(whole["results"])
    assert len(table(api.get(path, {"format": "csv"}))) == len(whole["results"])


def test_it_holds_all_rows_that_the_filters_leave(
    api: Client, executions: list[Execution], monkeypatch: Any
) -> None:
    monkeypatch.setattr(pagination.Pages, "max_page_size", 4)
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
def test_no_cell_is_a_formula(value: Any, cell: Any) -> None:
    assert csv_cells.cell(value) == cell


def test_what_is_no_list_is_no_csv(api: Client, scenario: Scenario) -> None:
    for path in (f"workflows/{scenario.caller.cuid}/", "workflows/change-entity-context/"):
        response = api.get(path, headers={"Accept": "text/csv"})
        assert_problem(response, 406, "not_acceptable")
        assert_problem(api.get(f"{path}?format=csv"), 406, "not_acceptable")


def test_options_of_a_list_are_no_csv(api: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    for path in ("executions/", f"executions/{execution.cuid}/steps/", "tokens/"):
        response = api.options(path, headers={"Accept": "text/csv"})
        assert_problem(response, 406, "not_acceptable")
        assert_problem(api.options(f"{path}?format=csv"), 406, "not_acceptable")


def test_what_is_wrong_is_told_as_a_problem(api: Client) -> None:
    response = api.get("executions/", {"status": "nope"}, headers={"Accept": "text/csv"})
    assert_problem(response, 400, "invalid_choice")


# Found


def test_executions_are_found_by_several_statuses(api: Client, executions: list[Execution]) -> None:
    def found(text: str) -> set[str]:
        return {row["status"] for row in api.get("executions/", {"status": text}).json()["results"]}

    assert found("cancelled") == {"cancelled"}
    assert found("cancelled,completed") == {"cancelled", "completed"}
    assert found("cancelled,waiting") == {"cancelled", "waiting"}
    assert_problem(api.get("executions/", {"status": "cancelled,x"}), 400, "invalid_choice")


def test_who_polls_is_told_what_has_changed_since(api: Client, scenario: Scenario) -> None:
    first, second = scenario.start(), scenario.start()
    since = api.get(f"executions/{second.cuid}/").json()["updated_at"]
    running.cancel(first)
    query = {"updated_after": since, "ordering": "updated_at", "fields": "cuid,status"}
    assert api.get("executions/", query).json()["results"] == [
        {"cuid": second.cuid, "status": "waiting"},
        {"cuid": first.cuid, "status": "cancelled"},
    ]
    assert api.get("executions/", {**query, "updated_before": since}).json()["results"] == []


def test_what_waits_for_me_is_what_is_mine(scenario: Scenario) -> None:
    api = client_of("executions.view_execution", "executions.submit_execution")
    waiting, ended = scenario.start(), scenario.start()
    running.cancel(ended)
    found = api.get("executions/", {"waiting_for": "me"}).json()["results"]
    assert [row["cuid"] for row in found] == [waiting.cuid]
    assert found == api.get("executions/mine/").json()["results"]
    assert_problem(api.get("executions/", {"waiting_for": "others"}), 400, "invalid_choice")


def test_a_cuid_is_found_and_so_is_a_title_as_long(api: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    scenario.start()
    entity = FindingFactory(title="t" * 25, entity_name_type=scenario.limitation)
    other = running.start(scenario.caller, entity)

    def found(text: str) -> list[str]:
        return [row["cuid"] for row in api.get("executions/", {"search": text}).json()["results"]]

    assert found(execution.cuid) == [execution.cuid]
    assert found("t" * 25) == [other.cuid]
    assert found("x" * 25) == []
