"""Repair and purge end early: the invariants hold, and the next run does the rest."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from executions import services as running
from executions.models import Execution, Pin, Step
from tests.commands import run
from tests.conftest import Scenario
from tests.executions.commands.interruptions import SIGNALS, run_until, violations
from tests.executions.damage import change, unguarded
from tests.factories import WorkflowFactory, drawn, form

pytestmark = pytest.mark.django_db(transaction=True)

TREES = 5


@SIGNALS
def test_repair_keeps_committed_repairs_when_its_process_ends_early(
    scenario: Scenario, tmp_path: Path, number: int
) -> None:
    roots = [scenario.start() for _ in range(TREES)]
    idle = WorkflowFactory(entity_name_type=scenario.limitation)
    drawn(idle, form())
    with unguarded():
        for root in roots:
            root.pins.all()._raw_delete("default")
        change(idle, entity_name_type=scenario.exception)
    before = violations()
    assert len(before) >= TREES

    code, err = run_until(
        number, 3, 'INSERT INTO "executions_pin"', "repair_executions", directory=tmp_path
    )

    assert violations() < before
    assert Pin.objects.count() == 2, "the third was not committed"
    if number == signal.SIGINT:
        assert code == 1 and "run it again" in err
    else:
        assert code == -signal.SIGKILL
    run("repair_executions")
    assert violations() == set()
    assert Pin.objects.count() == TREES


@SIGNALS
def test_purge_leaves_whole_trees_when_its_process_ends_early(
    scenario: Scenario, tmp_path: Path, number: int
) -> None:
    for _ in range(TREES):
        running.submit(scenario.start(), node="form", data={"note": "n"})
    live = scenario.start()
    purge = ("purge_executions", "--older-than", "0h", "--batch", "1")

    # Steps and pins of the third tree are deleted by then, its executions are not.
    code, err = run_until(number, 3, 'DELETE FROM "executions_pin"', *purge, directory=tmp_path)

    assert violations() == set()
    assert Execution.objects.count() == 2 * (TREES - 2) + 1
    if number == signal.SIGINT:
        assert code == 1 and "run it again" in err
    else:
        assert code == -signal.SIGKILL
    run(*purge)
    assert violations() == set()
    assert Execution.objects.get() == live
    assert not Step.objects.exclude(execution=live).exists()
