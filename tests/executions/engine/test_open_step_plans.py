"""The query plans of open steps on SQLite: they use the partial index of open steps."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from benchmarks import plans
from executions.models import Execution, Step
from tests.conftest import Scenario
from tests.workflows.api.clients import client_of

pytestmark = pytest.mark.django_db(transaction=True)

# The index of all steps of an execution, or a scan of the table.
EVERY_VISIT = re.compile(
    r"executions_step_execution_id|SCAN (?:s|[UV]\d+|executions_step)\b(?! USING INDEX)"
)


def submit(api: Any, execution: Execution) -> Any:
    data = {"node": "form", "data": {"note": "n"}}
    return api.post(f"executions/{execution.cuid}/submit/", data)


def cancel(api: Any, execution: Execution) -> Any:
    return api.post(f"executions/{execution.cuid}/cancel/", {})


def show(api: Any, execution: Execution) -> Any:
    return api.get(f"executions/{execution.cuid}/")


def listed(query: str) -> Callable[[Any, Execution], Any]:
    return lambda api, _: api.get(f"executions/{query}")


def visited(scenario: Scenario) -> Execution:
    """Return an execution at a form after many visits."""
    execution = scenario.start()
    now = timezone.now()
    Step.objects.bulk_create(
        Step(
            execution=execution,
            node_id="form",
            type="user_action",
            state=Step.State.DONE,
            opened_at=now,
            closed_at=now,
        )
        for _ in range(100)
    )
    return execution


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's planner knows the data")
@pytest.mark.parametrize("analyzed", [False, True], ids=["without statistics", "analyzed"])
@pytest.mark.parametrize(
    "ask",
    [
        submit,
        cancel,
        show,
        listed("mine/"),
        listed("?overdue=true"),
        listed("?incident=true"),
    ],
    ids=["submit", "cancel", "show", "mine", "overdue", "incident"],
)
def test_open_steps_are_read_by_their_index_when_there_are_many_visits(
    scenario: Scenario, ask: Callable[[Any, Execution], Any], analyzed: bool
) -> None:
    execution = visited(scenario)
    api = client_of(superuser=True)
    with transaction.atomic():
        if analyzed:
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
        with plans.planned() as found:
            assert ask(api, execution).status_code == 200
        transaction.set_rollback(True)

    reads = [plan for plan in found if "executions_step" in plan.sql]
    assert reads
    assert [line for plan in reads for line in plan.lines if EVERY_VISIT.search(line)] == []
