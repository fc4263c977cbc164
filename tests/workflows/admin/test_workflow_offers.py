"""The workflow page offers nothing that would be refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.conftest import Scenario
from tests.factories import WorkflowFactory
from tests.workflows.admin.staff import page, text
from workflows.models import AuditEntry, Workflow

pytestmark = pytest.mark.django_db


def test_start_is_offered_only_while_the_workflow_is_active(admin_client: Client) -> None:
    workflow = WorkflowFactory()
    assert "Start execution" in text(admin_client.get(page(workflow)))
    workflow.state = Workflow.State.DRAFT
    workflow.save()
    assert "Start execution" not in text(admin_client.get(page(workflow)))


def test_nothing_is_offered_while_a_change_is_on_hold(
    admin_client: Client, scenario: Scenario, pending: Any
) -> None:
    html = text(admin_client.get(page(scenario.caller)))
    assert "Start execution" not in html and "Change finding type</a>" not in html
    assert str(reverse("admin:workflows_pendingchange_change", args=[pending.pk])) in html


def test_log_of_a_workflow_lists_its_changes_on_hold(
    admin_client: Client, scenario: Scenario, pending: Any
) -> None:
    entry = AuditEntry.objects.filter(cuid=pending.cuid).latest("pk")
    html = text(admin_client.get(page(scenario.callee)))
    assert reverse("admin:workflows_auditentry_change", args=[entry.pk]) in html


def test_type_that_the_workflow_has_cannot_be_chosen(
    admin_client: Client, scenario: Scenario
) -> None:
    url = reverse("admin:workflows_workflow_change_type")
    html = text(admin_client.get(url, {"workflows": str(scenario.callee.pk)}))
    assert f'value="finding-{scenario.exception.pk}"' in html
    assert f'value="finding-{scenario.limitation.pk}"' not in html
