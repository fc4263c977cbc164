"""API: workflows, dependencies and changes of the entity context."""

from __future__ import annotations

import json
from typing import Any

import pytest

from executions import services as running
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    RecordTypeFactory,
    WorkflowFactory,
    call,
    form,
    save_line,
)
from tests.workflows.api.clients import Client, assert_problem, statements
from workflows.models import Version, Workflow

pytestmark = pytest.mark.django_db

SHAPE = {
    "cuid",
    "title",
    "description",
    "entity_name",
    "entity_name_type",
    "primary_record_type_id",
    "trigger",
    "trigger_data",
    "state",
    "latest_version",
    "live_executions",
    "draining",
    "created_at",
    "updated_at",
}


def test_new_workflow_is_a_draft_with_version_1(api: Client) -> None:
    kind = FindingTypeFactory()
    response = api.post("workflows/", {"title": "Review", "entity_name_type": kind.cuid})
    assert response.status_code == 201, response.json()
    body = response.json()
    assert set(body) == SHAPE
    assert body["entity_name"] == "Finding"
    assert body["entity_name_type"] == kind.cuid
    assert body["primary_record_type_id"] is None
    assert (body["state"], body["trigger"], body["trigger_data"]) == ("draft", "manual", {})
    assert (body["latest_version"], body["live_executions"]) == (1, 0)
    saved_graph = api.get(f"workflows/{body['cuid']}/1/").json()
    assert [node["type"] for node in saved_graph["nodes"]] == ["start", "end"]


def test_new_workflow_works_on_inventory_models(api: Client) -> None:
    kind = RecordTypeFactory()
    values = {
        "title": "Review",
        "entity_name": "InventoryModel",
        "primary_record_type_id": kind.cuid,
        "state": "active",
        "trigger": "changed",
        "trigger_data": {"fields": ["tier"]},
    }
    body = api.post("workflows/", values).json()
    assert {**body, **values} == body


