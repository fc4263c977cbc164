"""Moving executions by the API."""

from __future__ import annotations

from typing import Any

import pytest

from executions.models import Execution, Move, OutgoingDelivery, Subscription
from tests.executions.assignees import log_in
from tests.executions.moves import correct, start_at
from tests.factories import form, user_in

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("invariants"),
    pytest.mark.both_databases,
]


@pytest.fixture
def api(db: None) -> Any:
    return log_in(user_in("operator"))


def post(api: Any, execution: Execution, **body: Any) -> Any:
    return api.post(f"executions/{execution.cuid}/move/", body)


def test_dry_run_returns_plan_and_its_token_moves(api: Any) -> None:
    execution = start_at(form("old"))
    correct(execution, form("new"))
    planned = post(api, execution, dry_run=True).json()
    assert (planned["moved"], planned["from_version"], planned["to_version"]) == (False, 1, 2)
    (obstacle,) = planned["obstacles"]
    assert (obstacle["code"], obstacle["node"]) == ("no_target", "old")
    assert obstacle["pointer"] == "/mapping/old" and obstacle["remedy"]
    mapping = {"old": "new"}
    planned = post(api, execution, mapping=mapping, dry_run=True).json()
    assert planned["obstacles"] == [] and not Move.objects.exists()
    (step,) = planned["mapped"]
    assert (step["node"], step["to_node"], step["restart_step"]) == ("old", "new", False)
    moved = post(api, execution, mapping=mapping, token=planned["token"], why="Wrong graph")
    assert moved.status_code == 200 and moved.json()["moved"] is True
    current = api.get(f"executions/{execution.cuid}/").json()
    assert (current["version"], current["open_steps"][0]["node"]) == (2, "new")


def test_refusal_names_each_obstacle(api: Any) -> None:
    execution = start_at(form("old"))
    correct(execution, form("new"))
    refused = post(api, execution, why="w", token="x")
    body = refused.json()
    assert (refused.status_code, body["code"]) == (409, "move_refused")
    assert [row["code"] for row in body["errors"]] == ["plan_outdated", "no_target"]
    assert [row["code"] for row in body["remedies"]] == ["remove_obstacle"] * 2


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "reason_required"),
        ({"why": "w", "version": 7}, 409, "move_refused"),
        ({"why": "w", "version": "2"}, 400, "invalid"),
        ({"why": "w", "mapping": []}, 400, "not_an_object"),
        ({"why": "w", "mapping": {"form": 3}}, 409, "move_refused"),
        ({"why": "w", "to": 2}, 400, "unknown_field"),
    ],
)
def test_invalid_body_is_refused(api: Any, body: Any, status: int, code: str) -> None:
    execution = start_at(form())
    correct(execution, form(), form("second"))
    answer = post(api, execution, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_bulk_move_has_a_result_for_each_item(api: Any) -> None:
    first, second = start_at(form()), start_at(form("old"))
    correct(first, form(), form("second"))
    correct(second, form("new"))
    items = [{"execution": row.cuid, "why": "w"} for row in (first, second)]
    answer = api.post("executions/bulk/move/", {"items": items})
    assert answer.status_code == 207
    moved, refused = answer.json()["results"]
    assert moved["execution"]["version"] == 2
    assert refused["problem"]["code"] == "move_refused"


def test_moves_and_versions_of_steps_are_listed(api: Any) -> None:
    execution = start_at(form("old"))
    correct(execution, form("new"))
    post(api, execution, mapping={"old": "new"}, why="Wrong graph")
    (row,) = api.get(f"executions/{execution.cuid}/moves/").json()["results"]
    assert (row["from_version"], row["to_version"], row["why"]) == (1, 2, "Wrong graph")
    assert row["by"] and row["steps"][0]["to"] == "new"
    steps = api.get(f"executions/{execution.cuid}/steps/").json()["results"]
    assert [(step["node"], step["version"]) for step in steps] == [("start", 1), ("new", 2)]


def test_move_sends_an_event(api: Any, settings: Any) -> None:
    settings.HTTP_REQUEST_HOSTS = ["hooks.example"]
    Subscription.objects.create(url="https://hooks.example/", events=["execution.moved"])
    execution = start_at(form())
    correct(execution, form(), form("second"))
    post(api, execution, why="w")
    data = OutgoingDelivery.objects.get().data
    assert (data["execution"], data["from_version"], data["version"]) == (execution.cuid, 1, 2)
