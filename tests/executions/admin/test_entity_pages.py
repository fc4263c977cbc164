"""Findings and inventory models in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse

from executions.models import Finding, InventoryModel
from tests.conftest import Scenario
from tests.factories import FindingFactory, FindingTypeFactory, RecordTypeFactory
from tests.workflows.admin.staff import page, text

pytestmark = pytest.mark.django_db


def sent(finding: Finding, **changed: Any) -> dict[str, Any]:
    return {
        "title": finding.title,
        "entity_name_type": finding.entity_name_type_id,
        "inventory_model": "",
        "fields": "{}",
        **changed,
    }


def test_entity_page_has_fields_of_its_model(admin_client: Client) -> None:
    finding = admin_client.get(reverse("admin:executions_finding_add"))
    assert list(finding.context["adminform"].form.fields) == [
        "title",
        "entity_name_type",
        "inventory_model",
        "fields",
    ]
    model = admin_client.get(reverse("admin:executions_inventorymodel_add"))
    assert list(model.context["adminform"].form.fields) == [
        "title",
        "primary_record_type",
        "fields",
    ]
    with pytest.raises(NoReverseMatch):
        reverse("admin:executions_entity_changelist")


def test_entities_are_added(admin_client: Client) -> None:
    kind = RecordTypeFactory()
    form = {"title": "Scorecard", "primary_record_type": kind.pk, "fields": '{"a": 1}'}
    assert (
        admin_client.post(reverse("admin:executions_inventorymodel_add"), form).status_code == 302
    )
    model = InventoryModel.objects.get()
    assert (model.entity_name, model.fields) == ("InventoryModel", {"a": 1})
    row = Finding(title="F", entity_name_type=FindingTypeFactory())
    form = sent(row, inventory_model=model.pk)
    assert admin_client.post(reverse("admin:executions_finding_add"), form).status_code == 302
    assert Finding.objects.get().inventory_model == model


def test_entity_type_is_required(admin_client: Client) -> None:
    response = admin_client.post(reverse("admin:executions_finding_add"), {"title": "F"})
    assert response.context["adminform"].form.errors["entity_name_type"]
    assert "is violated" not in text(response)


def test_type_of_entity_with_live_execution_is_locked(
    admin_client: Client, scenario: Scenario
) -> None:
    execution = scenario.start()
    response = admin_client.post(
        page(scenario.finding), sent(scenario.finding, entity_name_type=scenario.exception.pk)
    )
    html = str(response.context["adminform"].form.errors["entity_name_type"])
    assert "Cannot change the type of “Finding 1”: 1 live execution works on it." in html
    assert f'href="{page(execution)}"' in html
    scenario.finding.refresh_from_db()
    assert scenario.finding.entity_name_type == scenario.limitation


def test_entity_with_executions_is_not_deleted(admin_client: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    address = page(scenario.finding, "delete")
    html = text(admin_client.get(address))
    assert "Cannot delete “Finding 1”: 1 live execution works on it." in html
    assert f'href="{page(execution)}"' in html
    admin_client.post(address, {"post": "yes"})
    assert Finding.objects.filter(pk=scenario.finding.pk).exists()


def test_entity_without_executions_is_deleted(admin_client: Client) -> None:
    finding = FindingFactory()
    assert admin_client.post(page(finding, "delete"), {"post": "yes"}).status_code == 302
    assert not Finding.objects.exists()


def test_entity_page_links_executions(admin_client: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    assert f'href="{page(execution)}"' in text(admin_client.get(page(scenario.finding)))


@pytest.mark.parametrize("typed", ["[1]", "1", '"text"', '{"a": "\\ud800"}'])
def test_entity_fields_must_be_storable_object(admin_client: Client, typed: str) -> None:
    finding = FindingFactory()
    response = admin_client.post(page(finding), sent(finding, fields=typed))
    assert response.context["adminform"].form.errors["fields"]
    finding.refresh_from_db()
    assert finding.fields == {}


@pytest.mark.parametrize("fields", ['{"a": 1, "a": 2}', '{"a": {"b": 1, "\\u0062": 2}}'])
def test_entity_field_given_twice_is_refused(admin_client: Client, fields: str) -> None:
    row = Finding(title="F", entity_name_type=FindingTypeFactory())
    response = admin_client.post(reverse("admin:executions_finding_add"), sent(row, fields=fields))
    assert "is given twice in one object" in text(response)
    assert not Finding.objects.exists()
