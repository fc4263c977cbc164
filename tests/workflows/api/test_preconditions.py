"""API: ETag and If-Match prevent lost updates."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from executions.models import Entity
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    InventoryModelFactory,
    RecordTypeFactory,
    WorkflowFactory,
    form,
    line,
)
from tests.workflows.api.clients import Client, assert_problem
from workflows.api.base.resources import EditableResource
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

RESOURCES = [
    ("workflows", WorkflowFactory, "title"),
    ("finding-types", FindingTypeFactory, "name"),
    ("record-types", RecordTypeFactory, "name"),
    ("findings", FindingFactory, "title"),
    ("inventory-models", InventoryModelFactory, "title"),
]


@pytest.mark.parametrize(("route", "factory", "name"), RESOURCES[1:])
def test_known_etag_is_answered_with_304_until_the_row_changes(
    api: Client, route: str, factory: Any, name: str
) -> None:
    path = f"{route}/{factory().cuid}/"
    known = {"If-None-Match": api.etag(path)}
    again = api.get(path, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again["ETag"] == known["If-None-Match"]
    assert api.edit(path, **{name: "changed"}).status_code == 200
    assert api.get(path, headers=known).json()[name] == "changed"


def test_etag_differs_when_a_value_was_changed_back(api: Client) -> None:
    path = f"findings/{FindingFactory(title='old').cuid}/"
    known = api.etag(path)
    for title in ("new", "old"):
        assert api.edit(path, title=title).status_code == 200
    assert api.get(path, headers={"If-None-Match": known}).status_code == 200


def test_workflow_is_read_again_because_its_etag_leaves_out_counts(api: Client) -> None:
    path = f"workflows/{WorkflowFactory().cuid}/"
    assert api.get(path, headers={"If-None-Match": api.etag(path)}).status_code == 200


def test_reads_are_stored_only_for_their_user_and_asked_again(api: Client) -> None:
    for path in ("findings/", f"findings/{FindingFactory().cuid}/", "findings/?format=csv"):
        response = api.get(path)
        assert response["Cache-Control"] == "private, no-cache"
        assert {"Accept", "Authorization", "Cookie"} <= set(response["Vary"].split(", "))


def test_created_record_has_a_location(api: Client) -> None:
    kind = FindingTypeFactory()
    for route, body in (
        ("finding-types", {"name": "Gap"}),
        ("findings", {"title": "F", "entity_name_type": kind.cuid}),
        ("workflows", {"title": "W", "entity_name_type": kind.cuid}),
    ):
        made = api.post(f"{route}/", body, headers={"Idempotency-Key": route})
        assert made["Location"].endswith(f"/api/v1/{route}/{made.json()['cuid']}/")
        assert api.get(made["Location"]).json()["cuid"] == made.json()["cuid"]
        again = api.post(f"{route}/", body, headers={"Idempotency-Key": route})
        assert again["Location"] == made["Location"]
        assert not api.post(f"{route}/?dry_run=true", {**body, "name": "x"}).has_header("Location")


def test_new_version_and_execution_have_a_location(api: Client, scenario: Scenario) -> None:
    start = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    started = api.post("executions/", start)
    assert api.get(started["Location"]).json()["cuid"] == started.json()["cuid"]
    # The version has an execution, so that the graph becomes a new one.
    graph = api.get(f"workflows/{scenario.caller.cuid}/1/").json()["source"]
    graph["nodes"][0]["data"] = {"label": "Begin"}
    saved = api.post(f"workflows/{scenario.caller.cuid}/1/", graph)
    assert (saved.status_code, saved.json()["number"]) == (201, 2), saved.json()
    assert api.get(saved["Location"]).json()["number"] == 2


@pytest.mark.parametrize(("route", "factory", "name"), RESOURCES)
def test_if_match_guards_every_editable_resource(
    api: Client, route: str, factory: Any, name: str
) -> None:
    path = f"{route}/{factory().cuid}/"
    read = api.get(path)
    etag = read["ETag"]
    for response in (api.patch(path, {name: "a"}), api.put(path, read.json())):
        body = assert_problem(response, 428, "precondition_required")
        assert "If-Match" in body["detail"]

    first = api.patch(path, {name: "a"}, headers={"If-Match": f'"other", {etag}'})
    assert (first.status_code, first.json()[name]) == (200, "a")
    assert first["ETag"] == api.etag(path) != etag

    for headers in ({"If-Match": etag}, {"If-Match": "nonsense"}, {"If-Match": f"W/{etag}"}):
        for response in (
            api.patch(path, {name: "b"}, headers=headers),
            api.put(path, {**read.json(), name: "b"}, headers=headers),
            api.delete(path, headers=headers),
        ):
            assert_problem(response, 412, "precondition_failed")
    assert api.get(path).json()[name] == "a"

    assert api.patch(path, {name: "c"}, headers={"If-Match": "*"}).status_code == 200
    assert api.delete(path, headers={"If-Match": api.etag(path)}).status_code == 204


@pytest.mark.django_db
@pytest.mark.parametrize(("route", "factory", "name"), RESOURCES)
def test_edit_of_unknown_record_is_not_found(
    api: Client, route: str, factory: Any, name: str
) -> None:
    noun = factory()._meta.verbose_name
    for method in (api.get, api.patch, api.put, api.delete):
        body = assert_problem(method(f"{route}/nothing/"), 404, "not_found")
        assert body["detail"] == f"No {noun} has the cuid 'nothing'."
    assert_problem(api.get(f"{route}/a%00b/"), 404, "not_found")


def test_etag_of_a_workflow_ignores_its_executions(api: Client) -> None:
    workflow = WorkflowFactory()
    path = f"workflows/{workflow.cuid}/"
    etag = api.etag(path)
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    api.post("executions/", {"workflow": workflow.cuid, "entity": finding.cuid})
    assert api.etag(path) == etag


def test_edit_is_refused_when_another_comes_before_the_lock(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = WorkflowFactory()
    path = f"workflows/{workflow.cuid}/"
    etag = api.etag(path)
    locked = EditableResource._lock_row

    def late(view: Any) -> Any:
        Workflow.objects.filter(pk=workflow.pk).update(title="theirs")
        return locked(view)

    monkeypatch.setattr(EditableResource, "_lock_row", late)
    response = api.patch(path, {"title": "ours"}, headers={"If-Match": etag})
    assert_problem(response, 412, "precondition_failed")


def test_etag_of_a_finding_changes_when_an_execution_writes_fields(api: Client) -> None:
    finding = FindingFactory()
    path = f"findings/{finding.cuid}/"
    etag = api.etag(path)
    Entity.objects.filter(pk=finding.pk).update(fields={"severity": 3})
    assert_problem(
        api.patch(path, {"fields": {}}, headers={"If-Match": etag}), 412, "precondition_failed"
    )


def test_refused_edit_keeps_the_etag(api: Client) -> None:
    path = f"workflows/{WorkflowFactory().cuid}/"
    etag = api.etag(path)
    assert api.patch(path, {"title": ""}, headers={"If-Match": etag}).status_code == 400
    assert api.etag(path) == etag


@pytest.mark.postgresql
@pytest.mark.parametrize("what", ["settings", "graph"])
def test_one_of_many_simultaneous_edits_is_accepted(api: Client, what: str) -> None:
    workflow = WorkflowFactory()
    path = f"workflows/{workflow.cuid}/" + ("1/" if what == "graph" else "")
    headers = {"If-Match": api.etag(path)}
    ready = threading.Barrier(8)

    def edit(number: int) -> int:
        client = Client()
        client.cookies = api.cookies
        ready.wait()
        try:
            if what == "graph":
                return int(client.post(path, line(form(f"f{number}")), headers=headers).status_code)
            return int(client.patch(path, {"title": str(number)}, headers=headers).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(edit, range(8)))
    assert statuses == [200] + [412] * 7
