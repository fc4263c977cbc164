"""``manage.py run_due`` ends in the middle of a job: the next one does the job, once."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from executions.models import Execution, Job, Status, Step, StepState
from tests.commands import run
from tests.conftest import Scenario
from tests.executions.commands.interruptions import SIGNALS, run_until, violations
from tests.factories import drawn

pytestmark = pytest.mark.django_db(transaction=True)

CLAIMED = 'UPDATE "executions_job"'
# The statement that writes what the job led to; its transaction is not committed yet.
WRITTEN = "EXECUTE" if connection.vendor == "postgresql" else "UPDATE executions_step"


@pytest.fixture
def sleeping(scenario: Scenario) -> Execution:
    """An execution that sleeps until a moment ago."""
    nap = {"id": "nap", "type": "wait", "data": {"interval": "PT1H"}}
    drawn(scenario.caller, nap)
    execution = scenario.start()
    moment = timezone.now() - timedelta(minutes=1)
    Step.objects.filter(execution=execution, node_id="nap").update(due_at=moment)
    Job.objects.update(due_at=moment)
    return execution


@SIGNALS
@pytest.mark.parametrize("after", [CLAIMED, WRITTEN], ids=["claimed", "written"])
def test_job_is_done_once_when_its_worker_ends_in_the_middle(
    sleeping: Execution, tmp_path: Path, number: int, after: str
) -> None:
    code, err = run_until(number, 1, after, "run_due", directory=tmp_path)

    assert code in (-number, 1), err
    assert violations() == set()
    [job] = Job.objects.all()
    assert job.step.state == StepState.OPEN
    # While the lease lasts, the job may still be somebody's.
    if job.leased_until is not None:
        assert "Nothing is due" in run("run_due")
    Job.objects.update(leased_until=None)
    assert "Served: 1 job." in run("run_due")
    sleeping.refresh_from_db()
    assert sleeping.status == Status.COMPLETED
    assert sleeping.steps.filter(node_id="nap").count() == 1
    assert not Job.objects.exists()
    assert violations() == set()
    if number == signal.SIGINT:
        assert "Interrupted" in err and "Traceback" not in err
