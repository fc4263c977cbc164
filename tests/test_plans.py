"""Query plans: changes, starts, submits and filters use indexes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction

from benchmarks import plans
from executions import services as running
from executions.api.execution_filters import ExecutionFilter
from executions.api.executions import ExecutionViewSet
from executions.api.tasks import TaskFilter, TaskViewSet
from executions.engine import closures
from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, WorkflowFactory, call, form, save_line, user_in
from tests.test_query_counts import statements
from tests.workflows.api.clients import client_of
from workflows import editing, guards
from workflows.api.base.filter_operators import MomentFilter, StrictBooleanFilter
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)


def add_rows(scenario: Scenario, executions: int, workflows: int) -> None:
    """Add unrelated workflows and executions, and ended executions."""
    others = WorkflowFactory.create_batch(workflows, entity_name_type=scenario.limitation)
    caller = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(caller, form(), call(others[0]))
    for _ in range(executions):
        running.start(caller, scenario.finding)
    for _ in range(1 + executions // 10):
        running.cancel(scenario.start())


_FORGET_SIZES = (
    "UPDATE pg_class SET relpages = 0, reltuples = -1"
    " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')"
)


@contextmanager
def planned_for_large_tables(*settings: str) -> Iterator[list[plans.Planned]]:
    """Collect the plans of the block as for large tables; it is rolled back.

    SQLite has no statistics and assumes that every table is large. For PostgreSQL, sequential
    scans are disabled, so that a scan that remains has no usable index.

    Args:
        settings: further assignments for PostgreSQL.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                for setting in ("enable_seqscan = off", *settings):
                    cursor.execute(f"SET LOCAL {setting}")
                # A table that was empty when it was vacuumed counts as small.
                cursor.execute(_FORGET_SIZES)
        with plans.planned() as found:
            yield found
        transaction.set_rollback(True)


def find_full_scans(function: Callable[[], Any]) -> list[str]:
    """Return the full scans of executions, steps and pins."""
    with planned_for_large_tables() as found:
        function()
    assert found
    return [
        f"{scan}: {plan.sql}"
        for plan in found
        for scan in plan.scans
        if scan.startswith("executions_")
    ]


def change_to_new_type(*workflows: Workflow, refused: str = "") -> Callable[[], None]:
    """Return a change of these workflows to another type that expects this refusal."""
    new_type = FindingTypeFactory()

    def change() -> None:
        code = ""
        try:
            editing.change_entity_context(workflows, entity_name_type=new_type)
        except guards.Refusal as refusal:
            code = refusal.code
        assert code == refused

    return change


@pytest.fixture(params=["caller", "callee", "mismatch", "accepted"])
def change(request: pytest.FixtureRequest, scenario: Scenario) -> Callable[[], None]:
    """Return a refused change for each reason, and one that is accepted."""
    caller, callee = scenario.caller, scenario.callee
    if request.param in ("caller", "callee"):
        scenario.start()
    if request.param == "caller":
        return change_to_new_type(caller, refused="active_executions")
    if request.param == "callee":
        return change_to_new_type(callee, refused="dependent_active_executions")
    if request.param == "mismatch":
        return change_to_new_type(callee, refused="incompatible_entity_types")
    return change_to_new_type(caller, callee)


def test_context_change_uses_indexes_of_executions(
    scenario: Scenario, change: Callable[[], None]
) -> None:
    add_rows(scenario, executions=8, workflows=8)
    assert find_full_scans(change) == []


@pytest.mark.parametrize("known", [True, False], ids=["closure known", "closure found anew"])
def test_start_uses_indexes_of_executions(scenario: Scenario, known: bool) -> None:
    add_rows(scenario, executions=8, workflows=8)
    if not known:
        closures.forget_closure(scenario.caller.pk)
    assert find_full_scans(scenario.start) == []


def test_submit_uses_indexes_of_executions(scenario: Scenario) -> None:
    add_rows(scenario, executions=8, workflows=8)
    execution = scenario.start()
    submitted: dict[str, Any] = {"node": "form", "data": {"note": "n"}}
    assert find_full_scans(lambda: running.submit(execution, **submitted)) == []


def test_deletion_of_a_user_scans_no_table_of_steps(scenario: Scenario) -> None:
    add_rows(scenario, executions=8, workflows=8)
    user = user_in("participant")
    scans = [scan for scan in find_full_scans(user.delete) if scan.startswith("executions_step ")]
    # PostgreSQL may read the partial index of all steps that wait for people, if it is small.
    assert [scan for scan in scans if "Index Only Scan" not in scan] == []


def test_context_change_costs_the_same_statements_beside_other_rows(
    scenario: Scenario, change: Callable[[], None]
) -> None:
    def change_and_roll_back() -> None:
        with transaction.atomic():
            change()
            transaction.set_rollback(True)

    add_rows(scenario, executions=1, workflows=1)
    few = statements(change_and_roll_back)
    add_rows(scenario, executions=49, workflows=48)
    assert statements(change_and_roll_back) == few


