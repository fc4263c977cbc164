"""The number of statements on the hot paths, for any number of executions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions import services as running
from executions import workflow_manager
from tests.conftest import Scenario
from tests.factories import FindingFactory, FindingTypeFactory, WorkflowFactory, form, save_line
from workflows import guards
from workflows.db import prepared

pytestmark = pytest.mark.django_db(transaction=True)

CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PREPARE")


def statements(function: Callable[[], Any]) -> int:
    """Return the number of statements with empty caches, without transaction control."""
    workflow_manager._graphs.clear()
    # Reserved ids would save a statement.
    prepared.session_data().clear()
    with CaptureQueriesContext(connection) as captured:
        function()
    return sum(not query["sql"].startswith(CONTROL) for query in captured)


@pytest.mark.parametrize("others", [0, 30])
def test_start_and_submit_take_at_most_twelve_statements(others: int) -> None:
    workflow = WorkflowFactory()
    save_line(workflow, form())
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    for _ in range(others):
        running.start(workflow, finding)
    started = []
    assert statements(lambda: started.append(running.start(workflow, finding))) <= 12
    submit = statements(lambda: running.submit(started[0], node="form", data={"note": "n"}))
    assert submit <= 12


def test_submit_through_a_call_takes_at_most_thirteen_statements(scenario: Scenario) -> None:
    execution = scenario.start()
    assert statements(lambda: running.submit(execution, node="form", data={"note": "n"})) <= 13


@pytest.mark.parametrize("others", [0, 30])
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_refused_type_change_takes_at_most_fourteen_statements(
    scenario: Scenario, who: str, others: int
) -> None:
    for _ in range(others + 1):
        scenario.start()
    workflow = getattr(scenario, who)
    kind = FindingTypeFactory()

    workflow.refresh_from_db()

    def change() -> None:
        workflow.entity_name_type = kind
        with pytest.raises(guards.Refusal):
            workflow.save()

    assert statements(change) <= 14
