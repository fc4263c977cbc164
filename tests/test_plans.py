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
from executions.api.execution_filters import ExecutionFilter
from executions.api.executions import ExecutionViewSet
from executions.engine import closures
from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, WorkflowFactory, call, drawn, form
from tests.test_query_counts import statements
from tests.workflows.api.clients import client_of
from workflows import editing, guards
from workflows.api.filters import MomentFilter, TruthFilter
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
        closures.forget_closure(scenario.caller.pk)
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
    *(f"?ordering={sign}{name}" for name in ExecutionViewSet.ordering_fields for sign in ("", "-")),
]
SAMPLES = {
    **dict.fromkeys(("workflow", "calls"), "{workflow}"),
    **dict.fromkeys(("parent", "root"), "{execution}"),
    "entity": "{entity}",
    "entity_name_type": "{type}",
    "status": "waiting,active",
    "waiting_for": "me",
}
"""Values of the filters that are neither booleans nor times."""
COMBINED = [
    *("workflow={workflow}&live=true", "search={execution}", "search=form"),
    "updated_after=2026-01-01T00:00:00Z&ordering=updated_at",
]
# SQLite reads executions in the order of the list, and leaves out those that do not match.
READ_IN_ORDER_BY_SQLITE = ("?live=", "?started_", "?ended_", "?updated_")


def query_of(name: str, row: Any) -> str:
    if isinstance(row, TruthFilter):
        return f"?{name}=true"
    if isinstance(row, MomentFilter):
        return f"?{name}=2026-01-01T00:00:00Z"
    return f"?{name}={SAMPLES.get(name, 'x')}"


QUERIES = [
    *(query_of(name, row) for name, row in ExecutionFilter.base_filters.items()),
    *(f"?{query}" for query in COMBINED),
]


def plans_of(scenario: Scenario, query: str) -> list[plans.Planned]:
    """Return the plans of the statements that read a page of executions."""
    grown(scenario, executions=8, workflows=8)
    named = {
        "workflow": scenario.caller.cuid,
        "execution": scenario.start().cuid,
        "entity": scenario.finding.cuid,
        "type": scenario.limitation.cuid,
    }
    api = client_of(superuser=True)
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan = off")
                # Sorting few rows would be cheaper than reading them by an index.
                cursor.execute("SET LOCAL enable_sort = off")
        with plans.planned() as found:
            response = api.get(f"executions/{query.format(**named)}")
        transaction.set_rollback(True)
    assert response.status_code == 200, response.json()
    return [plan for plan in found if "executions_execution" in plan.sql]


@pytest.mark.parametrize("query", IN_ORDER)
def test_page_of_executions_is_read_in_its_order(
    scenario: Scenario, vendor: str, query: str
) -> None:
    if vendor == "postgresql" and "updated_at" in query:
        pytest.skip("The summary index of updated_at has no order.")
    for plan in plans_of(scenario, query):
        assert not SORTED.search("\n".join(plan.lines)), f"Add an index for {query}: {plan}"


def test_every_filter_of_executions_has_a_sample_value() -> None:
    others = {
        name
        for name, row in ExecutionFilter.base_filters.items()
        if not isinstance(row, (TruthFilter, MomentFilter))
    }
    assert others == set(SAMPLES), "Add a value that selects few executions to SAMPLES."


@pytest.mark.parametrize("query", QUERIES)
def test_filter_of_executions_uses_an_index(scenario: Scenario, vendor: str, query: str) -> None:
    if vendor == "sqlite" and query.startswith(READ_IN_ORDER_BY_SQLITE):
        pytest.skip("SQLite prefers the order of the list.")
    for plan in plans_of(scenario, query):
        assert not any("Seq Scan on executions" in line for line in plan.lines), plan
        assert "SCAN executions_execution\n" not in "\n".join([*plan.lines, ""]), plan
