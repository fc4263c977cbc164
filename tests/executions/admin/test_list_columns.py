"""Columns that users choose for a list, and the titles of lists."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils.functional import Promise

from executions import services
from executions.models import Execution, Finding
from tests.conftest import Scenario
from tests.factories import UserFactory
from tests.test_forgotten_places import ROWS
from tests.workflows.admin.staff import page, statements, text

pytestmark = pytest.mark.django_db

LIST = reverse("admin:executions_execution_changelist")


def columns(client: Client, **query: str) -> list[str]:
    found: list[str] = client.get(LIST, query).context["cl"].list_display
    return [name for name in found if name != "action_checkbox"]


def lists_with_optional_columns() -> list[tuple[Any, Any]]:
    registered = admin.site._registry.items()
    return [(model, one) for model, one in registered if getattr(one, "optional_columns", ())]


class TestColumns:
    def test_list_has_the_columns_of_the_url(self, admin_client: Client) -> None:
        usual = columns(admin_client)
        assert usual[:2] == ["workflow_version", "entity_title"]
        # The first column links the record.
        assert columns(admin_client, columns="starter,due") == [
            "workflow_version",
            "due",
            "starter",
        ]
        for wrong in ("", ",", "no-such,__class__", "pk"):
            assert columns(admin_client, columns=wrong) == usual

    def test_form_of_columns_keeps_the_filters(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        scenario.start()
        query = "?live=yes&o=2&p=1&column=stage&column=incident"
        response = admin_client.get(f"{LIST}{query}")
        assert response["Location"] == "?live=yes&columns=stage,incident"
        response = admin_client.get(f"{LIST}{response['Location']}")
        html = text(response)
        assert response.context["cl"].result_count == 1
        assert '<input type="hidden" name="live" value="yes">' in html
        assert 'name="column" value="stage" checked' in html
        assert 'name="column" value="due"> ' in html
        # Links of the list have the columns: an order and a filter.
        assert "?columns=stage%2Cincident&amp;live=yes&amp;o=1" in html
        assert 'href="?live=yes">Usual columns' in html

    def test_columns_can_be_saved_as_a_filter(self, admin_client: Client) -> None:
        query = "columns=stage"
        url = admin_client.get(f"{LIST}?{query}").context["save_url"]
        assert url.endswith(f"query={query.replace('=', '%3D')}")

    def test_columns_show_what_an_execution_is_about(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        ada = UserFactory(username="ada")
        execution = services.start(scenario.caller, scenario.finding, by=ada)
        execution.steps.update(state="incident", incident={"code": "c", "detail": "It failed."})
        chosen = "incident,type,starter,ended,public_id"
        html = text(admin_client.get(LIST, {"columns": chosen}))
        for expected in ("It failed.", "Model Limitation", ">ada<", execution.cuid):
            assert expected in html

    @pytest.mark.parametrize(("model", "options"), lists_with_optional_columns())
    def test_optional_columns_have_headings_and_take_no_statement_per_row(
        self, admin_client: Client, model: Any, options: Any, settings: Any
    ) -> None:
        settings.HTTP_REQUEST_HOSTS = ["hooks.example"]
        settings.SECRETS_KEY = [Fernet.generate_key().decode()]
        for name in options.optional_columns:
            own = getattr(options, name, None)
            assert own is None or isinstance(own.short_description, Promise), name
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        query = {"columns": ",".join(options.optional_columns)}
        for _ in range(2):
            ROWS[model]()
        few = statements(partial(admin_client.get, url, query))
        for _ in range(6):
            ROWS[model]()
        assert statements(partial(admin_client.get, url, query)) <= few + 1


def test_lists_have_the_name_of_their_records_as_title(admin_client: Client) -> None:
    assert "<h1>Executions</h1>" in text(admin_client.get(LIST))
    findings = reverse("admin:executions_finding_changelist")
    assert "<h1>Findings</h1>" in text(admin_client.get(findings))
    assert "<h1>Select finding" in text(admin_client.get(findings, {"_popup": "1"}))
    assert Execution.objects.count() == Finding.objects.count() == 0


def test_graph_links_the_current_step(admin_client: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    html = text(admin_client.get(page(execution)))
    assert 'href="#graph-current">Go to the current step' in html
    assert '<g id="graph-current" class="node here"' in html
    execution.steps.update(state="incident", incident={"code": "c", "detail": "d"})
    assert '<g id="graph-current" class="node failed"' in text(admin_client.get(page(execution)))
