"""An index answers every statement that judges a change, and there are as many of them however
much has grown around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from benchmarks import plans
from executions import services as running
from executions.engine import closures
from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, WorkflowFactory, call, drawn, form
from tests.test_query_counts import statements
from tests.workflows.api.clients import client_of
from workflows import editing, guards
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)


def grown(scenario: Scenario, executions: int, workflows: int) -> None:
    """More of what has nothing to do with it, and more that has ended."""
    others = WorkflowFactory.create_batch(workflows, entity_name_type=scenario.limitation)
    caller = WorkflowFactory(entity_name_type=scenario.limitation)
    drawn(caller, form(), call(others[0]))
    for _ in range(executions):
        running.start(caller, scenario.finding)
    for _ in range(1 + executions // 10):
        running.cancel(scenario.start())


def scans_of(function: Callable[[], Any]) -> list[str]:
    """What of the executions, steps and pins would be read in full.

    SQLite, which has not looked at the data, takes every table for a large one; PostgreSQL is
    told that to read one in full is dear.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # What is read in full all the same has no index that could serve.
                cursor.execute("SET LOCAL enable_seqscan = off")
        with plans.planned() as found:
            function()
        transaction.set_rollback(True)
    assert found
    return [
        f"{scan}: {plan.sql}"
        for plan in found
        for scan in plan.scans
        if scan.startswith("executions_")
    ]


def changed(*workflows: Workflow, refused: str = "") -> Callable[[], None]:
    """The change of these workflows to another type, with the refusal that it meets."""
    kind = FindingTypeFactory()

    def change() -> None:
        code = ""
        try:
            editing.change_entity_context(workflows, entity_name_type=kind)
        except guards.Refusal as refusal:
            code = refusal.code
        assert code == refused

    return change


@pytest.fixture(params=["caller", "callee", "mismatch", "accepted"])
def change(request: pytest.FixtureRequest, scenario: Scenario) -> Callable[[], None]:
    """A refused change for each reason, and one that is made."""
    caller, callee = scenario.caller, scenario.callee
    if request.param in ("caller", "callee"):
        scenario.start()
    if request.param == "caller":
        return changed(caller, refused="active_executions")
    if request.param == "callee":
        return changed(callee, refused="dependent_active_executions")
    if request.param == "mismatch":
        return changed(callee, refused="incompatible_entity_types")
    return changed(caller, callee)


def test_no_judgement_reads_what_is_running_in_full(
    scenario: Scenario, change: Callable[[], None]
) -> None:
    grown(scenario, executions=8, workflows=8)
    assert scans_of(change) == []


@pytest.mark.parametrize("known", [True, False], ids=["closure known", "closure found anew"])
def test_no_start_reads_what_is_running_in_full(scenario: Scenario, known: bool) -> None:
    grown(scenario, executions=8, workflows=8)
    if not known:
        closures.forget(scenario.caller.pk)
    assert scans_of(scenario.start) == []


def test_no_submit_reads_what_is_running_in_full(scenario: Scenario) -> None:
    grown(scenario, executions=8, workflows=8)
    execution = scenario.start()
    submitted: dict[str, Any] = {"node": "form", "data": {"note": "n"}}
    assert scans_of(lambda: running.submit(execution, **submitted)) == []


def test_what_surrounds_a_change_costs_no_statement(
    scenario: Scenario, change: Callable[[], None]
) -> None:
    def taken_back() -> None:
        with transaction.atomic():
            change()
            transaction.set_rollback(True)

    grown(scenario, executions=1, workflows=1)
    few = statements(taken_back)
    grown(scenario, executions=49, workflows=48)
    assert statements(taken_back) == few


SORTED = re.compile(r"Sort\b|TEMP B-TREE FOR (?!LAST)")
IN_ORDER = [
    *("", "?live=true", "?status=failed", "?incident=false", "?workflow={workflow}"),
    *(f"?ordering={name}" for name in ("status", "-status", "started_at", "-started_at")),
    *("?ordering=ended_at&live=false", "?ordering=-ended_at"),
]


def plans_of(scenario: Scenario, query: str) -> list[plans.Planned]:
    """How a page of executions is read, where much has grown around it."""
    grown(scenario, executions=8, workflows=8)
    named = {"workflow": scenario.caller.cuid, "execution": scenario.start().cuid}
    api = client_of(superuser=True)
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan = off")
                # Few rows are sorted in no time.
                cursor.execute("SET LOCAL enable_sort = off")
        with plans.planned() as found:
            response = api.get(f"executions/{query.format(**named)}")
        transaction.set_rollback(True)
    assert response.status_code == 200, response.json()
    return [plan for plan in found if "executions_execution" in plan.sql]


@pytest.mark.parametrize("query", IN_ORDER)
def test_a_page_is_read_in_its_order(scenario: Scenario, query: str) -> None:
    for plan in plans_of(scenario, query):
        assert not SORTED.search("\n".join(plan.lines)), plan


@pytest.mark.parametrize(
    "query",
    [
        *("?status=waiting,active", "?incident=true", "?overdue=true", "?calls={workflow}"),
        *("?workflow={workflow}&live=true", "?parent={execution}", "?search={execution}"),
        *("?search=form", "?waiting_for=me"),
        *(
            "?updated_after=2026-01-01T00:00:00Z&ordering=updated_at",
            "?ended_after=2026-01-01T00:00:00Z",
        ),
    ],
)
def test_what_is_looked_for_is_found_by_an_index(
    scenario: Scenario, vendor: str, query: str
) -> None:
    if vendor == "sqlite" and "ended_after" in query:
        pytest.skip("SQLite would rather go through them in the order of the list.")
    for plan in plans_of(scenario, query):
        assert not any("Seq Scan on executions" in line for line in plan.lines), plan
        assert "SCAN executions_execution\n" not in "\n".join([*plan.lines, ""]), plan
