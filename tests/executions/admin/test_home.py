"""The panels of the home page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from executions import services as running
from executions.models import Execution
from tests.conftest import Scenario
from tests.factories import FindingFactory, UserFactory, user_in
from tests.people import OPERATORS, PARTICIPANTS, READERS, create_samples
from tests.test_plans import add_rows, planned_for_large_tables
from tests.workflows.admin.staff import staff, statements, text
from workflows.db import bounded_count

pytestmark = pytest.mark.django_db

HOME = reverse("admin:index")
PANELS = ("tasks", "incidents", "overdue", "unassigned", "changes", "live")


def client_in(role: str) -> Client:
    client = Client()
    client.force_login(user_in(role, is_staff=True))
    return client


def fail(execution: Execution, detail: str = "d") -> None:
    """Turn the open steps of an execution into incidents."""
    execution.steps.open().update(state="incident", incident={"code": "c", "detail": detail})


def totals(html: str) -> dict[str, str]:
    """Return the counts of the panels, by name."""
    found = re.findall(r'<h2 id="panel-(\w+)">.*?<span class="panel-count">([^<]*)</span>', html)
    return dict(found)


@pytest.mark.parametrize("who", sorted(READERS))
def test_home_page_shows_panels_by_role(who: str, settings: Any) -> None:
    made = create_samples(settings, is_staff=True)
    client = Client()
    client.force_login(made.users[who])
    html = text(client.get(HOME))
    assert list(totals(html)) == [name for name in PANELS if name != "tasks" or who in PARTICIPANTS]
    assert (f"/executions/execution/{made.at_a_form.pk}/" in html) == (who in PARTICIPANTS)
    assert ("/admin/executions/subscription/" in html) == (who in OPERATORS)


def test_home_page_is_empty_without_role() -> None:
    html = text(staff().get(HOME))
    assert totals(html) == {}
    assert "have permission to view or edit anything" in html


def test_incident_panel_links_step(scenario: Scenario) -> None:
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "n"})
    other = scenario.start()
    fail(other, "The field “day” holds no date.")
    html = text(client_in("operator").get(HOME))
    step = other.steps.open().get()
    assert totals(html)["incidents"] == "1"
    assert f"/execution/{other.pk}/change/#step-{step.cuid}" in html
    assert "The field “day” holds no date." in html
    followed = client_in("operator").get(
        reverse("admin:executions_execution_changelist"), {"incident": "yes"}
    )
    assert [row.pk for row in followed.context["cl"].result_list] == [other.pk]


def test_task_panel_begins_with_the_next_deadline(scenario: Scenario) -> None:
    waiting = [scenario.start() for _ in range(4)]
    for execution, day in zip(waiting[1:3], (2, 1), strict=True):
        execution.steps.update(due_at=datetime(2030, 1, day, tzinfo=UTC))
    html = text(client_in("participant").get(HOME))
    panel = html[html.index('id="panel-tasks"') :]
    first, second, third, fourth = waiting
    found = [int(pk) for pk in re.findall(r"/execution/(\d+)/change/#step-", panel)]
    assert found == [row.pk for row in (third, second, first, fourth)]


def test_overdue_panel_links_list(scenario: Scenario) -> None:
    execution = scenario.start()
    scenario.start()
    execution.steps.update(overdue=True)
    client = client_in("viewer")
    assert totals(text(client.get(HOME)))["overdue"] == "1"
    listed = client.get(reverse("admin:executions_execution_changelist"), {"overdue": "yes"})
    assert [row.pk for row in listed.context["cl"].result_list] == [execution.pk]


def test_change_panel_shows_pending_and_refused_changes(pending: Any) -> None:
    client = client_in("viewer")
    html = text(client.get(HOME))
    assert totals(html)["changes"] == "1"
    assert "Change to “Policy Exception”" in html
    pending.state, pending.reason = "not_applied", "A callee has moved."
    pending.save()
    html = text(client.get(HOME))
    assert "Could not be applied" in html and "A callee has moved." in html


def test_live_panel_counts_up_to_limit(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        scenario.start()
    html = text(client_in("viewer").get(HOME))
    assert totals(html)["live"] == "4" and ">4</span>" in html
    monkeypatch.setattr("executions.admin.home.OVERVIEW_LIMIT", 3)
    assert totals(text(client_in("viewer").get(HOME)))["live"] == "3+"
    assert str(bounded_count.RowCount(1_000, True)) == "1,000+"


def test_home_page_escapes_names(scenario: Scenario) -> None:
    scenario.caller.title = "<script>alert(1)</script>"
    scenario.caller.save()
    scenario.start()
    assert "<script>alert" not in text(client_in("administrator").get(HOME))


def test_home_page_query_count_is_bounded(
    scenario: Scenario,
) -> None:
    client = Client()
    client.force_login(user_in("administrator", is_staff=True))

    def fill(number: int) -> None:
        for _ in range(number):
            running.start(scenario.caller, FindingFactory(entity_name_type=scenario.limitation))
            execution = scenario.start()
            execution.steps.update(overdue=True)
            broken = scenario.start()
            running.submit(broken, node="form", data={"note": "n"})
            fail(scenario.start())

    scenario.start()
    scenario.hold(by=UserFactory())
    # The pending change blocks starts, so one execution was started before.
    assert statements(lambda: client.get(HOME)) <= 26
    scenario.caller.pending.all().delete()
    scenario.callee.pending.all().delete()
    fill(7)
    assert statements(lambda: client.get(HOME)) <= 26


SHORT = (
    *("executions_incident", "executions_overdue_step"),
    *("executions_live", "executions_open", "executions_asked_step"),
)
"""Partial indexes on live executions and on open, failed or overdue steps."""


@pytest.mark.postgresql  # SQLite does not see that an index covers the state in question.
def test_home_page_queries_use_indexes(scenario: Scenario) -> None:
    add_rows(scenario, executions=8, workflows=8)
    scenario.start()
    client = client_in("administrator")
    with planned_for_large_tables() as found:
        client.get(HOME)
    for plan in found:
        scans = [scan for scan in plan.scans if scan.startswith("executions_")]
        # Whether there is any row at all.
        scans = [] if " WHERE " not in plan.sql and plan.sql.endswith(" LIMIT 1") else scans
        assert not scans or any(name in "".join(plan.lines) for name in SHORT), plan
