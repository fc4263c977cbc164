"""Filters with operators, with several values and by fields; included records."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    InventoryModelFactory,
    WorkflowFactory,
    form,
    save_line,
)
from tests.openapi import schema
from tests.workflows.api.clients import Client, assert_problem, client_of, statements

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

# The node types are registered later than filters, so that they are not enumerated.
SAMPLES = {"type": "wait"}
VALUES = {"boolean": "true", "date-time": "2026-01-31T09:00:00Z", "string": "x"}


@pytest.fixture
def api() -> Client:
    return client_of(superuser=True)


def sample(described: dict[str, Any]) -> str:
    """Return a valid value of a parameter."""
    while "$ref" in described:
        described = schema()["components"]["schemas"][described["$ref"].rpartition("/")[2]]
    if described["type"] == "array":
        return sample(described["items"])
    return str(described.get("enum", [VALUES[described.get("format", described["type"])]])[0])


FILTERS = [
    (path, row["name"], SAMPLES.get(row["name"]) or sample(row["schema"]))
    for path, methods in schema()["paths"].items()
    if any(row["name"] == "page" for row in methods.get("get", {}).get("parameters", ()))
    and "{" not in path
    for row in methods["get"]["parameters"]
    if row["in"] == "query" and row["name"] not in ("cursor", "page", "page_size", "ordering")
]


def test_every_described_filter_takes_a_value(
    api: Client, scenario: Scenario, exchanges: Any
) -> None:
    scenario.start()
    failed = {}
    for path, name, value in FILTERS:
        response = api.get(f"{path}?{name}={value}")
        if response.status_code != 200:
            failed[f"{path}?{name}={value}"] = response.json()
    assert failed == {}
    assert exchanges.count == len(FILTERS) > 200


NUMBERS = ",".join(map(str, range(500)))


def found(api: Client, path: str) -> list[str]:
    """Return the titles of the rows."""
    response = api.get(path)
    assert response.status_code == 200, response.json()
    return [row["title"] for row in response.json()["results"]]


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("title__contains=BET", "beta"),
        ("title__in=alpha,gamma", "alpha gamma"),
        ("title__in=alpha&title__in=beta", "alpha beta"),
        ("external_id__in=A-1", "alpha"),
        ("external_id__isnull=true", "beta gamma"),
        ("external_id__isnull=false", "alpha"),
        ("inventory_model__isnull=true", "alpha beta gamma"),
        ("created_at__gt=2000-01-01&created_at__lte=9000-01-01", "alpha beta gamma"),
        ("updated_at__lt=2000-01-01", ""),
        ("fields.severity=high", "alpha"),
        ("fields.severity__in=high,low", "alpha beta"),
        ("fields.severity__contains=IG", "alpha"),
        ("fields.severity__isnull=true", "gamma"),
        ("fields.severity__isnull=false", "alpha beta"),
        ("fields.score=3", "alpha"),
        ("fields.score__gt=3", "beta"),
        ("fields.score__gte=3.0", "alpha beta"),
        ("fields.score__lt=4.5", "alpha"),
        ("fields.score__gt=three", ""),
        ("fields.code=3", "gamma"),
        ("fields.due__lte=2026-02-28", "alpha"),
        ("fields.due__gt=2026-02-28", "beta"),
        ("fields.accepted=true", "beta"),
        ("fields.a%22b%27__c__in=x", "gamma"),
        ("fields.score__in=x,4.5,true", "beta"),
        ("fields.accepted__in=false,true", "beta"),
        ("external_id__in=A-1&title__contains=a&fields.score__in=" + NUMBERS, "alpha"),
        ("fields.nothing=x", ""),
        ("fields.severity=high&fields.score__gt=3", ""),
    ],
)
def test_findings_are_filtered(api: Client, query: str, titles: str) -> None:
    kind = FindingTypeFactory()
    rows: list[dict[str, Any]] = [
        {
            "title": "alpha",
            "external_id": "A-1",
            "fields": {"severity": "high", "score": 3, "due": "2026-01-31"},
        },
        {
            "title": "beta",
            "fields": {"severity": "low", "score": 4.5, "due": "2026-03-31", "accepted": True},
        },
        {"title": "gamma", "fields": {"code": "3", "score": ["3"], "a\"b'__c": "x"}},
    ]
    for values in rows:
        FindingFactory(entity_name_type=kind, **values)
    assert found(api, f"findings/?{query}") == titles.split()


def test_inventory_models_are_filtered_by_fields(api: Client) -> None:
    InventoryModelFactory(title="a", fields={"tier": 1})
    InventoryModelFactory(title="b", fields={"tier": 2})
    assert found(api, "inventory-models/?fields.tier__gte=2") == ["b"]


@pytest.mark.parametrize(
    "query",
    [
        "status=waiting&status=cancelled",
        "status=waiting,cancelled",
        "status__in=waiting,cancelled",
        "status__in=waiting&status__in=cancelled",
    ],
)
def test_executions_are_filtered_by_repeated_and_by_listed_values(
    api: Client, scenario: Scenario, query: str
) -> None:
    waiting, ended = scenario.start(), scenario.start()
    running.cancel(ended)
    rows = api.get(f"executions/?{query}").json()["results"]
    assert {row["cuid"] for row in rows} == {waiting.cuid, ended.cuid}


def test_executions_are_filtered_by_call_and_time_with_operators(
    api: Client, scenario: Scenario
) -> None:
    parent = scenario.start()
    running.submit(parent, node="form", data={"note": "n"})
    child = parent.children.get()

    def cuids(**query: str) -> set[str]:
        return {row["cuid"] for row in api.get("executions/", query).json()["results"]}

    both = {parent.cuid, child.cuid}
    assert cuids(parent__in=parent.cuid) == cuids(root__in=parent.cuid) == {child.cuid}
    assert cuids(workflow__in=f"{scenario.caller.cuid},{scenario.callee.cuid}") == both
    assert cuids(status__in="waiting,active,completed") == both
    assert cuids(entity__in=scenario.finding.cuid) == both
    assert cuids(entity_name_type__in=scenario.limitation.cuid) == both
    early = "2000-01-01"
    assert cuids(started_at__gt=early) == cuids(started_at__gte=early) == both
    assert cuids(ended_at__gt=early) == cuids(ended_at__gte=early) == both
    assert cuids(updated_at__gt=early) == cuids(updated_at__gte=early) == both
    assert cuids(started_at__lt=early) == cuids(started_at__lte=early) == set()
    assert cuids(ended_at__lt=early) == cuids(ended_at__lte=early) == set()
    assert cuids(updated_at__lt=early) == cuids(updated_at__lte=early) == set()


@pytest.mark.parametrize(
    ("query", "code", "parts"),
    [
        ("created_at__near=x", "unknown_parameter", ("'near'", "created_at__gte")),
        ("title__gt=x", "unknown_parameter", ("'gt'", "title__contains")),
        ("search__in=x", "unknown_parameter", ("'search' has no operators",)),
        ("fields.score__near=3", "unknown_parameter", ("'near'", "fields.score__gte")),
        ("fields.=x", "unknown_parameter", ("name of the field",)),
        ("fields.a%00=x", "unknown_parameter", ()),
        ("fields.score=", "invalid", ("is empty",)),
        ("fields.score=1&fields.score=2", "repeated_parameter", ()),
        ("fields.score__isnull=yes", "invalid_choice", ()),
        ("fields.score__in=1,,2", "invalid", ("empty",)),
        ("title__in=a,", "invalid", ("empty",)),
        ("entity_name_type=" + "x," * 500 + "x", "invalid", ("500",)),
        ("title__contains=a&title__contains=b", "repeated_parameter", ()),
    ],
)
def test_wrong_filter_is_refused_and_named(
    api: Client, query: str, code: str, parts: tuple[str, ...]
) -> None:
    body = assert_problem(api.get(f"findings/?{query}"), 400, code)
    assert all(part in body["detail"] for part in parts), body["detail"]


# Included records

WITH_ALL = "executions/?include=entity,workflow,open_steps"


def test_included_records_equal_those_of_their_own_routes(api: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    (row,) = api.get(WITH_ALL).json()["results"]
    whole = api.get(f"executions/{execution.cuid}/").json()
    assert row["included"] == {
        "entity": whole["entity"],
        "workflow": api.get(f"workflows/{scenario.caller.cuid}/").json(),
        "open_steps": whole["open_steps"],
    }
    (row,) = api.get("executions/?include=entity&include=open_steps").json()["results"]
    assert row["included"]["workflow"] is None and row["included"]["open_steps"]
    assert api.get("executions/").json()["results"][0]["included"] is None
    assert len(api.get(f"{WITH_ALL}&fields=cuid,included").json()["results"][0]) == 2


def test_included_records_need_the_permission_to_view_them(scenario: Scenario) -> None:
    scenario.start()
    api = client_of("executions.view_execution")
    (row,) = api.get(WITH_ALL).json()["results"]
    assert row["included"]["workflow"] is None
    assert row["included"]["entity"]["fields"] is None
    assert row["included"]["open_steps"]


def test_included_records_are_in_csv(api: Client, scenario: Scenario) -> None:
    scenario.start()
    response: Any = api.get(f"{WITH_ALL}&format=csv")
    assert "open_steps" in b"".join(response.streaming_content).decode()


@pytest.mark.parametrize("name", ["entity", "workflow", "open_steps", "entity,workflow,open_steps"])
@pytest.mark.sqlite
def test_included_records_cost_the_same_statements_for_any_length(
    api: Client, scenario: Scenario, name: str
) -> None:
    add_executions(scenario, 1)
    few = statements(lambda: api.get(f"executions/?include={name}"))
    add_executions(scenario, 6)
    assert statements(lambda: api.get(f"executions/?include={name}")) <= few + 1 <= 12


def add_executions(scenario: Scenario, number: int) -> None:
    """Start executions of different workflows on different findings."""
    for _ in range(number):
        workflow = WorkflowFactory(entity_name_type=scenario.limitation)
        save_line(workflow, form())
        finding = FindingFactory(entity_name_type=scenario.limitation, fields={"score": 2})
        running.start(workflow, finding)


@pytest.mark.parametrize(
    "query",
    [
        "executions/?status__in=waiting,completed",
        "executions/?started_at__gte=2000-01-01&updated_at__gt=2000-01-01",
        "executions/?entity_name_type__in={type}",
        "executions/?started_at__gte=2000-01-01&include=entity,workflow,open_steps",
        "findings/?title__contains=f&external_id__isnull=true",
        "findings/?fields.score__gte=1&created_at__lt=2999-01-01",
        "workflows/?title__contains=w&entity_name_type__in={type}",
        "tasks/?finding_type__in={type}&since__gt=2000-01-01",
    ],
)
@pytest.mark.sqlite
def test_filters_with_operators_cost_the_same_statements_for_any_length(
    api: Client, scenario: Scenario, query: str
) -> None:
    path = query.format(type=scenario.limitation.cuid)
    add_executions(scenario, 1)
    assert api.get(path).json()["results"]
    few = statements(lambda: api.get(path))
    add_executions(scenario, 6)
    # Included workflows are counted by their executions, in another statement.
    assert statements(lambda: api.get(path)) <= few + ("include" in path) <= 12
    assert len(api.get(path).json()["results"]) > 6


@pytest.mark.parametrize("value", ["", "entity,", "steps", "entity&include=x"])
def test_unknown_include_is_refused(api: Client, value: str) -> None:
    response = api.get(f"executions/?include={value}")
    body = assert_problem(response, 400, "invalid_choice")
    assert "entity, workflow, open_steps" in body["detail"]


def test_include_is_refused_where_nothing_can_be_included(api: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    for path in (f"executions/{execution.cuid}/", f"executions/{execution.cuid}/steps/"):
        assert_problem(api.get(f"{path}?include=entity"), 400, "unknown_parameter")


def test_link_header_names_the_pages(api: Client, scenario: Scenario) -> None:
    for _ in range(3):
        scenario.start()
    first = api.get("executions/?page_size=1")
    body = first.json()
    assert first["Link"] == f'<{body["next"]}>; rel="next"'
    second = api.get(body["next"])
    assert 'rel="next", <' in second["Link"] and second["Link"].endswith('rel="prev"')
    assert not api.get("executions/").has_header("Link")
