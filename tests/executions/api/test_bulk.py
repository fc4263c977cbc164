"""Many executions in one request: each item has a transaction and a result of its own."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from executions.api.bulk_items import MAX_ITEMS
from executions.models import Execution
from tests.conftest import Scenario
from tests.executions.engine.test_branches import started
from tests.executions.test_clock import waiting
from tests.factories import FindingFactory, form, save_line
from tests.workflows.api.clients import Client, assert_problem, client_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.sqlite,
    pytest.mark.usefixtures("invariants"),
]

RESULT = {"index", "status", "execution", "problem", "replayed"}


@pytest.fixture
def api(transactional_db: None) -> Client:
    return client_of(superuser=True)


def build_items(scenario: Scenario, number: int) -> list[dict[str, Any]]:
    return [
        {
            "workflow": scenario.caller.cuid,
            "entity": FindingFactory(entity_name_type=scenario.limitation).cuid,
        }
        for _ in range(number)
    ]


def post_bulk(api: Client, name: str, items: Any, status: int = 200, **more: Any) -> dict[str, Any]:
    headers = more.pop("headers", {})
    response = api.post(f"executions/bulk/{name}/", {"items": items, **more}, headers=headers)
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert [row["index"] for row in body["results"]] == list(range(len(items)))
    assert all(set(row) == RESULT for row in body["results"])
    failed = sum(row["problem"] is not None for row in body["results"])
    assert (body["failed"], body["succeeded"]) == (failed, len(items) - failed)
    return body


def test_bulk_start_starts_each_item(api: Client, scenario: Scenario) -> None:
    items = build_items(scenario, 3)
    body = post_bulk(api, "start", items)
    assert [row["status"] for row in body["results"]] == [201] * 3
    data = body["results"][0]["execution"]
    assert data["entity"]["cuid"] == items[0]["entity"]
    assert api.get(f"executions/{data['cuid']}/").json() == data
    assert Execution.objects.count() == 3


def test_refused_item_does_not_affect_others(api: Client, scenario: Scenario) -> None:
    good, other = build_items(scenario, 2)
    foreign = FindingFactory(entity_name_type=scenario.exception).cuid
    items = [
        good,
        {**good, "entity": foreign},
        {**good, "entity": "nothing"},
        {**good, "dry_run": True},
        {"workflow": 3},
        None,
        other,
    ]
    body = post_bulk(api, "start", items, 207)
    assert [row["status"] for row in body["results"]] == [201, 400, 400, 400, 400, 400, 201]
    codes = [row["problem"] and row["problem"]["code"] for row in body["results"]]
    assert codes[1:4] == ["entity_type_mismatch", "does_not_exist", "unknown_field"]
    # The same problem as in the response of the single route.
    alone = api.post("executions/", items[1]).json()
    assert body["results"][1]["problem"] == alone
    assert Execution.objects.count() == 2


def test_bulk_cancel_cancels_each_item(api: Client, scenario: Scenario) -> None:
    live, ended = scenario.start(), scenario.start()
    running.cancel(ended)
    items = [
        {"execution": live.cuid, "why": "no"},
        {"execution": ended.cuid},
        {"execution": "nothing"},
        {"why": "no"},
    ]
    body = post_bulk(api, "cancel", items, 207)
    assert [row["status"] for row in body["results"]] == [200, 409, 404, 400]
    assert body["results"][0]["execution"]["status"] == "cancelled"
    assert body["results"][1]["problem"]["code"] == "execution_ended"


def test_bulk_retry_retries_each_item(api: Client, scenario: Scenario) -> None:
    save_line(scenario.callee, form("inner"))
    both = [scenario.start(), scenario.start()]
    for execution in both:
        running.submit(execution, node="form", data={"note": "n"})
        running.cancel(execution.children.get())
    items = [{"execution": row.cuid, "node": "call"} for row in both]
    post_bulk(api, "retry", items)
    assert [row.children.count() for row in both] == [2, 2]
    body = post_bulk(api, "retry", items, 207)
    assert {row["problem"]["code"] for row in body["results"]} == {"no_incident"}


def test_bulk_postpone_and_skip(api: Client) -> None:
    both = [started(waiting(interval="P1D")) for _ in range(2)]
    items = [{"execution": row.cuid, "node": "sleep", "why": "later"} for row in both]
    until = "2099-06-01T00:00:00Z"
    body = post_bulk(api, "postpone", [{**item, "until": until} for item in items])
    assert {row["execution"]["open_steps"][0]["due"] for row in body["results"]} == {until}
    body = post_bulk(api, "skip", [*items, {**items[0], "why": ""}], 207)
    assert [row["status"] for row in body["results"]] == [200, 200, 400]
    assert body["results"][2]["problem"]["code"] == "reason_required"


@pytest.mark.parametrize("how", ["body", "query"])
def test_dry_run_of_bulk_changes_nothing(api: Client, scenario: Scenario, how: str) -> None:
    execution = scenario.start()
    items = [{"execution": execution.cuid}, {"execution": "nothing"}]
    query = "?dry_run=true" if how == "query" else ""
    more = {"dry_run": True} if how == "body" else {}
    response = api.post(f"executions/bulk/cancel/{query}", {"items": items, **more})
    assert (response.status_code, response["Dry-Run"]) == (207, "true")
    body = response.json()
    assert body["dry_run"] is True
    assert body["results"][0]["execution"]["status"] == "cancelled"
    execution.refresh_from_db()
    assert execution.live


def test_server_error_of_one_item_does_not_affect_others(
    api: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = running.start
    calls = iter([False, True, False])

    def start(*args: Any, **kwargs: Any) -> Execution:
        execution = begin(*args, **kwargs)
        if next(calls):
            raise RuntimeError("secret")
        return execution

    monkeypatch.setattr(running, "start", start)
    headers = {"Idempotency-Key": "k"}
    items = build_items(scenario, 3)
    body = post_bulk(api, "start", items, 207, headers=headers)
    assert [row["status"] for row in body["results"]] == [201, 500, 201]
    assert body["results"][1]["problem"]["code"] == "server_error"
    assert "secret" not in str(body)
    assert Execution.objects.count() == 2


def test_repeated_request_performs_only_failed_items(
    api: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = build_items(scenario, 3)
    headers = {"Idempotency-Key": "k"}
    begin = running.start

    def start(workflow: Any, entity: Any, **how: Any) -> Execution:
        if entity.cuid == items[2]["entity"]:
            raise SystemExit
        return begin(workflow, entity, **how)

    with monkeypatch.context() as patched:
        patched.setattr(running, "start", start)
        # Simulates a process that ends before the last item.
        with pytest.raises(SystemExit):
            post_bulk(api, "start", items, headers=headers)
    done = set(Execution.objects.values_list("cuid", flat=True))
    again = post_bulk(api, "start", items, headers=headers)
    assert [row["replayed"] for row in again["results"]] == [True, True, False]
    assert {row["execution"]["cuid"] for row in again["results"][:2]} == done
    response = api.post("executions/bulk/start/", {"items": items}, headers=headers)
    assert response["Idempotency-Replayed"] == "true"
    response = api.post("executions/bulk/start/", {"items": items[:1]}, headers=headers)
    assert_problem(response, 422, "idempotency_key_reused")
    assert Execution.objects.count() == 3


@pytest.mark.parametrize(
    ("sent", "code", "pointer"),
    [
        ({}, "required", "/items"),
        ({"items": []}, "empty", "/items"),
        ({"items": {}}, "not_a_list", "/items"),
        ({"items": [{}] * (MAX_ITEMS + 1)}, "max_length", "/items"),
        ({"items": [{}], "dry_run": "yes"}, "invalid", "/dry_run"),
        ({"items": [{}], "all": True}, "unknown_field", "/all"),
    ],
)
def test_malformed_bulk_request_is_refused(api: Client, sent: Any, code: str, pointer: str) -> None:
    for name in ("start", "cancel", "retry", "skip", "postpone"):
        body = assert_problem(api.post(f"executions/bulk/{name}/", sent), 400, code)
        assert body["errors"][0]["pointer"] == pointer


def test_bulk_needs_permission_of_single_action(scenario: Scenario) -> None:
    execution = scenario.start()
    for permission, allowed in (
        ("executions.add_execution", {"start"}),
        ("executions.change_execution", {"cancel", "retry", "skip", "postpone"}),
        ("executions.view_execution", set()),
    ):
        client = client_of(permission)
        for name in ("start", "cancel", "retry", "skip", "postpone"):
            response = client.post(
                f"executions/bulk/{name}/",
                {"items": [{"execution": execution.cuid}], "dry_run": True},
            )
            assert (response.status_code != 403) == (name in allowed), (permission, name)
