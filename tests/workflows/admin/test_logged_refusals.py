"""Refusals in the admin are in the audit log: one entry per attempt, none for a GET."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from executions import services as running
from tests.conftest import Scenario
from tests.factories import FindingFactory, RecordTypeFactory, WorkflowFactory
from tests.workflows.admin.staff import TOGETHER, act, delete, page, settings_of
from workflows import guards
from workflows.admin.workflow import WorkflowAdmin
from workflows.db import locks
from workflows.models import AuditEntry, Workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


def numbers() -> list[int]:
    return list(AuditEntry.objects.order_by("pk").values_list("pk", flat=True))


def refused_once(send: Callable[[], Any], code: str, cuid: str) -> AuditEntry:
    """Return the single audit entry that an attempt leaves."""
    before = numbers()
    send()
    assert len(numbers()) == len(before) + 1, "one attempt, one entry"
    entry = AuditEntry.objects.latest("pk")
    assert (entry.refused, entry.code, entry.cuid) == (True, code, cuid)
    assert (entry.who, entry.face) == ("admin", "admin")
    assert entry.detail
    assert entry.request_id
    return entry


def leaves_nothing(look: Callable[[], Any]) -> None:
    before = numbers()
    look()
    assert numbers() == before


class TestFormRefusals:
    def test_type_change_refused_by_live_execution_is_logged(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        scenario.start()
        leaves_nothing(lambda: admin_client.get(page(scenario.caller)))
        sent = settings_of(scenario.caller, entity_name_type=scenario.exception.pk)
        entry = refused_once(
            lambda: admin_client.post(page(scenario.caller), sent),
            "active_executions",
            scenario.caller.cuid,
        )
        assert entry.action == "changed"
        assert entry.before == {"entity_name_type": scenario.limitation.cuid}
        assert entry.after == {"entity_name_type": scenario.exception.cuid}

    def test_guard_refusal_at_save_is_logged(
        self, admin_client: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scenario.start()
        monkeypatch.setattr(Workflow, "clean", lambda _: None)
        sent = settings_of(scenario.caller, entity_name_type=scenario.exception.pk, title="T")
        entry = refused_once(
            lambda: admin_client.post(page(scenario.caller), sent),
            "active_executions",
            scenario.caller.cuid,
        )
        assert entry.after["title"] == "T"

    @pytest.mark.django_db(transaction=True)
    def test_database_refusal_is_logged(
        self,
        admin_client: Client,
        scenario: Scenario,
        monkeypatch: pytest.MonkeyPatch,
        vendor: str,
    ) -> None:
        scenario.start()
        monkeypatch.setattr(guards, "refuse_context_change", lambda *_, **__: None)
        sent = settings_of(scenario.caller, entity_name_type=scenario.exception.pk)
        code = "active_executions" if vendor == "postgresql" else "database_refused"
        entry = refused_once(
            lambda: admin_client.post(page(scenario.caller), sent), code, scenario.caller.cuid
        )
        assert entry.after == {"entity_name_type": scenario.exception.cuid}

    def test_refused_new_workflow_is_logged(self, admin_client: Client) -> None:
        sent = settings_of(Workflow(title="New"), primary_record_type=RecordTypeFactory().pk)
        before = numbers()
        admin_client.post(reverse("admin:workflows_workflow_add"), sent)
        entry = AuditEntry.objects.latest("pk")
        assert len(numbers()) == len(before) + 1
        assert (entry.action, entry.refused, entry.title) == ("created", True, "New")

    def test_refused_type_change_of_finding_is_logged(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        scenario.start()
        sent = {
            "title": scenario.finding.title,
            "entity_name_type": scenario.exception.pk,
            "inventory_model": "",
            "fields": "{}",
        }
        entry = refused_once(
            lambda: admin_client.post(page(scenario.finding), sent),
            "entity_in_use",
            scenario.finding.cuid,
        )
        assert entry.before == {"entity_name_type": scenario.limitation.cuid}
        assert entry.after == {"entity_name_type": scenario.exception.cuid}

    def test_validation_error_is_not_logged(
        self, admin_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        workflow = WorkflowFactory()
        leaves_nothing(lambda: admin_client.post(page(workflow), settings_of(workflow, title="")))

        def save(self: Workflow, **kwargs: Any) -> None:
            raise locks.Contention

        monkeypatch.setattr(Workflow, "save", save)
        leaves_nothing(lambda: admin_client.post(page(workflow), settings_of(workflow, title="T")))

    def test_form_validation_alone_is_not_logged(self, scenario: Scenario) -> None:
        scenario.start()
        scenario.caller.entity_name_type = scenario.exception
        scenario.finding.entity_name_type = scenario.exception
        for row in (scenario.caller, scenario.finding):
            before = numbers()
            with pytest.raises(ValidationError):
                row.full_clean()
            assert numbers() == before


class TestDeletionRefusals:
    @pytest.mark.parametrize(
        ("who", "code"),
        [("callee", "referenced"), ("limitation", "type_in_use"), ("finding", "entity_in_use")],
    )
    def test_confirmed_deletion_is_logged_once(
        self, admin_client: Client, scenario: Scenario, who: str, code: str
    ) -> None:
        scenario.start()
        row = getattr(scenario, who)
        leaves_nothing(lambda: admin_client.get(page(row, "delete")))
        entry = refused_once(
            lambda: admin_client.post(page(row, "delete"), {"post": "yes"}), code, row.cuid
        )
        assert entry.action == "deleted"
        assert entry.before

    def test_refused_row_of_bulk_deletion_is_logged(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        free = WorkflowFactory()
        both = free, scenario.callee
        leaves_nothing(lambda: act(admin_client, "delete_selected", *both))
        refused_once(
            lambda: act(admin_client, "delete_selected", *both, post="yes"),
            "referenced",
            scenario.callee.cuid,
        )

    @pytest.mark.parametrize("selected", [False, True])
    def test_concurrent_refusal_is_logged_once(
        self,
        admin_client: Client,
        scenario: Scenario,
        monkeypatch: pytest.MonkeyPatch,
        selected: bool,
    ) -> None:
        monkeypatch.setattr(WorkflowAdmin, "refuse_deletion", lambda *_: None)
        refused_once(
            lambda: delete(admin_client, scenario.callee, selected=selected),
            "referenced",
            scenario.callee.cuid,
        )

    @pytest.mark.django_db(transaction=True)
    def test_database_refusal_of_deletion_is_logged(
        self, admin_client: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(guards, "refuse_referenced", lambda *_, **__: None)
        before = numbers()
        admin_client.post(page(scenario.callee, "delete"), {"post": "yes"})
        entry = AuditEntry.objects.latest("pk")
        assert len(numbers()) == len(before) + 1
        assert (entry.refused, entry.action, entry.cuid) == (True, "deleted", scenario.callee.cuid)


class TestPageRefusals:
    def test_refused_state_change_is_logged(self, admin_client: Client, scenario: Scenario) -> None:
        entry = refused_once(
            lambda: act(admin_client, "retire", scenario.callee),
            "referenced",
            scenario.callee.cuid,
        )
        assert entry.after == {"state": "retired"}

    def test_refused_graph_is_logged(self, admin_client: Client, scenario: Scenario) -> None:
        address = page(scenario.caller, "graph")
        leaves_nothing(lambda: admin_client.get(address))
        sent = {"source": json.dumps({"nodes": []}), "based_on": 1, "notes": "Tidy"}
        entry = refused_once(
            lambda: admin_client.post(address, sent), "invalid_graph", scenario.caller.cuid
        )
        assert (entry.action, entry.why) == ("graph_saved", "Tidy")

    def test_refused_group_change_is_logged(self, admin_client: Client, scenario: Scenario) -> None:
        scenario.start()
        query: dict[str, Any] = {
            "workflows": scenario.caller.pk,
            "type": f"finding-{scenario.exception.pk}",
        }
        leaves_nothing(lambda: admin_client.get(reverse(TOGETHER), query))
        entry = refused_once(
            lambda: admin_client.post(reverse(TOGETHER), {**query, "why": "Reclassified"}),
            "active_executions",
            scenario.caller.cuid,
        )
        assert entry.why == "Reclassified"

    def test_refused_cancellation_is_logged(self, admin_client: Client, scenario: Scenario) -> None:
        execution = scenario.start()
        running.cancel(execution)
        address = page(execution, "cancel")
        leaves_nothing(lambda: admin_client.get(address))
        refused_once(
            lambda: admin_client.post(address, {"why": "again"}), "execution_ended", execution.cuid
        )

    def test_accepted_change_is_logged_once(self, admin_client: Client, scenario: Scenario) -> None:
        finding = FindingFactory()
        before = numbers()
        admin_client.post(page(finding, "delete"), {"post": "yes"})
        assert len(numbers()) == len(before) + 1
        assert AuditEntry.objects.latest("pk").refused is False
