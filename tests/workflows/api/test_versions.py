"""API: reading versions and saving graphs."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    WorkflowFactory,
    call,
    form,
    line,
    save_line,
)
from tests.workflows.api.clients import Client, assert_problem, statements
from tests.workflows.test_loops import TRAP
from workflows import editing
from workflows.models import Version, Workflow

pytestmark = pytest.mark.django_db

LISTED = {
    "workflow",
    "number",
    "notes",
    "created_at",
    "created_by",
    "in_force",
    "checksum",
    "entity_name",
    "entity_name_type",
    "primary_record_type_id",
    "live_executions",
}


def run(workflow: Workflow) -> None:
    running.start(workflow, FindingFactory(entity_name_type=workflow.entity_name_type))


@pytest.mark.both_databases
def test_list_has_no_graphs(api: Client) -> None:
    workflow = WorkflowFactory()
    run(workflow)
    save_line(workflow, form())
    run(workflow)
    two, one = api.get(f"workflows/{workflow.cuid}/versions/").json()["results"]
    assert set(one) == LISTED
    assert (one["number"], one["live_executions"]) == (1, 0)
    assert (two["number"], two["live_executions"], two["in_force"]) == (2, 1, True)
    assert two["entity_name_type"] == workflow.entity_name_type.cuid
    assert two["workflow"] == workflow.cuid


@pytest.mark.django_db
@pytest.mark.parametrize("number", [3, 30])
def test_list_takes_five_statements(api: Client, number: int) -> None:
    workflow = WorkflowFactory()
    run(workflow)
    for _ in range(number - 1):
        save_line(workflow, form())
        run(workflow)
    path = f"workflows/{workflow.cuid}/versions/"
    body: list[Any] = []
    # Who asks (the session, the user), the workflow, how many, and the page.
    assert statements(lambda: body.append(api.get(path).json())) == 5
    assert len(body[0]["results"]) == number


@pytest.mark.both_databases
def test_other_positions_change_the_version_in_place(api: Client) -> None:
    workflow = WorkflowFactory()
    run(workflow)
    path = f"workflows/{workflow.cuid}/1/"
    first = api.get(path)
    graph = {key: first.json()[key] for key in ("nodes", "edges")}
    graph["nodes"][0]["position"] = {"x": 1.5, "y": -2}
    dry = api.post(path, {**graph, "dry_run": True})
    assert dry.status_code == 200
    saved = api.post(path, graph)
    assert (saved.status_code, saved.json()["number"]) == (200, 1)
    assert saved.json()["checksum"] == first.json()["checksum"]
    second = api.get(path)
    assert second.json()["source"]["nodes"] == second.json()["nodes"] == graph["nodes"]
    assert second.headers["ETag"] != first.headers["ETag"]
    graph["nodes"][0]["position"] = {"x": 1}
    assert_problem(api.post(path, graph), 400, "invalid_graph")
    del graph["nodes"][0]["position"]
    assert api.post(path, graph).json()["nodes"] == graph["nodes"]
    assert workflow.versions.count() == 1


def test_version_has_its_graph(api: Client) -> None:
    workflow = WorkflowFactory()
    version = save_line(workflow, form())
    response = api.get(f"workflows/{workflow.cuid}/1/")
    body = response.json()
    assert set(body) == {*LISTED, "source", "nodes", "edges", "older_live_executions"}
    assert body["source"] == {"nodes": body["nodes"], "edges": body["edges"]} == version.source
    assert response["ETag"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["versions/", "1/", "2/", "99999999999999999999/"])
def test_versions_of_unknown_workflow_are_not_found(api: Client, path: str) -> None:
    body = assert_problem(api.get(f"workflows/nothing/{path}"), 404, "not_found")
    assert body["detail"] == "No workflow has the cuid 'nothing'."


@pytest.mark.django_db
@pytest.mark.parametrize("number", [0, 2, 99999999999999999999])
def test_unknown_version_number_is_not_found(api: Client, number: int) -> None:
    workflow = WorkflowFactory(title="Review")
    path = f"workflows/{workflow.cuid}/{number}/"
    for response in (api.get(path), api.post(path, line())):
        body = assert_problem(response, 404, "not_found")
        assert body["detail"] == f"Workflow “Review” ({workflow.cuid}) has no version {number}."


@pytest.mark.both_databases
def test_save_replaces_the_version_until_it_is_used(api: Client) -> None:
    workflow = WorkflowFactory()
    path = f"workflows/{workflow.cuid}/1/"
    response = api.post(path, {**line(form()), "notes": "first"})
    assert response.status_code == 200, response.json()
    body = response.json()
    assert (body["number"], body["notes"]) == (1, "first")
    assert body["created_by"]
    assert body["source"] == line(form())
    assert response["ETag"] == api.etag(path)

    run(workflow)
    response = api.post(path, line(form("other")))
    assert response.status_code == 201
    assert response.json()["number"] == 2
    assert api.get(f"workflows/{workflow.cuid}/").json()["latest_version"] == 2
    assert api.get(path).json()["source"] == line(form())


def test_save_is_refused_when_based_on_an_old_version(api: Client) -> None:
    workflow = WorkflowFactory()
    run(workflow)
    save_line(workflow, form())
    response = api.post(f"workflows/{workflow.cuid}/1/", line())
    body = assert_problem(response, 409, "stale_version")
    assert "the latest version is 2" in body["detail"]


def test_save_reports_all_problems_of_a_graph(api: Client) -> None:
    workflow = WorkflowFactory()
    source = line(form(), {"id": "x", "type": "moon"})
    source["nodes"][1]["data"]["fields"][0]["name"] = "1st"
    body = assert_problem(api.post(f"workflows/{workflow.cuid}/1/", source), 400, "invalid_graph")
    assert {row["pointer"] for row in body["errors"]} == {
        "/nodes/1/data/fields/0/name",
        "/nodes/2/type",
    }
    assert Version.objects.get().source != source


def test_save_is_refused_when_a_loop_is_endless(api: Client) -> None:
    workflow = WorkflowFactory()
    body = assert_problem(api.post(f"workflows/{workflow.cuid}/1/", TRAP), 400, "invalid_graph")
    assert [row["pointer"] for row in body["errors"]] == ["/nodes/1", "/nodes/2"]
    response = api.post(f"workflows/{workflow.cuid}/1/?dry_run=true", TRAP)
    assert_problem(response, 400, "invalid_graph")


def test_save_checks_calls(api: Client, scenario: Scenario) -> None:
    foreign = WorkflowFactory()
    path = f"workflows/{scenario.caller.cuid}/1/"
    body = assert_problem(api.post(path, line(call(foreign))), 400, "incompatible_entity_types")
    assert body["detail"] == (
        "Run Workflow: Incompatible entity name types. Current workflow has type "
        f"'{scenario.limitation.cuid}' but referenced workflow has type "
        f"'{foreign.entity_name_type.cuid}'."
    )
    assert body["errors"][0]["pointer"] == "/nodes/1/data/workflow"
    path = f"workflows/{scenario.callee.cuid}/1/"
    assert_problem(api.post(path, line(call(scenario.caller))), 400, "call_cycle")
    missing = {"id": "call", "type": "run_workflow", "data": {"workflow": "nothing"}}
    body = assert_problem(api.post(path, line(missing)), 400, "invalid_graph")
    assert body["detail"] == "No workflow has the cuid 'nothing'."


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/nodes"),
        ({"nodes": []}, "/edges"),
        ({"nodes": None, "edges": None}, "/nodes"),
        ({"nodes": "x", "edges": 3}, "/nodes"),
        ({**line(), "notes": 3}, "/notes"),
        ({**line(), "sauce": 3}, "/sauce"),
        ([], ""),
        ("x", ""),
    ],
)
def test_malformed_body_is_rejected(api: Client, body: Any, pointer: str) -> None:
    response = api.post(f"workflows/{WorkflowFactory().cuid}/1/", body)
    assert response.status_code == 400
    assert pointer in {row["pointer"] for row in response.json()["errors"]}


def test_save_honours_if_match(api: Client) -> None:
    workflow = WorkflowFactory()
    path = f"workflows/{workflow.cuid}/1/"
    read = {"If-Match": api.etag(path)}
    saved = api.post(path, line(form()), headers=read)
    assert saved.status_code == 200
    # The number is still 1; only the ETag shows that the graph is another.
    assert_problem(api.post(path, line(), headers=read), 412, "precondition_failed")
    assert api.get(path).json()["source"] == line(form())
    assert api.post(path, line(), headers={"If-Match": saved["ETag"]}).status_code == 200
    assert api.post(path, line(form()), headers={"If-Match": "*"}).status_code == 200


def test_save_is_refused_when_another_comes_before_the_lock(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = WorkflowFactory()
    path = f"workflows/{workflow.cuid}/1/"
    read = api.etag(path)
    save_graph = editing.save_graph
    others: list[Any] = [line(form("theirs"))]

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        if others:
            save_graph(workflow, others.pop(), based_on=1)
        return save_graph(*args, **kwargs)

    monkeypatch.setattr(editing, "save_graph", interrupted)
    response = api.post(path, line(form("ours")), headers={"If-Match": read})
    assert_problem(response, 412, "precondition_failed")


def test_change_of_context_creates_a_version(api: Client) -> None:
    workflow, kind = WorkflowFactory(), FindingTypeFactory()
    before = api.etag(f"workflows/{workflow.cuid}/1/")
    editing.change_entity_context([workflow], entity_name_type=kind)
    response = api.get(f"workflows/{workflow.cuid}/1/")
    assert response.json()["entity_name_type"] == kind.cuid
    assert response["ETag"] != before
