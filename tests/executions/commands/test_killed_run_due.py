"""Interrupted ``run_due``: the next run does the job, once."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from executions.models import Execution, Job, Status, Step, StepState
from tests.commands import run
from tests.conftest import Scenario
from tests.executions.commands.interruptions import SIGNALS, current_violations, run_until
from tests.factories import save_line

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

CLAIMED = 'UPDATE "executions_job"'
# The statement that writes the result of the job, before its commit.
WRITTEN = "EXECUTE"


@pytest.fixture
def overdue_wait(scenario: Scenario) -> Execution:
    """An execution at a wait that ended a minute ago."""
    nap = {"id": "nap", "type": "wait", "data": {"interval": "PT1H"}}
    save_line(scenario.caller, nap)
    execution = scenario.start()
    moment = timezone.now() - timedelta(minutes=1)
    Step.objects.filter(execution=execution, node_id="nap").update(due_at=moment)
    Job.objects.update(due_at=moment)
    return execution


@SIGNALS
@pytest.mark.parametrize("after", [CLAIMED, WRITTEN], ids=["claimed", "written"])
def test_job_is_done_once_when_worker_ends_during_job(
    overdue_wait: Execution, tmp_path: Path, number: int, after: str
) -> None:
    code, err = run_until(number, 1, after, "run_due", directory=tmp_path)

    assert code in (-number, 1), err
    assert current_violations() == set()
    [job] = Job.objects.all()
    assert job.step.state == StepState.OPEN
    # Until the lease expires, the job may belong to a worker.
    if job.leased_until is not None:
        assert "Nothing is due" in run("run_due")
    Job.objects.update(leased_until=None)
    assert "Done: 1 job." in run("run_due")
    overdue_wait.refresh_from_db()
    assert overdue_wait.status == Status.COMPLETED
    assert overdue_wait.steps.filter(node_id="nap").count() == 1
    assert not Job.objects.exists()
    assert current_violations() == set()
    if number == signal.SIGINT:
        assert "Interrupted" in err and "Traceback" not in err
