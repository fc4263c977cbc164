"""Pages of the audit log: content, permissions and query counts."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from executions import services as running
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    InventoryModelFactory,
    WorkflowFactory,
    form,
    save_line,
)
from tests.workflows.admin.staff import VIEW, page, staff, statements, text
from workflows import editing, guards
from workflows.admin import audit
from workflows.audit.actor import Actor, Interface, act_as
from workflows.models import AuditEntry, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

LOG = "/admin/workflows/auditentry/"


def last() -> AuditEntry:
    return AuditEntry.objects.latest("pk")


def listed_ids(response: Any) -> list[int]:
    return [row.pk for row in response.context["cl"].result_list]


def refused(scenario: Scenario, **how: Any) -> AuditEntry:
    scenario.start()
    with act_as(Actor(Interface.API, "request-1")), pytest.raises(guards.ActiveExecutions):
        editing.change_entity_context(
            [scenario.caller], entity_name_type=scenario.exception, why="Reclassified", **how
        )
    return last()


class TestLogList:
    def test_log_list_shows_refusals_and_links_existing_records(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        refused(scenario)
        missing = FindingTypeFactory(name="Gone")
        address = page(missing)
        missing.delete()
        html = text(admin_client.get(LOG))
        assert '<span class="badge badge-refused">refused</span>' in html
        assert "active_executions" in html
        assert "Reclassified" in html
        assert f'<a href="{page(scenario.caller)}">Workflow 4</a>' in html
        assert f'<a href="{page(scenario.finding)}">Finding 1</a>' in html
        assert "Gone" in html
        assert address not in html

    def test_log_list_query_count_is_constant(self, admin_client: Client) -> None:
        def fill(number: int) -> None:
            for _ in range(number):
                workflow = WorkflowFactory()
                finding = FindingFactory(entity_name_type=workflow.entity_name_type)
                InventoryModelFactory()
                save_line(workflow, form())
                running.cancel(running.start(workflow, finding))

        fill(1)
        few = statements(lambda: admin_client.get(LOG))
        fill(9)
        assert statements(lambda: admin_client.get(LOG)) == few

    def test_unfiltered_log_uses_no_count_and_no_offset(
        self, admin_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(7):
            FindingTypeFactory()
        monkeypatch.setattr(audit.AuditEntryAdmin, "list_per_page", 3)
        with CaptureQueriesContext(connection) as captured:
            pages = [listed_ids(admin_client.get(LOG, {"p": number})) for number in (1, 2, 3)]
        assert pages == [[7, 6, 5], [4, 3, 2], [1]]
        ours = [row["sql"] for row in captured if "workflows_auditentry" in row["sql"]]
        assert ours
        assert not [sql for sql in ours if "COUNT(" in sql or "OFFSET" in sql]

    def test_filtered_log_counts_only_newest_entries(
        self, admin_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(7):
            FindingTypeFactory()
        monkeypatch.setattr(audit, "COUNT_LIMIT", 5)
        response = admin_client.get(LOG, {"action__exact": "created"})
        assert "Only the newest 5 matching entries are listed." in text(response)
        assert "Only the newest 5" not in text(admin_client.get(LOG))

    def test_log_filters_keep_matching_entries(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        entry = refused(scenario)
        everything = listed_ids(admin_client.get(LOG))
        for query in (
            {"refused__exact": "1"},
            {"face__exact": "api"},
            {"code": "active_executions"},
            {"request_id": "request-1"},
        ):
            assert listed_ids(admin_client.get(LOG, query)) == [entry.pk], query
        kinds = listed_ids(admin_client.get(LOG, {"kind": "finding type"}))
        assert len(kinds) == 2
        assert listed_ids(admin_client.get(LOG, {"cuid": scenario.finding.cuid}))
        assert listed_ids(admin_client.get(LOG, {"kind": "nonsense"})) == everything
        assert listed_ids(admin_client.get(LOG, {"request_id": "\0"})) == everything

    def test_log_search_finds_ids_names_and_words(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        entry = refused(scenario)
        admin = get_user_model().objects.get(username="admin")
        running.cancel(scenario.caller.executions.get(), by=admin)
        assert entry.pk in listed_ids(admin_client.get(LOG, {"q": scenario.caller.cuid}))
        assert listed_ids(admin_client.get(LOG, {"q": "nobody"})) == []
        assert listed_ids(admin_client.get(LOG, {"q": "admin"})) == [entry.pk + 1]
        assert listed_ids(admin_client.get(LOG, {"q": "policy exc"}))
        assert listed_ids(admin_client.get(LOG, {"q": "c" * 25})) == []

    def test_log_search_finds_request_id(self, admin_client: Client) -> None:
        request_id = "0123456789abcdef0123456789abcdef"
        with act_as(Actor(Interface.API, request_id)):
            FindingTypeFactory()
        FindingTypeFactory()
        assert listed_ids(admin_client.get(LOG, {"q": request_id})) == [1]


class TestEntryPage:
    def test_entry_page_names_types_by_title(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        entry = refused(scenario)
        html = text(admin_client.get(page(entry)))
        assert f'<td><a href="{page(scenario.limitation)}">Model Limitation</a></td>' in html
        assert f'<td><a href="{page(scenario.exception)}">Policy Exception</a></td>' in html
        assert scenario.exception.cuid not in html
        assert "Cannot change finding type while this workflow has active executions." in html
        assert "Requested changes" in html
        assert f'href="{LOG}?request_id=request-1"' in html
        assert f'href="{LOG}?cuid={scenario.caller.cuid}"' in html

    def test_entry_page_shows_id_of_deleted_type(self, admin_client: Client) -> None:
        workflow, kind = WorkflowFactory(), FindingTypeFactory()
        editing.change_entity_context([workflow], entity_name_type=kind)
        entry = last()
        editing.change_entity_context([workflow], entity_name_type=FindingTypeFactory())
        kind.delete()
        html = text(admin_client.get(page(entry)))
        assert f"<td>{entry.after['entity_name_type']}</td>" in html

    def test_entry_page_marks_deleted_record(self, admin_client: Client) -> None:
        FindingTypeFactory(name="Gone").delete()
        html = text(admin_client.get(page(last())))
        assert "Gone" in html
        assert "(deleted)" in html

    def test_entry_page_escapes_values(self, admin_client: Client) -> None:
        finding = FindingFactory(title="<script>alert(1)</script>")
        finding.fields = {"a": ["<b>", {"c": None}]}
        finding.save()
        for entry in AuditEntry.objects.all():
            html = text(admin_client.get(page(entry)))
            assert "<script>alert" not in html
            assert '"<b>"' not in html
        assert "<script>alert" not in text(admin_client.get(LOG))

    def test_entry_page_shows_replaced_graph(self, admin_client: Client) -> None:
        workflow = WorkflowFactory()
        save_line(workflow, form())
        html = text(admin_client.get(page(last())))
        assert "Graph saved" in html
        assert '<pre class="json">' in html

    @pytest.mark.parametrize("number", ["999999", "abc"])
    def test_missing_entry_redirects(self, admin_client: Client, number: str) -> None:
        assert admin_client.get(f"{LOG}{number}/change/").status_code == 302


class TestLogPermissions:
    def test_log_is_read_only(self, admin_client: Client) -> None:
        FindingTypeFactory()
        entry = last()
        assert admin_client.get(f"{LOG}add/").status_code == 403
        assert admin_client.post(page(entry), {}).status_code == 403
        assert admin_client.get(page(entry, "delete")).status_code == 403
        assert admin_client.post(page(entry, "delete"), {"post": "yes"}).status_code == 403
        sent = {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"}
        admin_client.post(LOG, sent)
        assert AuditEntry.objects.filter(pk=entry.pk).exists()

    def test_log_needs_permission(self, scenario: Scenario) -> None:
        scenario.start()
        viewer, auditor = staff(*VIEW), staff(*VIEW, "workflows.view_auditentry")
        for address in (LOG, page(last())):
            assert viewer.get(address).status_code == 403
            assert auditor.get(address).status_code == 200
        for row in (scenario.caller, scenario.finding, scenario.caller.executions.get()):
            assert LOG not in text(viewer.get(page(row)))
            assert f'href="{LOG}?cuid={row.cuid}"' in text(auditor.get(page(row)))


class TestHistorySection:
    def test_workflow_page_lists_ten_newest_entries(self, admin_client: Client) -> None:
        workflow = WorkflowFactory(title="T0")
        for number in range(1, 13):
            Workflow.objects.filter(pk=workflow.pk).update(title=f"T{number}")
        other = WorkflowFactory()
        html = text(admin_client.get(page(workflow)))
        entries = AuditEntry.objects.filter(cuid=workflow.cuid)
        assert all(page(entry) in html for entry in entries[:10])
        assert not any(page(entry) in html for entry in entries[10:])
        assert page(AuditEntry.objects.filter(cuid=other.cuid)[0]) not in html
        assert f'href="{LOG}?cuid={workflow.cuid}"' in html

    def test_inventory_model_page_links_its_entries(self, admin_client: Client) -> None:
        model = InventoryModelFactory()
        assert f'href="{LOG}?cuid={model.cuid}"' in text(admin_client.get(page(model)))
        html = text(admin_client.get(LOG))
        assert f'href="{page(model)}"' in html

    def test_history_page_links_log_with_permission(self, scenario: Scenario) -> None:
        viewer, auditor = staff(*VIEW), staff(*VIEW, "workflows.view_auditentry")
        nothing = "No changes were made in the admin."
        for row in (scenario.caller, scenario.finding):
            link = f'href="{LOG}?cuid={row.cuid}"'
            seen, read = (text(one.get(page(row, "history"))) for one in (viewer, auditor))
            texts = AuditEntry.objects.filter(cuid=row.cuid).exists()
            assert (link in read, nothing in read) == (texts, not texts)
            assert link not in seen
            assert nothing in seen
        execution = scenario.start()
        assert auditor.get(page(execution, "history"))["Location"] == page(execution)
        missing = page(scenario.caller, "history").replace(str(scenario.caller.pk), "999999")
        assert auditor.get(missing).status_code == 302