@pytest.mark.django_db
def test_read_only_field_is_refused_unless_it_has_its_current_value(
    api: Client, scenario: Scenario
) -> None:
    path = f"workflows/{scenario.caller.cuid}/"
    response = api.get(path)
    etag = {"If-Match": response["ETag"]}
    whole = {**response.json(), "title": "Renamed"}
    assert api.put(path, whole, headers=etag).json()["title"] == "Renamed"
    etag["If-Match"] = "*"
    for name, other in (
        ("cuid", "cmwt9umz5wwsicz92bf49rsp7"),
        ("latest_version", 7),
        ("live_executions", False),
        ("draining", {"change": "x"}),
    ):
        for refused in (
            api.put(path, {**whole, name: other}, headers=etag),
            api.patch(path, {name: other}, headers=etag),
            api.post("workflows/", {**whole, name: other}),
        ):
            body = assert_problem(refused, 400, "read_only")
            assert f"/{name}" in [error["pointer"] for error in body["errors"]]
        assert api.patch(path, {name: whole[name]}, headers=etag).status_code == 200
    assert Workflow.objects.get(pk=scenario.caller.pk).cuid == whole["cuid"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"title": "x"}, "/entity_name_type"),
        ({"title": "x", "entity_name": "InventoryModel"}, "/primary_record_type_id"),
    ],
)
def test_create_is_refused_when_entity_name_and_type_disagree(
    api: Client, values: dict[str, Any], pointer: str
) -> None:
    body = assert_problem(api.post("workflows/", values), 400, "context_shape")
    assert body["errors"][0]["pointer"] == pointer
    assert not Workflow.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "pointer", "code", "says"),
    [
        ({"title": ""}, "/title", "blank", "blank"),
        ({"title": None}, "/title", "null", "null"),
        ({"title": 7}, "/title", "invalid", "string"),
        ({"title": "x" * 201}, "/title", "max_length", "200"),
        ({"title": "a\0b"}, "/title", "null_characters_not_allowed", "Null"),
        ({"title": "\ud800"}, "/title", "surrogate_characters_not_allowed", "urrogate"),
        ({"description": ["x"]}, "/description", "invalid", "string"),
        ({"state": "gone"}, "/state", "invalid_choice", "gone"),
        ({"state": "\ud800"}, "/state", "invalid_choice", "ud800"),
        ({"state": True}, "/state", "invalid_choice", "true"),
        ({"trigger": "moon"}, "/trigger", "invalid_choice", "moon"),
        ({"trigger_data": []}, "/trigger_data", "not_an_object", "a list"),
        ({"trigger_data": {"a": ["\0"]}}, "/trigger_data", "invalid", "/a/0"),
        ({"entity_name": "Robot"}, "/entity_name", "invalid_choice", "Robot"),
        ({"entity_name_type": "nothing"}, "/entity_name_type", "does_not_exist", "'nothing'"),
        ({"entity_name_type": ""}, "/entity_name_type", "does_not_exist", "''"),
        ({"entity_name_type": "a\0"}, "/entity_name_type", "does_not_exist", "finding type"),
        ({"entity_name_type": 3}, "/entity_name_type", "not_text", "a number"),
        ({"primary_record_type_id": "x"}, "/primary_record_type_id", "does_not_exist", "record"),
        ({"titel": "x"}, "/titel", "unknown_field", "'titel'"),
        ({"a/b~c": 1}, "/a~1b~0c", "unknown_field", "'a/b~c'"),
        ({"\ud800": 1}, "/\\ud800", "unknown_field", "ud800"),
    ],
)
def test_input_is_not_converted(
    api: Client, wrong: dict[str, Any], pointer: str, code: str, says: str
) -> None:
    good = {"title": "x", "entity_name_type": FindingTypeFactory().cuid}
    text = json.dumps({**good, **wrong})
    response = api.post("workflows/", text, content_type="application/json")
    body = assert_problem(response, 400, code)
    (error,) = body["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert says in error["detail"]
    assert not Workflow.objects.exists()


def test_all_problems_are_reported(api: Client) -> None:
    body = api.post("workflows/", {"title": 1, "state": "x", "colour": "red"}).json()
    assert {row["pointer"] for row in body["errors"]} == {"/title", "/state", "/colour"}


def test_put_accepts_the_representation_of_get(api: Client) -> None:
    path = f"workflows/{WorkflowFactory().cuid}/"
    read = api.get(path)
    response = api.put(path, read.json(), headers={"If-Match": read["ETag"]})
    assert response.status_code == 200
    assert response.json() == read.json()
    assert response["ETag"] == read["ETag"]
    assert Version.objects.count() == 1


def test_put_replaces_the_settings(api: Client) -> None:
    workflow = WorkflowFactory(description="old")
    path = f"workflows/{workflow.cuid}/"
    values = {**api.get(path).json(), "title": "New", "description": "new", "state": "draft"}
    found = api.put(path, values, headers={"If-Match": "*"}).json()
    assert found.pop("updated_at") > values.pop("updated_at")
    assert found == values
    body = assert_problem(api.put(path, {}, headers={"If-Match": "*"}), 400, "required")
    assert body["errors"][0]["pointer"] == "/title"


@pytest.mark.both_databases
def test_delete_removes_an_unused_workflow(api: Client, scenario: Scenario) -> None:
    response = api.delete(f"workflows/{scenario.callee.cuid}/")
    body = assert_problem(response, 400, "referenced")
    assert body["detail"].startswith("Cannot delete this workflow: 1 other workflow calls it")
    assert [row["cuid"] for row in body["blockers"]["workflows"]] == [scenario.caller.cuid]
    assert "delete these workflows" in body["remedies"][0]["detail"]
    scenario.start()
    body = assert_problem(api.delete(f"workflows/{scenario.caller.cuid}/"), 400, "has_executions")
    assert body["blockers"]["total"] == 1
    assert [row["code"] for row in body["remedies"]] == ["retire"]

    alone = WorkflowFactory()
    assert api.delete(f"workflows/{alone.cuid}/").status_code == 204
    assert_problem(api.get(f"workflows/{alone.cuid}/"), 404, "not_found")


def test_retire_is_refused_while_a_caller_exists(api: Client, scenario: Scenario) -> None:
    response = api.edit(f"workflows/{scenario.callee.cuid}/", state="retired")
    body = assert_problem(response, 400, "referenced")
    assert "retire these workflows" in body["remedies"][0]["detail"]
    assert api.edit(f"workflows/{scenario.caller.cuid}/", state="retired").status_code == 200
    assert api.edit(f"workflows/{scenario.callee.cuid}/", state="retired").status_code == 200


def test_dependencies_list_callers_and_callees(api: Client, scenario: Scenario) -> None:
    top = WorkflowFactory(title="Top", entity_name_type=scenario.limitation)
    save_line(top, call(scenario.caller))
    scenario.start()

    def dependency(workflow: Workflow, *, direct: bool, live: int) -> dict[str, Any]:
        return {
            "cuid": workflow.cuid,
            "title": workflow.title,
            "direct": direct,
            "live_executions": live,
            "url": f"http://testserver/api/v1/workflows/{workflow.cuid}/",
        }

    assert api.get(f"workflows/{scenario.callee.cuid}/dependencies/").json() == {
        "dependent_workflows": [
            dependency(top, direct=False, live=0),
            dependency(scenario.caller, direct=True, live=1),
        ],
        "referenced_workflows": [],
    }
    assert api.get(f"workflows/{scenario.caller.cuid}/dependencies/").json() == {
        "dependent_workflows": [dependency(top, direct=True, live=0)],
        "referenced_workflows": [dependency(scenario.callee, direct=True, live=0)],
    }


@pytest.mark.both_databases
def test_list_is_filtered(api: Client) -> None:
    one, other = FindingTypeFactory(), FindingTypeFactory()
    kind = RecordTypeFactory()
    WorkflowFactory(title="Alpha", entity_name_type=one)
    WorkflowFactory(title="Beta", entity_name_type=other, state="draft", description="alpha?")
    WorkflowFactory(
        title="Gamma",
        entity_name="InventoryModel",
        entity_name_type=None,
        primary_record_type=kind,
    )

    def titles(**query: str) -> list[str]:
        response = api.get("workflows/", query)
        assert response.status_code == 200, response.json()
        return [row["title"] for row in response.json()["results"]]

    assert titles() == ["Alpha", "Beta", "Gamma"]
    assert titles(state="draft") == ["Beta"]
    assert titles(entity_name="InventoryModel") == ["Gamma"]
    assert titles(entity_name_type=one.cuid) == ["Alpha"]
    assert titles(entity_name_type="nothing") == []
    assert titles(primary_record_type_id=kind.cuid) == ["Gamma"]
    assert titles(title="ALPH") == ["Alpha"]
    assert titles(search="alpha") == ["Alpha", "Beta"]
    assert titles(ordering="-title") == ["Gamma", "Beta", "Alpha"]
    for query in ({"state": "gone"}, {"ordering": "colour"}, {"title": "\0"}, {"search": "\0"}):
        assert api.get("workflows/", query).status_code == 400
    body = assert_problem(api.get("workflows/", {"ordering": "state,-colour"}), 400, "invalid")
    assert body["detail"].startswith("Cannot order by '-colour'. Allowed: title,")


def test_list_has_pages(api: Client) -> None:
    WorkflowFactory.create_batch(7, entity_name_type=FindingTypeFactory())
    query: dict[str, Any] = {"page_size": 3, "page": 2, "ordering": "state"}
    body = api.get("workflows/", query).json()
    assert (body["count"], len(body["results"])) == (7, 3)
    assert "page=3" in body["next"]
    assert_problem(api.get("workflows/", {"page": 99}), 404, "not_found")


@pytest.mark.django_db
@pytest.mark.parametrize("number", [3, 30])
def test_list_takes_five_statements(api: Client, number: int) -> None:
    for _ in range(number):
        workflow = WorkflowFactory()
        save_line(workflow, form())
        finding = FindingFactory(entity_name_type=workflow.entity_name_type)
        running.start(workflow, finding)
    body: list[Any] = []
    # Who asks (the session, the user), how many, the page, and what drains.
    assert statements(lambda: body.append(api.get("workflows/").json())) == 5
    assert {row["live_executions"] for row in body[0]["results"]} == {1}
    assert len(body[0]["results"]) == number


# Changes of the entity context


def change(api: Client, *workflows: Workflow | str, **values: Any) -> Any:
    cuids = [row if isinstance(row, str) else row.cuid for row in workflows]
    return api.post("workflows/change-entity-context/", {"workflows": cuids, **values})


def test_dry_run_changes_nothing(api: Client, scenario: Scenario) -> None:
    values = {"entity_name_type": scenario.exception.cuid, "dry_run": True}
    response = change(api, scenario.caller, scenario.callee, **values)
    assert response.status_code == 200
    body = response.json()
    assert (body["dry_run"], body["versions"]) == (True, [])
    assert {row["entity_name_type"] for row in body["workflows"]} == {scenario.limitation.cuid}
    assert_problem(change(api, scenario.callee, **values), 400, "incompatible_entity_types")


def test_change_to_another_entity_name(api: Client) -> None:
    workflow, kind = WorkflowFactory(), RecordTypeFactory()
    values = {"entity_name": "InventoryModel", "primary_record_type_id": kind.cuid}
    body = change(api, workflow, **values, why="moved").json()
    (row,) = body["workflows"]
    assert set(row) == SHAPE
    assert (row["entity_name"], row["primary_record_type_id"]) == (
        "InventoryModel",
        kind.cuid,
    )
    number = body["versions"][0]["number"]
    version = api.get(f"workflows/{workflow.cuid}/{number}/").json()
    assert version["notes"] == "moved"
    assert version["created_by"] is not None
    assert version["primary_record_type_id"] == kind.cuid


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "pointer", "code"),
    [
        ({"workflows": []}, "/workflows", "empty"),
        ({"workflows": "x"}, "/workflows", "not_a_list"),
        ({"workflows": None}, "/workflows", "null"),
        ({"workflows": [3]}, "/workflows/0", "invalid"),
        ({"when": "later"}, "/when", "invalid_choice"),
        ({"dry_run": "yes"}, "/dry_run", "invalid"),
        ({"dry_run": 1}, "/dry_run", "invalid"),
        ({"why": 1}, "/why", "invalid"),
        ({"entity_name_type": "x"}, "/entity_name_type", "does_not_exist"),
        ({"entity_name_type": None}, "/entity_name_type", "context_shape"),
        ({"entity_name": "InventoryModel"}, "/primary_record_type_id", "context_shape"),
        ({"force": True}, "/force", "unknown_field"),
    ],
)
def test_malformed_change_is_rejected(
    api: Client, wrong: dict[str, Any], pointer: str, code: str
) -> None:
    values = {
        "workflows": [WorkflowFactory().cuid],
        "entity_name_type": FindingTypeFactory().cuid,
        **wrong,
    }
    body = assert_problem(api.post("workflows/change-entity-context/", values), 400, code)
    assert [row["pointer"] for row in body["errors"]] == [pointer]


def test_unknown_workflows_are_reported_by_index(api: Client) -> None:
    workflow = WorkflowFactory()
    response = change(
        api, workflow, "nothing", workflow, "no", entity_name_type=FindingTypeFactory().cuid
    )
    body = assert_problem(response, 400, "does_not_exist")
    assert [(row["pointer"], row["detail"]) for row in body["errors"]] == [
        ("/workflows/1", "No workflow has the cuid 'nothing'."),
        ("/workflows/3", "No workflow has the cuid 'no'."),
    ]
