"""The interface by which definitions ask about executions."""

from __future__ import annotations

import pytest

from executions.models import Execution
from tests.conftest import Scenario
from workflows import running
from workflows.running import NodeExecutions, get_running


def test_get_running_raises_without_the_executions_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_running", None)
    with pytest.raises(RuntimeError, match="INSTALLED_APPS"):
        get_running()


@pytest.mark.django_db
def test_executions_are_counted_by_node_and_incident(scenario: Scenario) -> None:
    execution = scenario.start()
    failed = scenario.start()
    failed.steps.open().update(state="incident")
    assert get_running().execution_model is Execution
    for relation, pk in (("workflow", scenario.caller.pk), ("version", execution.version_id)):
        assert get_running().executions_by_node(relation, pk) == [  # type: ignore[arg-type]
            NodeExecutions("form", has_incident=False, executions=1),
            NodeExecutions("form", has_incident=True, executions=1),
        ]


@pytest.mark.django_db
def test_pins_and_live_executions_end_with_the_execution(scenario: Scenario) -> None:
    execution = scenario.start()
    answers = get_running()
    assert list(answers.live_executions()) == [execution]
    assert answers.live_pins().count() == answers.pins().count() == 1
    Execution._base_manager.filter(pk=execution.pk).update(status="cancelled")
    assert not answers.live_executions().exists()
    assert not answers.live_pins().exists()
    assert (answers.executions().count(), answers.pins().count()) == (1, 1)
