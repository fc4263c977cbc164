"""The page of reports: its numbers, its limits, its charts and its CSV."""

from __future__ import annotations

import csv
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from executions import report_queries, services
from executions.admin.bar_charts import Part, heat_level, render_bar
from executions.models import Execution, Step
from executions.report_queries import percentile
from tests.conftest import Scenario
from tests.factories import accounts, form, save_line, user_in
from tests.workflows.admin.staff import statements, text
from workflows.db import clock

PAGE = reverse("admin:executions_execution_reports")
DAY = timedelta(days=1)


def submitted(scenario: Scenario, hours: float, *, due: float | None = None) -> Execution:
    """Return an execution whose form was open for these hours, and due after others."""
    execution = scenario.start()
    services.submit(execution, node="form", data={"note": "n"})
    step: Step = execution.steps.get(node_id="form")
    assert step.closed_at is not None
    opened = step.closed_at - timedelta(hours=hours)
    due_at = None if due is None else opened + timedelta(hours=due)
    Step.objects.filter(pk=step.pk).update(opened_at=opened, due_at=due_at)
    return execution


def read(client: Client, name: str, **query: Any) -> list[list[str]]:
    """Return the rows of the CSV of a table, without its head."""
    url = reverse("admin:executions_execution_reports_csv", args=[name])
    body = client.get(url, query).getvalue().decode("utf-8-sig")
    return list(csv.reader(body.splitlines()))[1:]


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([7], 50, 7), ([1, 2], 50, 1), ([3, 1, 2], 50, 2), (range(1, 11), 90, 9), ([5, 1], 90, 5)],
)
def test_percentile_is_the_nearest_rank(values: Any, percent: int, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_bar_fills_its_width_in_proportion() -> None:
    bar = render_bar([Part(1, "a", "A"), Part(0, "b", "B"), Part(3, "c", "<C>")], 8)
    assert 'class="a" x="0.0" width="28.0"' in bar and 'class="c" x="30.0" width="88.0"' in bar
    assert 'class="b"' not in bar and "&lt;C&gt;" in bar
    assert "<rect" not in render_bar([Part(0, "a", "A")], 0)


def test_heat_level_is_in_proportion_to_the_longest() -> None:
    assert [heat_level(value, 100) for value in (0, 19, 20, 59, 100)] == [1, 1, 2, 3, 5]
    assert heat_level(0, 0) == 1


@pytest.mark.django_db
@pytest.mark.both_databases
class TestNumbers:
    def test_executions_are_counted_by_workflow_and_status(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        submitted(scenario, 1)
        scenario.start()
        services.cancel(scenario.start())
        rows = read(admin_client, "executions")
        assert rows == [["Workflow 4", "3", "1", "1", "1"], ["Workflow 3", "1", "0", "1", "0"]]
        assert read(admin_client, "executions", workflow=scenario.callee.pk) == [
            ["Workflow 3", "1", "1"]
        ]
        later = clock.now() + 40 * DAY
        assert report_queries.count_executions(later - 30 * DAY, later).rows == []
        of_one = report_queries.count_executions(later - 30 * DAY, later, scenario.caller.pk)
        assert of_one.rows == []

    def test_live_executions_are_counted_by_age(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        submitted(scenario, 1)
        scenario.start()
        assert read(admin_client, "ages") == [["Workflow 4", "1", "1", "0", "0", "0", "0"]]
        for days, place in ((3, 1), (20, 2), (31, 3), (91, 4)):
            (row,) = report_queries.count_live_executions(clock.now() + days * DAY).rows
            assert row.ages == {place: 1}
        (row,) = report_queries.count_live_executions(clock.now(), scenario.caller.pk).rows
        assert row.total == 1
        assert not report_queries.count_live_executions(clock.now(), scenario.callee.pk).rows

    def test_time_in_steps_has_median_and_ninetieth_percentile(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        for hours in range(1, 11):
            submitted(scenario, hours)
        scenario.start()
        row = ["Workflow 4", "form", "10", "18000.0", "32400.0"]
        assert row in read(admin_client, "steps")
        html = text(admin_client.get(PAGE, {"workflow": scenario.caller.pk}))
        assert "5 h" in html and "9 h" in html
        assert "Median 5 h, 90th percentile 9 h, 10 steps done" in html
        assert 'class="node heat-5"' in html
        assert "heat-5" not in text(admin_client.get(PAGE))
        assert not report_queries.measure_steps(clock.now() + DAY).steps

    def test_deadlines_are_met_or_missed(self, admin_client: Client, scenario: Scenario) -> None:
        submitted(scenario, 1)
        submitted(scenario, 2, due=3)
        submitted(scenario, 2, due=2)
        submitted(scenario, 2, due=1)
        assert read(admin_client, "deadlines") == [["Workflow 4", "3", "2", "1", "66 %"]]

    def test_overdue_steps_are_counted_by_group(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        scenario.start().steps.update(overdue=True)
        accounts(groups=["risk", "audit"])
        save_line(scenario.caller, form(assignees={"groups": ["risk", "audit"]}))
        for _ in range(2):
            scenario.start().steps.update(overdue=True)
        scenario.start()
        rows = sorted(read(admin_client, "overdue"))
        assert rows == [["Everybody", "1"], ["audit", "2"], ["risk", "2"]]
        of_workflow = read(admin_client, "overdue", workflow=scenario.caller.pk)
        assert sorted(of_workflow) == rows
        assert read(admin_client, "overdue", workflow=scenario.callee.pk) == []


@pytest.mark.django_db
class TestLimits:
    def test_reports_stop_counting_at_their_limits(
        self, admin_client: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(3):
            submitted(scenario, 1)
            scenario.start().steps.update(overdue=True)
        assert "Counted up to" not in text(admin_client.get(PAGE))
        monkeypatch.setattr(report_queries, "COUNTED", 2)
        found = report_queries.count_executions(clock.now() - DAY, clock.now())
        assert found.has_more and sum(row.total for row in found.rows) == 3
        assert report_queries.count_live_executions(clock.now()).has_more
        assert report_queries.count_overdue().has_more
        measured = report_queries.measure_steps(clock.now() - DAY)
        assert measured.has_more and sum(row.number for row in measured.steps) == 2
        assert "Counted up to 2." in text(admin_client.get(PAGE))

    def test_steps_of_the_newest_executions_are_measured(
        self, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submitted(scenario, 9)
        newest = submitted(scenario, 1)
        assert newest.workflow == scenario.caller
        # The newest two are the caller and the execution that it called.
        monkeypatch.setattr(report_queries, "MEASURED", 2)
        times = report_queries.measure_steps(clock.now() - DAY).steps
        assert [row.median for row in times if row.node_id == "form"] == [3600]

    @pytest.mark.both_databases
    @pytest.mark.parametrize("chosen", [True, False])
    def test_page_takes_the_same_statements_for_any_number(
        self, admin_client: Client, scenario: Scenario, chosen: bool
    ) -> None:
        query = {"workflow": scenario.caller.pk} if chosen else {}
        submitted(scenario, 1)
        admin_client.get(PAGE, query)
        few = statements(lambda: admin_client.get(PAGE, query))
        for _ in range(6):
            submitted(scenario, 1, due=2)
            scenario.start()
        # Five of reports, the titles and the workflows to choose from; overdue steps take another.
        assert statements(lambda: admin_client.get(PAGE, query)) <= few + 1 <= 16

    def test_table_shows_the_first_rows_and_the_csv_has_all(
        self, admin_client: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submitted(scenario, 1)
        monkeypatch.setattr("executions.admin.reports.LISTED", 1)
        assert "The first 1 of 2 rows." in text(admin_client.get(PAGE))
        assert len(read(admin_client, "executions")) == 2


@pytest.mark.django_db
class TestPage:
    def test_page_is_empty_without_executions(self, admin_client: Client) -> None:
        html = text(admin_client.get(PAGE))
        for sentence in (
            *("No execution has started in this period.", "No live executions."),
            *("No step was done in this period.", "No steps are overdue."),
        ):
            assert sentence in html
        assert 'class="listing"' not in html

    @pytest.mark.parametrize("query", ["period=8", "workflow=x", "workflow=99999999999999999999"])
    def test_page_ignores_invalid_filters(
        self, admin_client: Client, scenario: Scenario, query: str
    ) -> None:
        scenario.start()
        response = admin_client.get(f"{PAGE}?{query}")
        assert response.status_code == 200 and "Workflow 4" in text(response)

    def test_page_shows_graph_only_to_who_may_view_versions(self, scenario: Scenario) -> None:
        client = Client()
        viewer = user_in("viewer", is_staff=True)
        client.force_login(viewer)
        submitted(scenario, 1)
        query = {"workflow": scenario.caller.pk}
        assert 'class="graph"' in text(client.get(PAGE, query))
        viewer.groups.get().permissions.get(codename="view_version").group_set.clear()
        assert 'class="graph"' not in text(client.get(PAGE, query))

    def test_csv_escapes_formulas_and_refuses_unknown_tables(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        scenario.caller.refresh_from_db()
        scenario.caller.title = "=1+1"
        scenario.caller.save()
        scenario.start()
        assert read(admin_client, "executions")[0][0] == "'=1+1"
        url = reverse("admin:executions_execution_reports_csv", args=["no-such"])
        assert admin_client.get(url).status_code == 404
