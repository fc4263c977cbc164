"""Pages as users read them who may not change the record, and pages that ask before an edit."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from executions import services
from tests.factories import FindingFactory, WorkflowFactory, call, form, save_line, user_in
from tests.people import Samples, create_samples
from tests.test_page_frames import ID
from tests.test_role_pages import address
from tests.workflows.admin.staff import text
from workflows.models import AuditEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(settings: Any) -> Samples:
    return create_samples(settings, is_staff=True)


def read(made: Samples, who: str, name: str, *args: Any) -> str:
    """Return a page as this user sees it."""
    client = Client()
    client.force_login(made.users[who])
    return text(client.get(reverse(f"admin:{name}", args=args) if args else address(name, made)))


def test_step_names_its_assignees_to_users_who_may_not_submit_it(made: Samples) -> None:
    page = ("operator", "executions_execution_change", made.at_a_form.pk)
    assert "Assigned to everyone who may submit forms." in read(made, *page)
    services.reassign(made.at_a_form, groups=["participant"], why="w", by=made.users["superuser"])
    assert "Assigned to group “participant”." in read(made, *page)


@pytest.mark.parametrize(("who", "is_reader"), [("viewer", True), ("operator", False)])
def test_incident_says_who_can_help(made: Samples, who: str, is_reader: bool) -> None:
    html = read(made, who, "executions_execution_change", made.in_an_incident.pk)
    assert ("An operator can retry or skip the step." in html) == is_reader


def test_settings_are_text_for_readers(made: Samples) -> None:
    saved = read(made, "viewer", "workflows_savedfilter_change")
    assert ">no filter</a>" in saved and "Executions" in strip_tags(saved)
    assert "executions.execution" not in saved
    assert "superuser" in saved and "/auth/user/" not in saved
    workflow = read(made, "viewer", "workflows_workflow_change")
    assert "Started manually only." in workflow and '"cron"' not in workflow
    webhook = strip_tags(read(made, "operator", "executions_subscription_change"))
    assert "[&quot;" not in webhook and '["' not in webhook


def test_audit_entry_without_record_is_not_called_deleted(made: Samples) -> None:
    failed = AuditEntry.objects.get(action="login_failed")
    page = read(made, "administrator", "workflows_auditentry_change", failed.pk)
    assert "guest" in page and "(deleted)" not in page


@pytest.mark.parametrize("name", ["executions_execution_start", "executions_execution_cancel"])
def test_page_that_asks_names_records_without_ids(made: Samples, name: str) -> None:
    called = WorkflowFactory(title="Called", entity_name_type=made.kind)
    save_line(called, form())
    calling = WorkflowFactory(entity_name_type=made.kind)
    save_line(calling, call(called))
    execution = services.start(calling, FindingFactory(entity_name_type=made.kind))
    row = made.workflow if name.endswith("start") else execution
    html = read(made, "operator", name, row.pk)
    content = re.sub(r".*<main\b|<script.*?</script>", "", html)
    assert not ID.search(strip_tags(content))
    if row is execution:
        child = reverse("admin:executions_execution_change", args=[execution.children.get().pk])
        assert f'<a href="{child}">Called</a>' in html


def test_history_is_linked_when_it_has_entries(made: Samples) -> None:
    page = reverse("admin:executions_finding_change", args=[made.unused_finding.pk])
    history = reverse("admin:executions_finding_history", args=[made.unused_finding.pk])
    editor = Client()
    editor.force_login(made.users["operator"])
    assert history not in text(editor.get(page))
    assert editor.post(page, {"title": "Renamed"}).status_code == 302
    assert history in text(editor.get(page))
    assert "Changed Title." in text(editor.get(history))


@pytest.mark.parametrize("model", ["finding", "inventorymodel"])
def test_add_page_says_when_there_is_no_type_to_choose(client: Client, model: str) -> None:
    client.force_login(user_in("operator", is_staff=True))
    page = reverse(f"admin:executions_{model}_add")
    assert "There is no type yet. Designers add types." in text(client.get(page))
