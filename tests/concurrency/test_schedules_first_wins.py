"""The first of several events decides: branches at a join, a deadline and its form."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from executions.guards import NotOpen
from executions.models import Execution, Job, Status
from executions.worker.jobs import finish_job
from tests.concurrency.actions import pause_before_commit
from tests.concurrency.invariants import assert_nothing_is_stranded
from tests.concurrency.schedule import (
    BEFORE_WRITE,
    HERE,
    MARKS,
    Schedule,
    unlocked_fixture,  # noqa: F401  the fixture that the tests ask for
)
from tests.conftest import Scenario
from tests.executions.engine.test_branches import source
from tests.factories import WorkflowFactory
from workflows import editing

pytestmark = MARKS


def started(scenario: Scenario, nodes: dict[str, Any], *edges: str) -> Execution:
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    editing.save_graph(workflow, source(nodes, *edges), based_on=1)
    return running.start(workflow, scenario.finding)


def open_nodes(execution: Execution) -> list[str]:
    return sorted(execution.steps.open().values_list("node_id", flat=True))


@pytest.fixture
def race(scenario: Scenario) -> Execution:
    nodes = {
        "start": "start",
        "fork": "parallel",
        "a": "user_action",
        "b": "user_action",
        "join": {"type": "join", "data": {"needed": 1, "others": "cancel"}},
        "after": "user_action",
        "end": "end",
    }
    edges = ("fork>a", "fork>b", "a>join", "b>join", "join>after", "after>end")
    return started(scenario, nodes, "start>fork", *edges)


@pytest.fixture
def limited(scenario: Scenario) -> Execution:
    form = {"type": "user_action", "data": {"fields": [], "deadline": "P1D"}}
    nodes = {"start": "start", "form": form, "late": "user_action", "end": "end"}
    return started(scenario, nodes, "start>form", "form>end", "form.timeout>late", "late>end")


def submit(execution: Execution, node: str) -> Execution:
    return running.submit(execution, node=node, data={})


def pass_deadline() -> bool:
    return finish_job(Job.objects.get(kind="deadline"))


def test_second_branch_is_refused_when_the_first_has_cancelled_it(
    unlocked: Schedule, race: Execution
) -> None:
    late, early = unlocked.interleave(
        lambda: submit(race, "a"), BEFORE_WRITE, lambda: submit(race, "b"), waits=False
    )
    assert (late.refused, early.refused) == (NotOpen, None)
    assert open_nodes(race) == ["after"]
    assert_nothing_is_stranded()


def test_submit_is_refused_when_the_deadline_passes_before_its_write(
    unlocked: Schedule, limited: Execution
) -> None:
    late, early = unlocked.interleave(
        lambda: submit(limited, "form"), BEFORE_WRITE, pass_deadline, waits=False
    )
    assert (late.refused, early.refused) == (NotOpen, None)
    assert open_nodes(limited) == ["late"]


def test_deadline_changes_nothing_when_the_form_is_submitted_first(
    unlocked: Schedule, limited: Execution
) -> None:
    job = Job.objects.get(kind="deadline")
    unlocked.interleave(
        pause_before_commit(lambda: submit(limited, "form")),
        HERE,
        lambda: finish_job(job),
        waits=True,
    )
    limited.refresh_from_db()
    assert limited.status == Status.COMPLETED
    assert not Job.objects.exists()
