"""Four eyes: an approval excludes the starter and those who submitted a form."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from executions import guards, integrity, services
from executions.models import Execution, PeopleChange, Status, Vote
from executions.repairs import repair
from executions.services import recount_votes
from executions.services.assigned_accounts import PeopleInUse
from executions.task_queries import waiting_for
from tests.executions.assignees import (
    approval_graph,
    create_member,
    current_status,
    is_flagged,
    log_in,
    vote,
)
from tests.factories import FindingFactory, WorkflowFactory, call, form, save_line, user_in
from tests.workflows.api.clients import assert_problem, client_of
from workflows import editing
from workflows.models import Candidate, Workflow

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("invariants"),
    pytest.mark.both_databases,
]

BOTH = ["starter", "submitter"]


@pytest.fixture
def people() -> tuple[Any, Any, Any]:
    found = [create_member(name, "board") for name in ("ada", "bob", "eve")]
    return found[0], found[1], found[2]


def with_form(**approval: Any) -> Workflow:
    """Return a workflow with a form, then an approval of the board."""
    workflow = WorkflowFactory()
    source = approval_graph(groups=["board"], **approval)
    source["nodes"].append(form())
    source["edges"][0]["target"] = "form"
    source["edges"].append({"source": "form", "target": "vote"})
    editing.save_graph(workflow, source, based_on=1)
    return workflow


def start(workflow: Workflow, by: Any = None) -> Execution:
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    return services.start(workflow, finding, by=by)


def at_vote(*people: Any, **approval: Any) -> Execution:
    """Start an execution by the first user; the second submits the form before the approval."""
    starter, submitter = people[:2]
    execution = start(with_form(**approval), by=starter)
    return services.submit(execution, node="form", data={"note": "n"}, by=submitter)


@pytest.mark.parametrize(
    ("exclude", "refused"),
    [([], ""), (["starter"], "ada"), (["submitter"], "bob"), (BOTH, "ada bob")],
)
def test_excluded_people_may_neither_vote_nor_claim(
    people: tuple[Any, Any, Any], exclude: list[str], refused: str
) -> None:
    execution = at_vote(*people, needed=3, exclude=exclude)
    for one in people:
        sent, url = {"node": "vote"}, f"executions/{execution.cuid}"
        answers = [log_in(one).post(f"{url}/{name}/", sent) for name in ("claim", "approve")]
        is_refused = one.username in refused.split()
        assert waiting_for(one).exists() is False
        for answer in answers:
            if is_refused:
                assert_problem(answer, 403, "excluded_voter")
            else:
                assert answer.status_code == 200
    assert Vote.objects.count() == 3 - len(refused.split())


def test_task_is_listed_only_for_people_who_may_vote(people: tuple[Any, Any, Any]) -> None:
    execution = at_vote(*people, exclude=BOTH)
    assert [waiting_for(one).exists() for one in people] == [False, False, True]
    assert vote(execution, people[2]).status == Status.COMPLETED


def test_submitter_of_called_execution_is_excluded_by_caller(people: tuple[Any, Any, Any]) -> None:
    ada, bob, eve = people
    callee = WorkflowFactory()
    save_line(callee, form())
    caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
    source = approval_graph(groups=["board"], exclude=BOTH)
    source["nodes"].append(call(callee))
    source["edges"][0]["target"] = "call"
    source["edges"].append({"source": "call", "target": "vote"})
    editing.save_graph(caller, source, based_on=1)
    execution = start(caller, by=ada)
    services.submit(execution.children.get(), node="form", data={"note": "n"}, by=bob)
    assert [waiting_for(one).exists() for one in people] == [False, False, True]
    for one in (ada, bob):
        with pytest.raises(guards.ExcludedVoter):
            vote(execution, one)
    assert vote(execution, eve).status == Status.COMPLETED


def test_called_approval_excludes_starter_of_root(people: tuple[Any, Any, Any]) -> None:
    callee = WorkflowFactory()
    editing.save_graph(callee, approval_graph(groups=["board"], exclude=["starter"]), based_on=1)
    caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
    save_line(caller, call(callee))
    child = start(caller, by=people[0]).children.get()
    with pytest.raises(guards.ExcludedVoter):
        vote(child, people[0])
    assert [waiting_for(one).exists() for one in people] == [False, True, True]


def test_operator_who_skips_the_form_is_not_excluded(people: tuple[Any, Any, Any]) -> None:
    execution = start(with_form(exclude=BOTH))
    services.skip(execution, node="form", why="w", by=people[0])
    assert vote(execution, people[0]).status == Status.COMPLETED


class TestNobodyLeft:
    def test_step_is_flagged_and_can_be_reassigned(self) -> None:
        ada, bob = (create_member(name, "board") for name in ("ada", "bob"))
        execution = at_vote(ada, bob, exclude=BOTH)
        assert is_flagged(execution)
        eve = create_member("eve")
        services.reassign(execution, users=["eve", "ada"], node="vote", why="four eyes")
        assert not is_flagged(execution)
        with pytest.raises(guards.ExcludedVoter):
            vote(execution, ada)
        assert vote(execution, eve).status == Status.COMPLETED

    def test_step_is_flagged_when_fewer_remain_than_needed(
        self, people: tuple[Any, Any, Any]
    ) -> None:
        execution = at_vote(*people, needed=2, exclude=BOTH)
        assert is_flagged(execution)
        create_member("dan", "board")
        assert not is_flagged(execution)

    def test_execution_without_starter_excludes_nobody(self) -> None:
        create_member("ada", "board")
        assert not is_flagged(start(with_approval(exclude=["starter"])))

    def test_last_voter_who_is_not_excluded_cannot_be_deleted(self) -> None:
        ada, bob = (create_member(name, "board") for name in ("ada", "bob"))
        execution = start(with_approval(exclude=["starter"]), by=ada)
        assert not is_flagged(execution)
        with pytest.raises(PeopleInUse), transaction.atomic():
            bob.delete()
        with pytest.raises(PeopleInUse), transaction.atomic():
            Group.objects.get(name="board").delete()
        create_member("eve", "board")
        bob.delete()

    def test_last_voter_cannot_be_deleted(self) -> None:
        ada = create_member("ada", "board")
        start(with_approval(exclude=["starter"]))
        with pytest.raises(PeopleInUse), transaction.atomic():
            ada.delete()


def with_approval(**approval: Any) -> Workflow:
    workflow = WorkflowFactory()
    editing.save_graph(workflow, approval_graph(groups=["board"], **approval), based_on=1)
    return workflow


def fork(**approval: Any) -> dict[str, Any]:
    """Return a graph with a form and an approval in parallel."""
    source = approval_graph(**approval)
    source["nodes"] += [
        {"id": "fork", "type": "parallel"},
        form(),
        {"id": "done", "type": "end"},
    ]
    source["edges"][0]["target"] = "fork"
    source["edges"] += [
        {"source": "fork", "target": "vote"},
        {"source": "fork", "target": "form"},
        {"source": "form", "target": "done"},
    ]
    return source


class TestVotesBeforeTheForm:
    @pytest.fixture
    def execution(self, people: tuple[Any, Any, Any]) -> Execution:
        workflow = WorkflowFactory()
        source = fork(groups=["board"], needed="all", exclude=["submitter"])
        editing.save_graph(workflow, source, based_on=1)
        return start(workflow)

    def test_vote_no_longer_counts_after_its_voter_submits(
        self, people: tuple[Any, Any, Any]
    ) -> None:
        workflow = WorkflowFactory()
        source = fork(groups=["board"], needed=2, exclude=["submitter"])
        editing.save_graph(workflow, source, based_on=1)
        (ada, bob, eve), execution = people, start(workflow)
        vote(execution, ada)
        services.submit(execution, node="form", data={"note": "n"}, by=ada)
        vote(execution, bob)
        assert current_status(execution) == Status.WAITING
        vote(execution, eve)
        assert current_status(execution) == Status.COMPLETED

    def test_worker_counts_again_when_a_voter_has_submitted(
        self, people: tuple[Any, Any, Any], execution: Execution
    ) -> None:
        ada, bob, eve = people
        vote(execution, bob)
        vote(execution, eve)
        recount_votes()
        assert current_status(execution) == Status.WAITING
        services.submit(execution, node="form", data={"note": "n"}, by=ada)
        assert current_status(execution) == Status.WAITING
        recount_votes()
        assert current_status(execution) == Status.COMPLETED

    def test_votes_are_not_counted_again_when_a_form_of_another_tree_is_submitted(
        self, people: tuple[Any, Any, Any], execution: Execution
    ) -> None:
        other = start(with_form())
        PeopleChange.objects.all().delete()
        services.submit(other, node="form", data={"note": "n"}, by=people[0])
        assert not PeopleChange.objects.exists()
        services.submit(execution, node="form", data={"note": "n"}, by=people[0])
        assert PeopleChange.objects.exists()

    def test_vote_written_past_the_service_does_not_count(
        self, people: tuple[Any, Any, Any], execution: Execution
    ) -> None:
        ada, bob, _ = people
        services.submit(execution, node="form", data={"note": "n"}, by=ada)
        step = execution.steps.get(node_id="vote")
        Vote.objects.create(step=step, user=ada, username="ada", approves=False, at=timezone.now())
        vote(execution, bob)
        assert current_status(execution) == Status.WAITING

    def test_claim_of_voter_is_released_when_they_submit(
        self, people: tuple[Any, Any, Any], execution: Execution
    ) -> None:
        ada, bob, _ = people
        services.claim(execution, node="vote", by=ada)
        services.submit(execution, node="form", data={"note": "n"}, by=ada)
        recount_votes()
        assert execution.steps.get(node_id="vote").claimed_by is None
        vote(execution, bob)


@pytest.mark.parametrize(
    "exclude", ["starter", ["owner"], ["starter", "starter"], [1], {"starter": True}]
)
def test_invalid_exclusion_is_refused_by_graph_check(
    people: tuple[Any, Any, Any], exclude: Any
) -> None:
    workflow = WorkflowFactory()
    source = approval_graph(groups=["board"], exclude=exclude)
    answer = client_of(superuser=True).post(f"workflows/{workflow.cuid}/1/", source)
    problem = assert_problem(answer, 400, "invalid_graph")
    assert all("/data/exclude" in row["pointer"] for row in problem["errors"])


def test_damaged_exclusions_are_found_and_repaired(people: tuple[Any, Any, Any]) -> None:
    execution = at_vote(*people, exclude=BOTH)
    rows = Candidate.objects.filter(version=execution.version_id)
    rows.update(excludes_starter=False)
    (violation,) = integrity.find_violations()
    assert "excludes others than its graph" in violation.detail
    repair()
    assert rows.get().excludes_starter and integrity.find_violations() == []


def test_page_says_why_the_user_may_not_vote(people: tuple[Any, Any, Any]) -> None:
    ada, _, eve = people
    execution = at_vote(*people, exclude=BOTH)
    page = reverse("admin:executions_execution_change", args=[execution.pk])
    for one, may_vote in ((ada, False), (eve, True)):
        one.groups.add(*user_in("viewer").groups.all())
        browser = Browser()
        browser.force_login(one)
        html = browser.get(page).content.decode()
        assert ("Others have to vote here." in html) != may_vote
        assert ("/approve/" in html) == may_vote
