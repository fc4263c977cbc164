"""The interface by which definitions ask about executions."""

from __future__ import annotations

import pytest

from executions.models import Execution
from tests.conftest import Scenario
from workflows import running
from workflows.running import NodeExecutions


@pytest.mark.django_db
def test_executions_are_counted_by_node_and_incident(scenario: Scenario) -> None:
    execution = scenario.start()
    failed = scenario.start()
    failed.steps.open().update(state="incident")
    assert running.registered.execution_model is Execution
    for relation, pk in (("workflow", scenario.caller.pk), ("version", execution.version_id)):
        assert running.registered.executions_by_node(relation, pk) == [  # type: ignore[arg-type]
            NodeExecutions("form", has_incident=False, executions=1),
            NodeExecutions("form", has_incident=True, executions=1),
        ]


@pytest.mark.django_db
def test_pins_and_live_executions_end_with_the_execution(scenario: Scenario) -> None:
    execution = scenario.start()
    answers = running.registered
    assert list(answers.live_executions()) == [execution]
    assert answers.live_executions_pinning(callee__gt=0).count() == answers.pins().count() == 1
    Execution._base_manager.filter(pk=execution.pk).update(status="cancelled")
    assert not answers.live_executions().exists()
    assert not answers.live_executions_pinning(callee__gt=0).exists()
    assert (answers.executions().count(), answers.pins().count()) == (1, 1)
