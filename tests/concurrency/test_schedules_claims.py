"""Claims, comments and four eyes beside submits and votes."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from executions.guards import Claimed, ExcludedVoter
from executions.models import Comment, Execution, Vote
from tests.concurrency.actions import pause_before_commit, submit
from tests.concurrency.invariants import assert_nothing_is_stranded
from tests.concurrency.schedule import (
    BEFORE_WRITE,
    EVERY_LEVEL,
    HERE,
    MARKS,
    Schedule,
    at_isolation,
    unlocked_fixture,  # noqa: F401  the fixture that the tests ask for
)
from tests.conftest import Scenario
from tests.factories import WorkflowFactory, form, save_line, voter
from workflows import editing

pytestmark = MARKS


@pytest.fixture
def people() -> tuple[Any, Any]:
    return voter("ada"), voter("bob")


@pytest.fixture
def execution(scenario: Scenario) -> Execution:
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(workflow, form(), form("next"))
    return running.start(workflow, scenario.finding)


def claim(execution: Execution, by: Any) -> Execution:
    return running.claim(execution, node="form", by=by)


@EVERY_LEVEL
def test_submit_that_has_read_before_a_claim_is_refused(
    unlocked: Schedule, execution: Execution, people: tuple[Any, Any], level: str
) -> None:
    ada, bob = people
    late, early = unlocked.interleave(
        at_isolation(
            level,
            lambda: running.submit(execution, node="form", data={"note": "n"}, by=bob),
        ),
        BEFORE_WRITE,
        lambda: claim(execution, ada),
        waits=False,
    )
    assert (late.refused, early.refused) == (Claimed, None)
    assert execution.steps.get(node_id="form").claimed_by == ada
    assert_nothing_is_stranded()


@EVERY_LEVEL
def test_second_claim_waits_and_is_refused(
    unlocked: Schedule, execution: Execution, people: tuple[Any, Any], level: str
) -> None:
    ada, bob = people
    _, late = unlocked.interleave(
        pause_before_commit(lambda: claim(execution, ada)),
        HERE,
        at_isolation(level, lambda: claim(execution, bob)),
        waits=True,
    )
    assert late.refused is Claimed
    assert execution.steps.get(node_id="form").claimed_by == ada


def test_comment_waits_for_submit_of_the_same_execution(
    unlocked: Schedule, execution: Execution, people: tuple[Any, Any]
) -> None:
    unlocked.interleave(
        pause_before_commit(lambda: submit(execution)),
        HERE,
        lambda: running.comment(execution, text="t", by=people[0]),
        waits=True,
    )
    assert Comment.objects.count() == 1
    assert_nothing_is_stranded()


def test_vote_waits_for_submit_of_its_voter_and_is_refused(
    unlocked: Schedule, scenario: Scenario, people: tuple[Any, Any]
) -> None:
    ada, _ = people
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    vote = {"users": ["ada", "bob"], "exclude": ["submitter"]}
    source = {
        "nodes": [
            {"id": "start", "type": "start"},
            {"id": "fork", "type": "parallel"},
            form(),
            {"id": "vote", "type": "approval", "data": vote},
            {"id": "end", "type": "end"},
        ],
        "edges": [
            {"source": "start", "target": "fork"},
            {"source": "fork", "target": "form"},
            {"source": "fork", "target": "vote"},
            {"source": "form", "target": "end"},
            {"source": "vote", "target": "end", "sourceHandle": "approved"},
            {"source": "vote", "target": "end", "sourceHandle": "rejected"},
        ],
    }
    editing.save_graph(workflow, source, based_on=1)
    execution = running.start(workflow, scenario.finding)
    _, late = unlocked.interleave(
        pause_before_commit(
            lambda: running.submit(execution, node="form", data={"note": "n"}, by=ada)
        ),
        HERE,
        lambda: running.vote(execution, node="vote", approves=True, by=ada),
        waits=True,
    )
    assert late.refused is ExcludedVoter
    assert not Vote.objects.exists()
    assert_nothing_is_stranded()