PlanQuery = Callable[[str], list[plans.Planned]]
SORTED = re.compile(r"Sort\b|TEMP B-TREE FOR (?!LAST)")
IN_ORDER = [
    *("", "?live=true", "?status=failed", "?incident=false", "?workflow={workflow}"),
    *(f"?ordering={sign}{name}" for name in ExecutionViewSet.ordering_fields for sign in ("", "-")),
]
SAMPLES = {
    **dict.fromkeys(("workflow", "workflow__in", "calls"), "{workflow}"),
    **dict.fromkeys(("parent", "parent__in", "root", "root__in"), "{execution}"),
    **dict.fromkeys(("entity", "entity__in"), "{entity}"),
    **dict.fromkeys(("entity_name_type", "entity_name_type__in"), "{type}"),
    **dict.fromkeys(("status", "status__in"), "waiting,active"),
    "waiting_for": "me",
}
"""Values of the filters that are neither booleans nor times."""
COMBINED = [
    *("workflow={workflow}&live=true", "search={execution}", "search=form"),
    "updated_after=2026-01-01T00:00:00Z&ordering=updated_at",
]
# SQLite reads executions in the order of the list and skips those that do not match.
READ_IN_ORDER_BY_SQLITE = ("?live=", "?started_", "?ended_", "?updated_")


def build_query(name: str, row: Any) -> str:
    if isinstance(row, StrictBooleanFilter):
        return f"?{name}=true"
    if isinstance(row, MomentFilter):
        return f"?{name}=2026-01-01T00:00:00Z"
    return f"?{name}={SAMPLES.get(name, 'x')}"


QUERIES = [
    *(build_query(name, row) for name, row in ExecutionFilter.base_filters.items()),
    *(f"?{query}" for query in COMBINED),
]


@pytest.fixture
def plan_query(scenario: Scenario) -> PlanQuery:
    """Return a function that reads a page of executions or tasks, and returns the plans."""
    add_rows(scenario, executions=8, workflows=8)
    named = {
        "workflow": scenario.caller.cuid,
        "execution": scenario.start().cuid,
        "entity": scenario.finding.cuid,
        "type": scenario.limitation.cuid,
    }
    api = client_of(superuser=True)

    def plan(path: str) -> list[plans.Planned]:
        # Sorting few rows would be cheaper than reading them by an index.
        with planned_for_large_tables("enable_sort = off") as found:
            response = api.get(path.format(**named))
        assert response.status_code == 200, (path, response.json())
        table = "executions_execution" if path.startswith("executions/") else "executions_step"
        return [plan for plan in found if table in plan.sql]

    return plan


TASKS_IN_ORDER = [
    *("", "?due_before=2026-01-01T00:00:00Z"),
    *(f"?ordering={sign}{name}" for name in TaskViewSet.ordering_fields for sign in ("", "-")),
]
TASK_SAMPLES = {"workflow": "{workflow}", "finding_type": "{type}", "type": "user_action"}
TASK_QUERIES = [
    f"?{name}={TASK_SAMPLES[name]}" if name in TASK_SAMPLES else build_query(name, row)
    for name, row in TaskFilter.base_filters.items()
]


# One test for all queries of a rule, because the rows take longer than their plans.


def test_page_of_tasks_is_read_in_its_order(plan_query: PlanQuery) -> None:
    for query in TASKS_IN_ORDER:
        for plan in plan_query(f"tasks/{query}"):
            # The rows are counted without an order.
            if "ORDER BY" in plan.sql:
                assert not SORTED.search("\n".join(plan.lines)), f"Add an index for {query}: {plan}"


def test_filter_of_tasks_scans_no_table_of_steps(plan_query: PlanQuery) -> None:
    for query in TASK_QUERIES:
        for plan in plan_query(f"tasks/{query}"):
            assert not any("Seq Scan on executions" in line for line in plan.lines), (query, plan)
            assert "SCAN executions_step\n" not in "\n".join([*plan.lines, ""]), (query, plan)


def test_page_of_executions_is_read_in_its_order(plan_query: PlanQuery, vendor: str) -> None:
    for query in IN_ORDER:
        if vendor == "postgresql" and "updated_at" in query:
            # The summary index of updated_at has no order.
            continue
        for plan in plan_query(f"executions/{query}"):
            assert not SORTED.search("\n".join(plan.lines)), f"Add an index for {query}: {plan}"


def test_every_filter_of_executions_has_a_sample_value() -> None:
    others = {
        name
        for name, row in ExecutionFilter.base_filters.items()
        if not isinstance(row, (StrictBooleanFilter, MomentFilter))
    }
    assert others == set(SAMPLES), "Add a value that selects few executions to SAMPLES."


def test_filter_of_executions_uses_an_index(plan_query: PlanQuery, vendor: str) -> None:
    for query in QUERIES:
        if vendor == "sqlite" and query.startswith(READ_IN_ORDER_BY_SQLITE):
            continue
        for plan in plan_query(f"executions/{query}"):
            assert not any("Seq Scan on executions" in line for line in plan.lines), (query, plan)
            assert "SCAN executions_execution\n" not in "\n".join([*plan.lines, ""]), (query, plan)
