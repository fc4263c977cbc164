"""The scenario of the report by the API."""

from __future__ import annotations

from typing import Any

import pytest

from executions.models import Execution
from tests.conftest import Scenario
from tests.workflows.api.clients import Client, assert_problem, client_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]

OWN = "Cannot change finding type while this workflow has active executions."
DEPENDENT = "Cannot change finding type: workflows referencing this one have active executions."


@pytest.fixture
def api(transactional_db: None) -> Client:
    return client_of(superuser=True)


def start(api: Client, scenario: Scenario) -> dict[str, Any]:
    response = api.post(
        "executions/", {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    )
    assert response.status_code == 201, response.json()
    execution: dict[str, Any] = response.json()
    return execution


def test_scenario_of_the_report(api: Client, scenario: Scenario) -> None:
    execution = start(api, scenario)
    assert execution["status"] == "waiting"
    (step,) = execution["open_steps"]
    assert (step["node"], step["type"]) == ("form", "user_action")

    for workflow, code, message in (
        (scenario.caller, "active_executions", OWN),
        (scenario.callee, "dependent_active_executions", DEPENDENT),
    ):
        path = f"workflows/{workflow.cuid}/"
        before = api.get(path).json()
        response = api.edit(path, entity_name_type=scenario.exception.cuid)
        body = assert_problem(response, 400, code)
        assert body["detail"] == message
        assert body["errors"][0] == {
            "pointer": "/entity_name_type",
            "code": code,
            "detail": message,
        }
        assert body["blockers"]["executions"] == [
            {
                "cuid": execution["cuid"],
                "status": "waiting",
                "workflow": scenario.caller.cuid,
                "url": f"http://testserver/api/v1/executions/{execution['cuid']}/",
            }
        ]
        assert body["remedies"][0] == {
            "code": "finish_or_cancel",
            "detail": "Finish or cancel 1 live execution first.",
            "workflows": [scenario.caller.cuid],
        }
        assert api.get(body["blockers"]["executions"][0]["url"]).json() == execution
        assert api.get(path).json() == before

    submitted = api.post(
        f"executions/{execution['cuid']}/submit/", {"node": "form", "data": {"note": "fine"}}
    )
    assert submitted.status_code == 200
    after = submitted.json()
    assert after["status"] == "completed"
    assert after["open_steps"] == []
    assert after["entity"]["fields"] == {"note": "fine"}
    (child,) = after["children"]
    assert api.get(f"executions/{child}/").json()["status"] == "completed"

    changed = api.post(
        "workflows/change-entity-context/",
        {
            "workflows": [scenario.caller.cuid, scenario.callee.cuid],
            "entity_name_type": scenario.exception.cuid,
            "why": "now it is one",
        },
    )
    assert changed.status_code == 200, changed.json()
    body = changed.json()
    assert {row["entity_name_type"] for row in body["workflows"]} == {scenario.exception.cuid}
    # Version 1 of the caller was replaced before it ran; version 1 of the callee was run.
    assert {row["workflow"]: row["number"] for row in body["versions"]} == {
        scenario.caller.cuid: 2,
        scenario.callee.cuid: 2,
    }
    assert body["dry_run"] is False


def test_single_context_change_is_refused(api: Client, scenario: Scenario) -> None:
    for workflow, other in (
        (scenario.caller, scenario.callee),
        (scenario.callee, scenario.caller),
    ):
        response = api.edit(f"workflows/{workflow.cuid}/", entity_name_type=scenario.exception.cuid)
        body = assert_problem(response, 400, "incompatible_entity_types")
        assert body["detail"].startswith("Run Workflow: Incompatible entity name types. ")
        assert body["blockers"]["workflows"] == [
            {
                "cuid": other.cuid,
                "title": other.title,
                "url": f"http://testserver/api/v1/workflows/{other.cuid}/",
            }
        ]
        (remedy,) = body["remedies"]
        assert remedy["code"] == "change_together"
        assert sorted(remedy["workflows"]) == sorted([scenario.caller.cuid, scenario.callee.cuid])


def test_other_settings_can_change_during_executions(api: Client, scenario: Scenario) -> None:
    start(api, scenario)
    response = api.edit(f"workflows/{scenario.caller.cuid}/", title="Another title")
    assert response.status_code == 200
    assert response.json()["title"] == "Another title"
    assert response.json()["live_executions"] == 1


def test_context_change_appends_version(api: Client, scenario: Scenario) -> None:
    made = api.post(
        "workflows/",
        {"title": "Alone", "entity_name_type": scenario.limitation.cuid, "state": "active"},
    ).json()
    path = f"workflows/{made['cuid']}/"
    api.post("executions/", {"workflow": made["cuid"], "entity": scenario.finding.cuid})
    response = api.edit(path, entity_name_type=scenario.exception.cuid)
    assert response.status_code == 200, response.json()
    assert response.json()["latest_version"] == 2
    versions = api.get(f"{path}versions/").json()["results"]
    assert [(row["number"], row["entity_name_type"]) for row in versions] == [
        (2, scenario.exception.cuid),
        (1, scenario.limitation.cuid),
    ]


def test_context_change_succeeds_after_cancel(api: Client, scenario: Scenario) -> None:
    execution = start(api, scenario)
    response = api.post(f"executions/{execution['cuid']}/cancel/", {"why": "a mistake"})
    assert response.status_code == 200
    assert (response.json()["status"], response.json()["message"]) == ("cancelled", "a mistake")
    assert not Execution.objects.live().exists()
    changed = api.post(
        "workflows/change-entity-context/",
        {
            "workflows": [scenario.caller.cuid, scenario.callee.cuid],
            "entity_name_type": scenario.exception.cuid,
        },
    )
    assert changed.status_code == 200


def test_group_change_is_refused_as_a_whole(api: Client, scenario: Scenario) -> None:
    start(api, scenario)
    body = {
        "workflows": [scenario.callee.cuid, scenario.caller.cuid],
        "entity_name_type": scenario.exception.cuid,
    }
    response = api.post("workflows/change-entity-context/", body)
    assert assert_problem(response, 400, "active_executions")["detail"] == OWN
    for workflow in (scenario.callee, scenario.caller):
        workflow.refresh_from_db()
        assert workflow.entity_name_type == scenario.limitation
