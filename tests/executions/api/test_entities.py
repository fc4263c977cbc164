"""Findings, inventory models and the types of both by the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions.api.entities import FindingViewSet
from executions.models import Entity, Finding, InventoryModel
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    InventoryModelFactory,
    RecordTypeFactory,
    WorkflowFactory,
)
from tests.workflows.api.clients import Client, assert_problem, client_of, statements
from workflows.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.mark.parametrize("route", ["finding-types", "record-types"])
def test_types_are_created_changed_and_deleted(api: Client, route: str) -> None:
    made = api.post(f"{route}/", {"name": "Model Limitation"})
    assert made.status_code == 201
    body = made.json()
    assert set(body) == {"cuid", "name", "description"}
    assert api.get(f"{route}/").json()["results"] == [body]
    again = assert_problem(api.post(f"{route}/", {"name": "Model Limitation"}), 400, "unique")
    assert again["errors"][0]["pointer"] == "/name"
    renamed = api.edit(f"{route}/{body['cuid']}/", name="Other", description="of it")
    assert renamed.json() == {"cuid": body["cuid"], "name": "Other", "description": "of it"}
    assert api.delete(f"{route}/{body['cuid']}/").status_code == 204


def test_delete_of_type_in_use_is_refused(api: Client) -> None:
    workflow = WorkflowFactory()
    response = api.delete(f"finding-types/{workflow.entity_name_type.cuid}/")
    body = assert_problem(response, 400, "type_in_use")
    assert [row["cuid"] for row in body["blockers"]["workflows"]] == [workflow.cuid]
    model = InventoryModelFactory()
    assert_problem(
        api.delete(f"record-types/{model.primary_record_type.cuid}/"), 400, "type_in_use"
    )


def test_finding_is_created_changed_and_deleted(api: Client) -> None:
    kind, model = FindingTypeFactory(), InventoryModelFactory()
    values: dict[str, Any] = {
        "title": "F",
        "entity_name_type": kind.cuid,
        "inventory_model": model.cuid,
        "fields": {"severity": 3, "tags": ["a", None, {"b": 1.5}]},
    }
    made = api.post("findings/", values)
    assert made.status_code == 201, made.json()
    body = made.json()
    times = {name: body[name] for name in ("created_at", "updated_at")}
    assert body == {"cuid": body["cuid"], "external_id": None, **values, **times}
    assert Finding.objects.get().entity_name == "Finding"
    path = f"findings/{body['cuid']}/"
    changed = api.edit(path, inventory_model=None).json()
    assert changed["updated_at"] > body["updated_at"]
    assert {**changed, "updated_at": None} == {**body, "inventory_model": None, "updated_at": None}
    patched = {"severity": 4, "tags": ["a", None, {"b": 1.5}]}
    assert api.edit(path, fields={"severity": 4}).json()["fields"] == patched
    # A finding has no address among the inventory models.
    assert api.get(f"inventory-models/{body['cuid']}/").status_code == 404


def test_inventory_model_is_created_changed_and_deleted(api: Client) -> None:
    kind = RecordTypeFactory()
    body = api.post("inventory-models/", {"title": "M", "record_type": kind.cuid}).json()
    values: dict[str, Any] = {
        "external_id": None,
        "title": "M",
        "record_type": kind.cuid,
        "fields": {},
    }
    assert {**body, **values} == body
    assert InventoryModel.objects.get().entity_name == "InventoryModel"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "pointer", "code"),
    [
        ({"title": None}, "/title", "null"),
        ({"entity_name_type": None}, "/entity_name_type", "null"),
        ({"entity_name_type": "x"}, "/entity_name_type", "does_not_exist"),
        ({"inventory_model": "x"}, "/inventory_model", "does_not_exist"),
        ({"fields": []}, "/fields", "not_an_object"),
        ({"fields": None}, "/fields", "null"),
        ({"fields": {"a": {"b": "\0"}}}, "/fields", "invalid"),
        ({"fields": {"a\0": 1}}, "/fields", "invalid"),
        ({"entity_name": "InventoryModel"}, "/entity_name", "unknown_field"),
    ],
)
def test_malformed_finding_is_refused(
    api: Client, wrong: dict[str, Any], pointer: str, code: str
) -> None:
    body = {"title": "F", "entity_name_type": FindingTypeFactory().cuid, **wrong}
    problem = assert_problem(api.post("findings/", body), 400, code)
    assert [row["pointer"] for row in problem["errors"]] == [pointer]
    assert not Finding.objects.exists()


def test_finding_of_finding_is_refused(api: Client) -> None:
    finding = FindingFactory()
    response = api.edit(f"findings/{finding.cuid}/", inventory_model=finding.cuid)
    body = assert_problem(response, 400, "does_not_exist")
    assert body["detail"] == f"No inventory model has the cuid '{finding.cuid}'."


def test_unstorable_number_is_refused(api: Client) -> None:
    kind = FindingTypeFactory()
    text = '{"title": "F", "entity_name_type": "%s", "fields": {"n": %s}}'
    for number, code in (("1e999", "invalid"), ("NaN", "parse_error"), ("9" * 5000, "parse_error")):
        response = api.post(
            "findings/", text % (kind.cuid, number), content_type="application/json"
        )
        assert_problem(response, 400, code)


def test_type_change_and_deletion_are_refused_when_entity_is_in_use(
    api: Client, scenario: Scenario
) -> None:
    execution = scenario.start()
    path = f"findings/{scenario.finding.cuid}/"
    for response in (
        api.edit(path, entity_name_type=scenario.exception.cuid),
        api.delete(path),
    ):
        body = assert_problem(response, 400, "entity_in_use")
        assert [row["cuid"] for row in body["blockers"]["executions"]] == [execution.cuid]
    assert api.edit(path, title="Renamed").json()["title"] == "Renamed"


def test_list_is_filtered(api: Client) -> None:
    model = InventoryModelFactory(title="M")
    one = FindingFactory(title="One", inventory_model=model)
    FindingFactory(title="Two")

    def titles(route: str, **query: str) -> list[str]:
        return [row["title"] for row in api.get(f"{route}/", query).json()["results"]]

    assert titles("findings") == ["One", "Two"]
    assert titles("findings", entity_name_type=one.entity_name_type.cuid) == ["One"]
    assert titles("findings", inventory_model=model.cuid) == ["One"]
    assert titles("findings", search="tw") == ["Two"]
    assert titles("findings", ordering="-created_at") == ["Two", "One"]
    assert titles("inventory-models") == ["M"]
    assert titles("inventory-models", record_type="x") == []


@pytest.mark.django_db
@pytest.mark.parametrize("number", [3, 30])
@pytest.mark.parametrize("route", ["findings", "inventory-models", "finding-types", "record-types"])
def test_list_takes_four_statements(api: Client, route: str, number: int) -> None:
    for _ in range(number):
        FindingFactory(inventory_model=InventoryModelFactory())
    body: list[Any] = []
    assert statements(lambda: body.append(api.get(f"{route}/").json())) == 4
    assert len(body[0]["results"]) == number


@pytest.mark.parametrize(
    ("stored", "patch", "expected"),
    [
        ({"owner": "ann", "decision": "no"}, {"owner": "bea"}, {"owner": "bea", "decision": "no"}),
        ({"owner": "ann", "decision": "no"}, {"owner": None}, {"decision": "no"}),
        ({"owner": "ann"}, {}, {"owner": "ann"}),
        ({"owner": "ann"}, {"absent": None}, {"owner": "ann"}),
        ({"at": {"x": 1, "y": 2}}, {"at": {"x": None, "z": 3}}, {"at": {"y": 2, "z": 3}}),
        ({"at": "text"}, {"at": {"x": 1, "y": None}}, {"at": {"x": 1}}),
        ({"tags": ["a", "b"]}, {"tags": ["c"]}, {"tags": ["c"]}),
        ({"a": True}, {"a": 1}, {"a": 1}),
    ],
)
def test_patch_merges_fields_by_name(api: Client, stored: Any, patch: Any, expected: Any) -> None:
    for row, route in (
        (FindingFactory(), "findings"),
        (InventoryModelFactory(), "inventory-models"),
    ):
        row.fields = stored
        row.save()
        answer = api.edit(f"{route}/{row.cuid}/", fields=patch)
        assert repr(answer.json()["fields"]) == repr(expected)
        row.refresh_from_db()
        assert repr(row.fields) == repr(expected)


def test_put_replaces_fields(api: Client) -> None:
    row = FindingFactory(fields={"owner": "ann", "decision": "no"})
    path = f"findings/{row.cuid}/"
    etag = api.get(path)["ETag"]
    body = {"title": "F", "entity_name_type": row.entity_name_type.cuid, "fields": {"owner": "bea"}}
    assert api.put(path, body, headers={"If-Match": etag}).json()["fields"] == {"owner": "bea"}
    del body["fields"]
    etag = api.get(path)["ETag"]
    assert api.put(path, body, headers={"If-Match": etag}).json()["fields"] == {"owner": "bea"}


def test_patch_writes_only_changed_columns(api: Client) -> None:
    row = FindingFactory(fields={"owner": "ann"})
    with CaptureQueriesContext(connection) as captured:
        api.edit(f"findings/{row.cuid}/", title="Renamed", fields={"owner": "ann"})
    [update] = [query["sql"] for query in captured if query["sql"].startswith("UPDATE")]
    assert '"title"' in update and '"updated_at"' in update
    assert '"fields"' not in update and "entity_name_type" not in update
    [entry] = AuditEntry.objects.filter(cuid=row.cuid, action="changed")
    assert entry.after == {"title": "Renamed"}


def test_patch_without_change_writes_nothing(api: Client) -> None:
    row = FindingFactory(title="F", fields={"owner": "ann"})
    workflow = WorkflowFactory(title="W")
    with CaptureQueriesContext(connection) as captured:
        assert api.edit(f"findings/{row.cuid}/", title="F", fields={}).status_code == 200
        assert api.edit(f"findings/{row.cuid}/").status_code == 200
        assert api.edit(f"workflows/{workflow.cuid}/", title="W").status_code == 200
    assert not [query for query in captured if query["sql"].startswith("UPDATE")]


def _item(kind: Any, external_id: str | None, **values: Any) -> dict[str, Any]:
    item = {"title": "F", "entity_name_type": kind.cuid, **values}
    return {**item, "external_id": external_id} if external_id else item


def test_bulk_creates_changes_and_refuses_findings_item_by_item(api: Client) -> None:
    kind, other = FindingTypeFactory(), FindingTypeFactory()
    stored = FindingFactory(entity_name_type=kind, external_id="A", fields={"owner": "ann"})
    items = [
        _item(kind, "A", title="Changed", fields={"severity": 3}),
        _item(other, "A"),
        _item(kind, "B"),
        {"external_id": "C", "entity_name_type": kind.cuid},
        _item(kind, None),
        "nonsense",
        {**_item(kind, None), "external_id": ""},
        _item(kind, "B", title="Twice"),
    ]
    before = AuditEntry.objects.count()
    response = api.post("findings/bulk/", {"items": items})
    assert response.status_code == 207
    body = response.json()
    statuses = [row["status"] for row in body["results"]]
    assert statuses == [200, 201, 201, 400, 201, 400, 400, 200]
    assert (body["succeeded"], body["failed"]) == (5, 3)
    assert body["results"][3]["problem"]["errors"][0]["pointer"] == "/title"
    stored.refresh_from_db()
    assert (stored.title, stored.fields) == ("Changed", {"owner": "ann", "severity": 3})
    assert body["results"][0]["finding"]["cuid"] == stored.cuid
    assert body["results"][2]["finding"]["cuid"] == body["results"][7]["finding"]["cuid"]
    assert Finding.objects.count() == 4
    assert AuditEntry.objects.count() == before + 5
    found = api.get("findings/", {"external_id": "A", "entity_name_type": kind.cuid}).json()
    assert [row["cuid"] for row in found["results"]] == [stored.cuid]


@pytest.mark.django_db(transaction=True)
def test_bulk_changes_the_finding_that_another_request_has_created_meanwhile(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = FindingFactory(external_id="A")
    find = FindingViewSet._find_by_external_id
    found: list[Any] = []

    def find_later(view: FindingViewSet, values: Any) -> Any:
        found.append(find(view, values) if found else None)
        return found[-1]

    monkeypatch.setattr(FindingViewSet, "_find_by_external_id", find_later)
    # The check of the serializer comes before the other request, too.
    monkeypatch.setattr(Finding, "validate_constraints", lambda *_, **__: None)
    item = _item(stored.entity_name_type, "A", title="Changed")
    [result] = api.post("findings/bulk/", {"items": [item]}).json()["results"]
    assert (result["status"], len(found)) == (200, 2)
    stored.refresh_from_db()
    assert stored.title == "Changed"


def test_bulk_findings_dry_run_and_repeated_key_create_nothing(api: Client) -> None:
    body = {"items": [_item(FindingTypeFactory(), "A")]}
    tried = api.post("findings/bulk/?dry_run=true", body)
    assert (tried.status_code, tried["Dry-Run"]) == (200, "true")
    assert not Finding.objects.exists()
    first, again = (
        api.post("findings/bulk/", body, headers={"Idempotency-Key": "one"}).json()["results"][0]
        for _ in range(2)
    )
    assert (first["status"], first["replayed"], again["replayed"]) == (201, False, True)
    assert first["finding"] == again["finding"]
    assert Finding.objects.count() == 1


def test_bulk_refuses_more_than_500_findings_and_users_who_may_only_add(api: Client) -> None:
    body = {"items": [_item(FindingTypeFactory(), None)] * 501}
    assert_problem(api.post("findings/bulk/", body), 400, "max_length")
    adding = client_of("executions.add_finding")
    assert_problem(adding.post("findings/bulk/", {"items": [{}]}), 403, "permission_denied")


def test_external_id_is_unique_within_its_type(api: Client) -> None:
    finding, model = FindingFactory(external_id="A"), InventoryModelFactory(external_id="A")
    FindingFactory(external_id="A", entity_name_type=FindingTypeFactory())
    second = _item(finding.entity_name_type, "A")
    assert_problem(api.post("findings/", second), 400, "not_unique")
    other = FindingFactory(entity_name_type=finding.entity_name_type)
    assert_problem(api.edit(f"findings/{other.cuid}/", external_id="A"), 400, "not_unique")
    kind = model.primary_record_type
    values = {"external_id": "A", "title": "M", "record_type": kind.cuid}
    assert_problem(api.post("inventory-models/", values), 400, "not_unique")


def test_findings_are_filtered_by_creation_and_change(api: Client) -> None:
    old, new = FindingFactory(), FindingFactory()
    since = "2026-01-01T00:00:00Z"
    Entity.objects.filter(pk=old.pk).update(
        created_at="2020-01-01T00:00:00Z", updated_at="2020-01-01T00:00:00Z"
    )
    for name in ("created", "updated"):
        after = api.get("findings/", {f"{name}_after": since}).json()["results"]
        before = api.get("findings/", {f"{name}_before": since}).json()["results"]
        assert [row["cuid"] for row in after] == [new.cuid]
        assert [row["cuid"] for row in before] == [old.cuid]
