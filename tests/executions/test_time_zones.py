"""Time zones on pages, in the API and in filters, up to the ends of the calendar."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from executions import services as running
from executions.engine.forms import FormInvalid
from executions.models import Entity, Execution
from tests.commands import run
from tests.conftest import Scenario
from tests.factories import FindingFactory, WorkflowFactory, form, save_line, user_in
from tests.workflows.admin.staff import list_messages, page, text
from tests.workflows.api.clients import client_of
from workflows.models import AuditEntry

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
SKIPPED, TWICE = "2026-03-29T02:30", "2026-10-25T02:30"
ENDS = [
    "0001-01-01",
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31",
    "9999-12-31T23:59:59-12:00",
    "9999-12-31T23:59:59.999999Z",
]
BESIDE = '<span class="zone">Europe/Berlin</span>'
NO_MOMENTS = ["0000-01-01", "10000-01-01", "2026-02-30", "soon", "2026-01-01T25:00", "-1"]


def asking(**data: Any) -> Execution:
    workflow = WorkflowFactory()
    due = {"name": "due", "type": "datetime", "required": True}
    save_line(workflow, form("form", due, **data))
    return running.start(workflow, FindingFactory(entity_name_type=workflow.entity_name_type))


def client_in(role: str) -> Client:
    client = Client()
    client.force_login(user_in(role, is_staff=True))
    return client


def test_every_page_names_the_zone_of_its_times_and_inputs(settings, monkeypatch):
    settings.TIME_ZONE = "Europe/Berlin"
    monkeypatch.setattr(timezone, "now", lambda: NOON)
    execution = asking(deadline="P1D")
    monkeypatch.undo()
    client = client_in("administrator")
    inbox = text(client.get(reverse("admin:executions_execution_inbox")))
    assert BESIDE in inbox
    page_text = text(client.get(page(execution)))
    assert "2026-07-01 14:00:00 CEST" in page_text
    start = reverse("admin:executions_execution_start", args=[execution.workflow_id])
    assert BESIDE in text(client.get(start))
    listed = text(client.get(reverse("admin:executions_execution_changelist")))
    assert "2026-07-01 14:00:00 CEST" in listed
    assert "last change (Europe/Berlin)" in text(
        client.get(reverse("admin:executions_finding_changelist"))
    )
    for page_text in (inbox, listed, text(client.get(reverse("admin:index")))):
        assert "Times are in Europe/Berlin." in page_text


@pytest.mark.parametrize(
    ("typed", "stored", "says"),
    [
        (SKIPPED, "2026-03-29T01:30:00+00:00", "02:30 does not exist in Europe/Berlin"),
        (TWICE, "2026-10-25T00:30:00+00:00", "02:30 occurs twice in Europe/Berlin"),
        ("2026-07-01T14:00", "2026-07-01T12:00:00+00:00", ""),
    ],
)
def test_form_resolves_a_local_time_and_explains_it(settings, typed, stored, says):
    settings.TIME_ZONE = "Europe/Berlin"
    execution = asking()
    step = execution.steps.get(node_id="form")
    url = reverse("admin:executions_execution_submit", args=[execution.pk, step.cuid])
    answer = client_in("participant").post(url, {f"{step.cuid}-due": typed}, follow=True)
    assert Entity.objects.get(pk=execution.entity_id).fields == {"due": stored}
    assert (
        any(says in line for line in list_messages(answer)[1:])
        if says
        else len(list_messages(answer)) == 1
    )
    same = asking()
    running.submit(same, data={"due": typed})
    assert Entity.objects.get(pk=same.entity_id).fields == {"due": stored}


def test_scheduled_start_resolves_a_local_time_and_explains_it(settings, scenario: Scenario):
    settings.TIME_ZONE = "Europe/Berlin"
    url = reverse("admin:executions_execution_start", args=[scenario.caller.pk])
    typed = {"entity": scenario.finding.pk, "scheduled_for": "2030-03-31T02:30"}
    answer = client_in("operator").post(url, typed, follow=True)
    execution = Execution.objects.get()
    assert execution.scheduled_for == datetime(2030, 3, 31, 1, 30, tzinfo=UTC)
    assert any("03:30 CEST is used" in line for line in list_messages(answer))


def test_api_returns_utc_and_reads_local_times_in_the_zone(settings, scenario: Scenario):
    settings.TIME_ZONE = "Europe/Berlin"
    api = client_of(superuser=True)
    body = {
        "workflow": scenario.caller.cuid,
        "entity": scenario.finding.cuid,
        "scheduled_for": "2030-07-01T14:00",
    }
    answer = api.post("executions/", body).json()
    assert answer["scheduled_for"] == "2030-07-01T12:00:00Z"
    for route in ("executions/", "workflows/", "audit/"):
        page_text = json.dumps(api.get(route).json()["results"])
        assert "+02:00" not in page_text and "+01:00" not in page_text
    body["scheduled_for"] = "9999-12-31T23:59:59-12:00"
    assert api.post("executions/", body).status_code == 400


@pytest.mark.both_databases
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/New_York"])
def test_filters_accept_the_ends_of_the_calendar(settings, zone, scenario: Scenario):
    settings.TIME_ZONE = zone
    scenario.start()
    api = client_of(superuser=True)
    total = AuditEntry.objects.count()
    for end in ENDS:
        is_late = end.startswith("9999")
        for name in ("started", "updated"):
            after = api.get("executions/", {f"{name}_after": end}).json()["count"]
            before = api.get("executions/", {f"{name}_before": end}).json()["count"]
            assert (after, before) == ((0, 1) if is_late else (1, 0)), end
        assert api.get("audit/", {"since": end}).json()["count"] == (0 if is_late else total)
        entries = json.loads(run("audit_log", "--since", end, "--json") or "[]") if is_late else []
        assert entries == []


@pytest.mark.both_databases
@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns"])
def test_pages_show_moments_at_the_ends_of_the_calendar(settings, zone):
    settings.TIME_ZONE = zone
    workflow = WorkflowFactory()
    last = "9999-12-31T23:59:59Z"
    wait = {"id": "wait", "type": "wait", "data": {"at": last}}
    save_line(workflow, form("form", {"name": "due", "type": "datetime"}), wait)
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    waiting = running.start(workflow, finding)
    running.submit(waiting, data={"due": last})
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    scheduled = running.start(workflow, finding, scheduled_for=end)
    client = client_in("administrator")
    pages = [page(waiting), page(scheduled), page(finding)]
    names = ["admin:index", "admin:executions_execution_inbox"]
    names += ["admin:executions_execution_changelist"]
    for url in [*pages, *map(reverse, names)]:
        assert client.get(url).status_code == 200, url
    assert "9999-12-31 " in text(client.get(page(waiting)))


@pytest.mark.parametrize("typed", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"])
def test_moment_beyond_the_calendar_is_refused(typed):
    execution = asking()
    step = execution.steps.get(node_id="form")
    url = reverse("admin:executions_execution_submit", args=[execution.pk, step.cuid])
    answer = client_in("participant").post(url, {f"{step.cuid}-due": typed})
    assert "Enter a valid date/time." in text(answer)
    with pytest.raises(FormInvalid):
        running.submit(execution, data={"due": typed})
    assert Entity.objects.get(pk=execution.entity_id).fields == {}


@pytest.mark.both_databases
@pytest.mark.parametrize("lookup", ["gte", "lt", "exact", "date", "year"])
def test_admin_filters_accept_the_ends_of_the_calendar(settings, lookup, scenario: Scenario):
    settings.TIME_ZONE = "America/New_York"
    pages = client_in("administrator")
    url = reverse("admin:executions_finding_changelist")
    for end in ENDS[1::3]:
        answer = pages.get(url, {f"updated_at__{lookup}": end})
        assert answer.status_code in (200, 302), end


@pytest.mark.both_databases
@pytest.mark.parametrize("year", ["-1", "0", "1", "9999", "10000", "9" * 20])
def test_admin_lists_accept_any_year_and_day(settings, year):
    settings.TIME_ZONE = "Asia/Kolkata"
    asking()
    pages = Client()
    pages.force_login(user_in("administrator", is_staff=True, is_superuser=True))
    for name, field in (
        ("executions_execution", "started_at"),
        ("executions_finding", "updated_at"),
        ("workflows_auditentry", "at"),
        ("auth_user", "date_joined"),
        ("knox_authtoken", "created"),
    ):
        url = reverse(f"admin:{name}_changelist")
        for query in (
            {f"{field}__year": year},
            {f"{field}__year": year, f"{field}__month": "1", f"{field}__day": "1"},
            {f"{field}__year": "2026", f"{field}__month": year},
        ):
            assert pages.get(url, query).status_code in (200, 302), (name, query)


@pytest.mark.parametrize("wrong", NO_MOMENTS)
def test_filter_is_refused_when_its_value_is_no_moment(wrong, scenario: Scenario):
    api, pages = client_of(superuser=True), client_in("administrator")
    for route, name in (("executions/", "started_after"), ("audit/", "until")):
        assert api.get(route, {name: wrong}).status_code == 400
    answer = pages.get(reverse("admin:executions_finding_changelist"), {"updated_at__gte": wrong})
    assert answer.status_code == 302 and answer["Location"].endswith("?e=1")
    with pytest.raises(CommandError):
        call_command("audit_log", f"--since={wrong}")


def test_filter_without_an_offset_uses_the_zone(settings, monkeypatch, scenario: Scenario):
    settings.TIME_ZONE = "Europe/Berlin"
    monkeypatch.setattr(timezone, "now", lambda: NOON)
    scenario.start()
    monkeypatch.undo()
    api = client_of(superuser=True)
    for given, number in (("2026-07-01T14:00", 1), ("2026-07-01T14:00:01", 0), ("2026-07-02", 0)):
        assert api.get("executions/", {"started_after": given}).json()["count"] == number


@pytest.mark.parametrize("length", ["1 month", "P1M", "4w", "30d", "700h"])
def test_purge_accepts_months_weeks_and_days(length):
    run("purge_executions", "--older-than", length, "--dry-run")


def test_wait_of_a_month_ends_on_its_last_day():
    workflow = WorkflowFactory()
    save_line(workflow, {"id": "wait", "type": "wait", "data": {"at_field": "on", "delta": "P1M"}})
    finding = FindingFactory(
        entity_name_type=workflow.entity_name_type, fields={"on": "2090-01-31T10:00:00Z"}
    )
    execution = running.start(workflow, finding)
    assert execution.steps.get(node_id="wait").due_at == datetime(2090, 2, 28, 10, tzinfo=UTC)


def test_deadline_in_weeks_is_due_after_them():
    execution = asking(deadline="P2W")
    step: Any = execution.steps.get(node_id="form")
    assert abs(step.due_at - step.opened_at - timedelta(days=14)) < timedelta(hours=2)
