"""Executions by the API: started, read, submitted to and cancelled."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions import services as running
from executions.engine.store import store
from executions.models import Execution, FormDraft, StepState
from tests.conftest import Scenario
from tests.executions.engine.test_step_budget import form as looping_form
from tests.executions.engine.test_step_budget import looping
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    InventoryModelFactory,
    WorkflowFactory,
    accounts,
    call,
    form,
    save_line,
)
from tests.workflows.api.clients import Client, assert_problem, client_of, statements
from workflows import editing

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

LISTED = {
    "cuid",
    "status",
    "workflow",
    "version",
    "entity",
    "parent",
    "root",
    "stage",
    "progress",
    "message",
    "scheduled_for",
    "started_at",
    "updated_at",
    "ended_at",
    "started_by",
    "item",
}


class TestStepBudget:
    def start(self, api: Client, graph: dict[str, Any], **fields: Any) -> dict[str, Any]:
        workflow = WorkflowFactory()
        editing.save_graph(workflow, graph, based_on=1)
        kind = workflow.entity_name_type
        finding = FindingFactory(entity_name_type=kind, fields=fields)
        body = {"workflow": workflow.cuid, "entity": finding.cuid}
        response = api.post("executions/", body)
        assert response.status_code == 201
        created: dict[str, Any] = response.json()
        return created

    def require_incident(self, data: dict[str, Any], node: str) -> None:
        assert data["status"] == "waiting"
        [step] = data["open_steps"]
        assert (step["node"], step["incident"]["code"]) == (node, "step_budget")

    def test_start_returns_incident_when_loop_never_waits(self, api: Client) -> None:
        execution = self.start(api, looping("start>mark"), again=True)
        self.require_incident(execution, "start")
        retried = api.post(f"executions/{execution['cuid']}/retry/", {"node": "start"})
        assert retried.status_code == 200
        self.require_incident(retried.json(), "start")
        assert (
            api.post(f"executions/{execution['cuid']}/cancel/", {}).json()["status"] == "cancelled"
        )

    def test_submit_returns_incident_when_loop_never_waits(self, api: Client) -> None:
        execution = self.start(api, looping("start>form", "form>mark", form=looping_form()))
        path = f"executions/{execution['cuid']}/"
        answer = api.post(f"{path}submit/", {"node": "form", "data": {"again": True}})
        assert answer.status_code == 200
        self.require_incident(answer.json(), "form")
        steps = api.get(f"{path}steps/").json()["results"]
        assert {row["node"]: row["input"] for row in steps} == {
            "start": None,
            "form": {"again": True},
        }


def test_execution_shows_open_form(api: Client, scenario: Scenario) -> None:
    fields = [{"name": "severity", "type": "number", "required": True}]
    save_line(scenario.caller, form("rate", *fields, title="Rate it", deadline="P1D"))
    response = api.post(
        "executions/", {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    )
    assert response.status_code == 201
    body = response.json()
    assert set(body) == {*LISTED, "children", "pins", "open_steps", "variables"}
    assert (body["status"], body["version"]) == ("waiting", 1)
    assert body["workflow"] == scenario.caller.cuid
    assert body["entity"] == {
        "cuid": scenario.finding.cuid,
        "title": "Finding 1",
        "entity_name": "Finding",
        "fields": {},
    }
    assert (body["parent"], body["root"], body["children"], body["pins"]) == (None, None, [], [])
    assert body["started_by"]
    (step,) = body["open_steps"]
    assert set(step) == {
        *("step", "node", "type", "label", "since", "due", "overdue", "notice"),
        *("assignees", "unassigned", "claimed_by", "claimed_at", "item", "item_counts"),
        *("form", "draft", "votes", "incident"),
    }
    form_of_step = {"title": "Rate it", "button_label": "Submit", "actions": [], "fields": fields}
    assert step["form"] == form_of_step
    assert datetime.fromisoformat(step["due"]) > datetime.fromisoformat(step["since"])
    assert step["incident"] is None
    assert api.get(f"executions/{body['cuid']}/").json() == body


def test_form_is_of_version_that_was_started(api: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    save_line(scenario.caller, form("form", {"name": "other"}))
    body = api.get(f"executions/{execution.cuid}/").json()
    assert [row["name"] for row in body["open_steps"][0]["form"]["fields"]] == ["note"]


@pytest.mark.both_databases
def test_execution_shows_parent_root_and_children(api: Client, scenario: Scenario) -> None:
    save_line(scenario.callee, form("inner"))
    save_line(scenario.caller, call(scenario.callee))
    root = api.get(f"executions/{scenario.start().cuid}/").json()
    (child,) = root["children"]
    assert root["pins"] == [{"workflow": scenario.callee.cuid, "version": 1}]
    (step,) = root["open_steps"]
    assert (step["type"], step["form"]) == ("run_workflow", None)
    below = api.get(f"executions/{child}/").json()
    assert (below["parent"], below["root"]) == (root["cuid"], root["cuid"])
    assert below["pins"] == root["pins"]

    cancelled = api.post(f"executions/{child}/cancel/", {"why": "no"}).json()
    assert cancelled["status"] == "cancelled"
    (step,) = api.get(f"executions/{root['cuid']}/").json()["open_steps"]
    assert step["incident"]["code"] == "child_cancelled"
    assert step["incident"]["detail"] == "The child execution was cancelled: no"
    steps = api.get(f"executions/{root['cuid']}/steps/").json()["results"]
    assert child in [row["child"] for row in steps if row["step"] == step["step"]]


@pytest.mark.both_databases
def test_steps_lists_history(api: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    path = f"executions/{execution.cuid}/"
    api.post(f"{path}submit/", {"node": "form", "data": {"note": "n"}})
    body = api.get(f"{path}steps/").json()
    assert [row["node"] for row in body["results"]] == ["start", "form", "call", "end"]
    step = body["results"][1]
    assert set(step) == {
        "step",
        "node",
        "version",
        "type",
        "label",
        "state",
        "opened_at",
        "closed_at",
        "closed_by",
        "input",
        "output",
        "handle",
        "overdue",
        "notice",
        "votes",
        "incident",
        "child",
    }
    assert (step["state"], step["input"], step["output"]) == ("done", {"note": "n"}, {"note": "n"})
    assert [bool(row["closed_by"]) for row in body["results"]] == [False, True, False, False]
    assert body["results"][2]["child"] in api.get(path).json()["children"]
    assert_problem(api.get("executions/nothing/steps/"), 404, "not_found")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "pointer", "code"),
    [
        ({"workflow": "x"}, "/workflow", "does_not_exist"),
        ({"workflow": None}, "/workflow", "null"),
        ({"entity": "x"}, "/entity", "does_not_exist"),
        ({"entity": ["x"]}, "/entity", "not_text"),
        ({"version": 3}, "/version", "unknown_field"),
    ],
)
def test_malformed_start_is_refused(
    api: Client, scenario: Scenario, wrong: dict[str, Any], pointer: str, code: str
) -> None:
    body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid, **wrong}
    problem = assert_problem(api.post("executions/", body), 400, code)
    assert [row["pointer"] for row in problem["errors"]] == [pointer]
    if code == "does_not_exist":
        assert problem["detail"] == f"No {pointer[1:]} has the cuid 'x'."
    assert not Execution.objects.exists()


def test_start_is_refused(api: Client, scenario: Scenario) -> None:
    body = {"workflow": scenario.caller.cuid, "entity": FindingFactory().cuid}
    problem = assert_problem(api.post("executions/", body), 400, "entity_type_mismatch")
    assert problem["errors"][0]["pointer"] == "/entity"
    body["entity"] = InventoryModelFactory().cuid
    assert_problem(api.post("executions/", body), 400, "entity_type_mismatch")
    api.edit(f"workflows/{scenario.callee.cuid}/", state="draft")
    problem = assert_problem(api.post("executions/", body), 400, "not_startable")
    assert [row["cuid"] for row in problem["blockers"]["workflows"]] == [scenario.callee.cuid]
    assert problem["remedies"][0]["workflows"] == [scenario.callee.cuid]


def test_submit_takes_cuid_of_step(api: Client, scenario: Scenario) -> None:
    path = f"executions/{scenario.start().cuid}/"
    step = api.get(path).json()["open_steps"][0]["step"]
    body = api.post(f"{path}submit/", {"step": step, "data": {"note": "n"}}).json()
    assert body["status"] == "completed"


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        ({"node": "form"}, 400, "required", "/data"),
        ({"data": {"note": "n"}}, 400, "required", "/node"),
        ({"node": 1, "data": {}}, 400, "invalid", "/node"),
        ({"node": "form", "data": {}, "by": "me"}, 400, "unknown_field", "/by"),
        ({"node": "form", "data": None}, 400, "invalid_form", "/data"),
        ({"node": "form", "data": []}, 400, "invalid_form", "/data"),
        ({"node": "form", "data": {}}, 400, "invalid_form", "/data/note"),
        ({"node": "form", "data": {"note": 3}}, 400, "invalid_form", "/data/note"),
        ({"node": "form", "data": {"note": "n", "x/y": 1}}, 400, "invalid_form", "/data/x~1y"),
        ({"node": "end", "data": {}}, 409, "not_open", ""),
        ({"step": "nothing", "data": {}}, 409, "not_open", ""),
    ],
)
def test_submit_is_refused(
    api: Client,
    scenario: Scenario,
    body: dict[str, Any],
    status: int,
    code: str,
    pointer: str,
) -> None:
    execution = scenario.start()
    response = api.post(f"executions/{execution.cuid}/submit/", body)
    problem = assert_problem(response, status, code)
    assert [row["pointer"] for row in problem["errors"]] == [pointer]
    execution.refresh_from_db()
    assert execution.status == "waiting"


def test_submit_is_refused_when_execution_has_ended(api: Client, scenario: Scenario) -> None:
    path = f"executions/{scenario.start().cuid}/"
    assert api.post(f"{path}cancel/").status_code == 200
    for response in (
        api.post(f"{path}cancel/", {"why": "again"}),
        api.post(f"{path}submit/", {"node": "form", "data": {"note": "n"}}),
    ):
        assert_problem(response, 409, "execution_ended")


def test_submit_is_refused_when_form_is_assigned_to_others(scenario: Scenario) -> None:
    accounts(users=["alice"])
    save_line(scenario.caller, form(assignees={"users": ["alice"]}))
    execution = scenario.start()
    bob = client_of("executions.submit_execution")
    filled_in = {"node": "form", "data": {"note": "n"}}
    for name in ("draft", "submit"):
        response = bob.post(f"executions/{execution.cuid}/{name}/", filled_in)
        assert_problem(response, 403, "not_assigned")
    assert not FormDraft.objects.exists()


def test_execution_has_no_form_when_version_is_damaged(
    api: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = scenario.start()

    def damaged(version: Any) -> Any:
        raise KeyError("form")

    monkeypatch.setattr("executions.api.execution_rows.graph_of", damaged)
    (step,) = api.get(f"executions/{execution.cuid}/").json()["open_steps"]
    assert step["form"] is None


@pytest.mark.both_databases
def test_list_is_filtered(api: Client, scenario: Scenario) -> None:
    ended = scenario.start()
    running.submit(ended, node="form", data={"note": "n"})
    waiting = scenario.start()
    child = ended.children.get()

    def found(**query: str) -> list[str]:
        response = api.get("executions/", query)
        assert response.status_code == 200, response.json()
        return [row["cuid"] for row in response.json()["results"]]

    assert set(api.get("executions/").json()["results"][0]) == {*LISTED, "included"}
    assert sorted(found()) == sorted([ended.cuid, waiting.cuid, child.cuid])
    assert found(status="waiting") == found(live="true") == [waiting.cuid]
    assert found(live="false", workflow=scenario.caller.cuid) == [ended.cuid]
    assert found(workflow=scenario.callee.cuid) == found(root=ended.cuid) == [child.cuid]
    assert len(found(entity=scenario.finding.cuid)) == 3
    assert found(entity="nothing") == []
    assert found(search=waiting.cuid) == [waiting.cuid]
    assert found(ordering="started_at")[-1] == waiting.cuid
    assert found(parent=ended.cuid) == [child.cuid]
    assert found(calls=scenario.callee.cuid) == [waiting.cuid, ended.cuid]
    assert len(found(entity_name_type=scenario.caller.entity_name_type.cuid)) == 3
    assert found(entity_name_type=FindingTypeFactory().cuid) == []
    between = waiting.started_at.isoformat()
    assert found(started_after=between) == [waiting.cuid]
    assert waiting.cuid not in found(started_before=between)
    assert found(ended_before=between, parent=ended.cuid) == [child.cuid]
    assert found(ended_after=between) == []
    assert_problem(api.get("executions/", {"ended_after": "soon"}), 400, "invalid")
    for query in ({"status": "asleep"}, {"live": "maybe"}):
        assert_problem(api.get("executions/", query), 400, "invalid_choice")
    assert_problem(api.get("executions/", {"ordering": "x"}), 400, "invalid")


@pytest.mark.both_databases
def test_list_is_filtered_by_overdue_and_incident(api: Client, scenario: Scenario) -> None:
    late, stuck, calm = (scenario.start() for _ in range(3))
    late.steps.open().update(overdue=True)
    stuck.steps.open().update(state=StepState.INCIDENT, incident={"code": "c", "detail": "d"})

    def found(**query: str) -> list[str]:
        return [row["cuid"] for row in api.get("executions/", query).json()["results"]]

    assert found(overdue="true") == [late.cuid]
    assert found(overdue="false") == [calm.cuid, stuck.cuid]
    assert found(incident="true") == [stuck.cuid]
    assert found(incident="false", overdue="false") == [calm.cuid]


@pytest.mark.django_db
@pytest.mark.parametrize("number", [3, 30])
def test_list_takes_four_statements(api: Client, scenario: Scenario, number: int) -> None:
    for _ in range(number):
        kind = FindingTypeFactory()
        workflow = WorkflowFactory(entity_name_type=kind)
        save_line(workflow, form())
        running.start(workflow, FindingFactory(entity_name_type=kind))
    body: list[Any] = []
    assert statements(lambda: body.append(api.get("executions/").json())) == 4
    assert len(body[0]["results"]) == number


@pytest.mark.django_db
@pytest.mark.parametrize("number", [3, 30])
def test_execution_takes_four_statements(api: Client, scenario: Scenario, number: int) -> None:
    callees = [WorkflowFactory(entity_name_type=scenario.limitation) for _ in range(number)]
    save_line(
        scenario.caller,
        *(call(callee, f"call{index}") for index, callee in enumerate(callees)),
        form(),
    )
    path = f"executions/{scenario.start().cuid}/"
    body: list[Any] = []
    # The session, the user, the id of the execution, and its JSON.
    assert statements(lambda: body.append(api.get(path).json())) == 4
    assert len(body[0]["children"]) == len(body[0]["pins"]) == number
    assert statements(lambda: body.append(api.get(f"{path}steps/").json())) <= 9


@pytest.mark.postgresql  # SQLite reads in the transaction that writes.
def test_submit_reads_execution_once(api: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    with CaptureQueriesContext(connection) as captured:
        submitted = api.post(
            f"executions/{execution.cuid}/submit/", {"node": "form", "data": {"note": "n"}}
        )
    assert submitted.json()["status"] == "completed"
    executed = [query["sql"].partition("(")[0] for query in captured]
    assert executed.count(f"EXECUTE {store.by_cuid.name}") == 1
    assert f"EXECUTE {store.by_id.name}" not in executed
