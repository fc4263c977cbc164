"""Lists of the admin: bounded counts, saved filters and CSV."""

from __future__ import annotations

import csv
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from executions.models import Execution, Finding
from tests.conftest import Scenario
from tests.factories import WorkflowFactory, user_in
from tests.workflows.admin.staff import staff, statements, text
from workflows.admin.base import change_list
from workflows.models import AuditEntry, SavedFilter, Workflow

pytestmark = pytest.mark.django_db

EXECUTIONS = reverse("admin:executions_execution_changelist")
SAVE = reverse("admin:workflows_savedfilter_add")
SAVED = reverse("admin:workflows_savedfilter_changelist")


def client_in(role: str, **fields: Any) -> Client:
    client = Client()
    client.force_login(user_in(role, is_staff=True, **fields))
    return client


def save(client: Client, name: str, query: str = "live=yes", **more: str) -> Any:
    sent = {"name": name, "list": "executions.execution", "query": query, **more}
    return client.post(SAVE, sent)


class TestCounting:
    @pytest.mark.both_databases
    def test_list_says_where_counting_stops(
        self, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(3):
            scenario.start()
        client = client_in("viewer")
        assert "3 executions" in text(client.get(EXECUTIONS))
        monkeypatch.setattr(change_list.BoundedPaginator, "limit", 2)
        assert "More than 2 executions. Filter the list" in text(client.get(EXECUTIONS))

    @pytest.mark.parametrize("model", [Execution, Workflow, Finding, AuditEntry])
    def test_list_has_bounded_query_count(self, scenario: Scenario, model: Any) -> None:
        for _ in range(3):
            scenario.start()
        client = client_in("administrator")
        save(client, "Mine")
        options = model._meta
        url = reverse(f"admin:{options.app_label}_{options.model_name}_changelist")
        assert statements(lambda: client.get(url)) <= 25

    @pytest.mark.both_databases
    def test_search_by_id_finds_execution(self, scenario: Scenario) -> None:
        first = scenario.start()
        scenario.start()
        client = client_in("viewer")
        found = client.get(EXECUTIONS, {"q": first.cuid}).context["cl"].result_list
        assert [row.pk for row in found] == [first.pk]
        found = client.get(EXECUTIONS, {"q": "Finding 1"}).context["cl"].result_list
        assert len(found) == 2
        assert client.get(EXECUTIONS, {"q": "a\0b"}).status_code in (200, 302)


class TestCsv:
    @pytest.mark.both_databases
    def test_csv_contains_filtered_rows(
        self, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(change_list, "CHUNK", 2)
        live = [scenario.start() for _ in range(5)]
        ended = live.pop()
        Execution._base_manager.filter(pk=ended.pk).update(status="cancelled")
        client = client_in("viewer")
        html = text(client.get(EXECUTIONS, {"live": "yes"}))
        address = reverse("admin:executions_execution_csv") + "?live=yes"
        assert f'href="{address}"' in html
        response = client.get(address)
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        lines = b"".join(response).decode("utf-8-sig").splitlines()
        rows = list(csv.DictReader(lines))
        assert [row["cuid"] for row in rows] == [row.cuid for row in reversed(live)]
        assert rows[0]["workflow"] == "Workflow 4"
        assert rows[0]["finding_type"] == "Model Limitation"

    def test_csv_escapes_formulas(self) -> None:
        WorkflowFactory(title="=1+1")
        response = client_in("viewer").get(reverse("admin:workflows_workflow_csv"))
        assert "'=1+1" in b"".join(response).decode()

    def test_invalid_csv_filter_redirects_to_list(self) -> None:
        response = client_in("viewer").get(
            reverse("admin:executions_execution_csv"), {"started_at__gte": "never"}
        )
        assert response.status_code == 302
        assert response["Location"].startswith(EXECUTIONS)

    @pytest.mark.parametrize("may", [True, False])
    def test_csv_needs_view_permission(self, may: bool) -> None:
        client = staff("executions.view_execution" if may else "workflows.view_workflow")
        answered = client.get(reverse("admin:executions_execution_csv")).status_code
        assert answered == (200 if may else 403)


class TestSavedFilters:
    def test_saved_filter_is_linked_on_its_list(self) -> None:
        client = client_in("viewer")
        html = text(client.get(EXECUTIONS, {"live": "yes", "incident": "yes", "p": "1"}))
        assert f"{SAVE}?list=executions.execution&amp;query=incident%3Dyes%26live%3Dyes" in html
        assert "Save this filter" not in text(client.get(EXECUTIONS))
        page = text(client.get(SAVE, {"list": "executions.execution", "query": "live=yes"}))
        assert 'name="query" value="live=yes"' in page and 'name="shared"' not in page
        response = save(client, "Live & well", "p=3&live=yes&incident=yes")
        assert response["Location"] == f"{EXECUTIONS}?incident=yes&live=yes"
        html = text(client.get(response["Location"]))
        assert 'incident=yes&amp;live=yes" aria-current="page">Live &amp; well</a>' in html
        assert "Save this filter" not in html

    def test_saved_filter_query_is_escaped(self) -> None:
        client = client_in("viewer")
        query = "q=<script>alert(1)</script>"
        html = text(client.get(SAVE, {"list": "executions.execution", "query": query}))
        assert "Filter: q = &lt;script&gt;" in html and "<script>alert" not in html
        save(client, "Odd", query)
        for page in (SAVED, EXECUTIONS):
            assert "<script>alert" not in text(client.get(page))

    def test_saved_filter_belongs_to_its_user(self) -> None:
        mine, other = client_in("operator"), client_in("operator")
        save(mine, "Mine")
        row = SavedFilter.objects.get()
        assert ">Mine</a>" in text(mine.get(EXECUTIONS))
        assert ">Mine</a>" not in text(other.get(EXECUTIONS))
        assert ">Mine</a>" not in text(other.get(SAVED))
        page = reverse("admin:workflows_savedfilter_delete", args=[row.pk])
        other.post(page, {"post": "yes"})
        assert SavedFilter.objects.exists()
        mine.post(page, {"post": "yes"})
        assert not SavedFilter.objects.exists()

    def test_saved_filter_can_be_renamed(self) -> None:
        client = client_in("viewer")
        save(client, "Old")
        row = SavedFilter.objects.get()
        sent = {"name": "New", "list": row.list, "query": row.query}
        page = reverse("admin:workflows_savedfilter_change", args=[row.pk])
        assert client.post(page, sent)["Location"] == SAVED
        assert ">New</a>" in text(client.get(EXECUTIONS))

    @pytest.mark.parametrize(("role", "shares"), [("administrator", True), ("operator", False)])
    def test_administrator_shares_filter_with_everyone(self, role: str, shares: bool) -> None:
        save(client_in(role), "Everybody's", shared="on")
        row = SavedFilter.objects.get()
        assert row.shared is shares
        viewer = client_in("viewer")
        assert (">Everybody&#x27;s</a>" in text(viewer.get(EXECUTIONS))) is shares
        page = reverse("admin:workflows_savedfilter_change", args=[row.pk])
        viewer.post(page, {"name": "Mine now", "list": row.list, "query": row.query})
        row.refresh_from_db()
        assert row.name == "Everybody's"

    def test_shared_filter_of_hidden_list_is_hidden(self) -> None:
        client = client_in("administrator")
        save(client, "Refused", list="workflows.auditentry", shared="on")
        assert ">Refused</a>" in text(client.get(SAVED))
        assert ">Refused</a>" not in text(client_in("viewer").get(SAVED))

    def test_saved_filter_refusal_names_query_problem(self) -> None:
        with pytest.raises(ValidationError, match="contains a NUL character"):
            SavedFilter(name="A", query="q=a\0").clean()
        with pytest.raises(ValidationError, match="too long"):
            SavedFilter(name="A", query="q=" + "a" * 10_000).clean()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"list": "workflows.auditentry"},
            {"list": "nothing.here"},
            {"query": "q=" + "a" * 2_000},
            {"name": ""},
        ],
    )
    def test_invalid_filter_is_refused(self, wrong: dict[str, str]) -> None:
        client = client_in("viewer")
        assert save(client, **{"name": "Mine", **wrong}).status_code == 200
        assert not SavedFilter.objects.exists()

    def test_saved_filter_name_is_unique_per_user(self) -> None:
        client = client_in("viewer")
        save(client, "Mine")
        assert "You already have a filter with this name" in text(save(client, "Mine", "live=no"))
        save(client_in("viewer"), "Mine")
        assert SavedFilter.objects.count() == 2
