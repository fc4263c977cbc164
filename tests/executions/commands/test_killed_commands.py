"""Interrupted repairs and purges: the invariants hold, and the next run does the rest."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from executions import services as running
from executions.models import Execution, Step
from tests.commands import run
from tests.conftest import Scenario
from tests.executions.commands.interruptions import SIGNALS, current_violations, run_until
from tests.executions.damage import change, unguarded
from tests.factories import WorkflowFactory, form, save_line

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

TREES = 5


@SIGNALS
def test_repair_keeps_finished_groups_when_process_ends(
    scenario: Scenario, tmp_path: Path, number: int
) -> None:
    roots = [scenario.start() for _ in range(TREES)]
    idle = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(idle, form())
    with unguarded():
        for root in roots:
            change(root, closure=None)
        change(idle, entity_name_type=scenario.exception)
    before = current_violations()
    assert len(before) >= TREES

    code, err = run_until(
        *(number, 3, 'UPDATE "executions_execution" SET "closure_id"', "repair_executions"),
        directory=tmp_path,
    )

    assert current_violations() < before
    assert Execution.objects.exclude(closure=None).count() == 2, "the third group is rolled back"
    if number == signal.SIGINT:
        assert code == 1 and "Run the command again" in err
    else:
        assert code == -signal.SIGKILL
    run("repair_executions")
    assert current_violations() == set()
    assert Execution.objects.exclude(closure=None).count() == TREES


@SIGNALS
def test_purge_leaves_complete_trees_when_process_ends(
    scenario: Scenario, tmp_path: Path, number: int
) -> None:
    for _ in range(TREES):
        running.submit(scenario.start(), node="form", data={"note": "n"})
    live = scenario.start()
    purge = ("purge_executions", "--older-than", "0h", "--batch", "1")

    # The steps of the third tree are deleted then, its executions are not.
    code, err = run_until(number, 3, 'DELETE FROM "executions_step"', *purge, directory=tmp_path)

    assert current_violations() == set()
    assert Execution.objects.count() == 2 * (TREES - 2) + 1
    if number == signal.SIGINT:
        assert code == 1 and "Run the command again" in err
    else:
        assert code == -signal.SIGKILL
    run(*purge)
    assert current_violations() == set()
    assert Execution.objects.get() == live
    assert not Step.objects.exclude(execution=live).exists()
