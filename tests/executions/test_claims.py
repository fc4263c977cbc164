"""Claiming steps, by the API and the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client as Browser
from django.urls import reverse

from executions import guards, services
from executions.models import Execution, Status, Step
from executions.services import recount_votes
from executions.services.claiming import release_lost_claims
from tests.executions.assignees import (
    create_member,
    current_status,
    is_flagged,
    log_in,
    start,
    start_approval,
    start_with_assignees,
    vote,
)
from tests.factories import (
    FindingFactory,
    WorkflowFactory,
    accounts,
    call,
    form,
    save_line,
    user_in,
    voter,
)
from tests.workflows.api.clients import assert_problem
from workflows.models import AuditEntry

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("invariants"),
    pytest.mark.both_databases,
]

FORM = {"node": "form", "data": {"note": "n"}}


@pytest.fixture
def claimed() -> tuple[Execution, Any, Any]:
    """Return an execution whose form ada has claimed, and ada and bob, who are its candidates."""
    ada, bob = create_member("ada", "board"), create_member("bob", "board")
    execution = start_with_assignees(groups=["board"])
    services.claim(execution, node="form", by=ada)
    return execution, ada, bob


def open_step(execution: Execution, user: Any) -> Any:
    (step,) = log_in(user).get(f"executions/{execution.cuid}/").json()["open_steps"]
    return step


def viewer(*, of: Any) -> Any:
    of.groups.add(*user_in("viewer").groups.all())
    return of


def test_claimed_form_can_only_be_submitted_by_claimer(
    claimed: tuple[Execution, Any, Any],
) -> None:
    execution, ada, bob = claimed
    url = f"executions/{execution.cuid}"
    refused = log_in(bob).post(f"{url}/submit/", FORM)
    problem = assert_problem(refused, 409, "claimed")
    assert problem["detail"] == "“form” is claimed by ada."
    assert [row["code"] for row in problem["remedies"]] == ["unclaim"]
    assert_problem(log_in(bob).post(f"{url}/claim/", {"node": "form"}), 409, "claimed")
    step = open_step(execution, viewer(of=bob))
    assert step["claimed_by"] == "ada" and step["claimed_at"]
    assert log_in(ada).post(f"{url}/submit/", FORM).json()["status"] == "completed"


def test_draft_of_another_user_is_saved_when_step_is_claimed(
    claimed: tuple[Execution, Any, Any],
) -> None:
    execution, _, bob = claimed
    answer = log_in(bob).post(f"executions/{execution.cuid}/draft/", FORM)
    assert answer.json()["open_steps"][0]["draft"] == {"note": "n"}


def test_claim_is_recorded_once_when_repeated(claimed: tuple[Execution, Any, Any]) -> None:
    execution, ada, _ = claimed
    step = execution.steps.get(node_id="form")
    answer = log_in(ada).post(f"executions/{execution.cuid}/claim/", {"step": step.cuid})
    assert answer.status_code == 200
    (entry,) = AuditEntry.objects.filter(action="claimed")
    assert entry.before == {"node": "form", "step": step.cuid, "claimed_by": None}
    assert (entry.after["claimed_by"], entry.who) == ("ada", "ada")


def test_claimer_unclaims_without_reason(claimed: tuple[Execution, Any, Any]) -> None:
    execution, ada, bob = claimed
    answer = log_in(ada).post(f"executions/{execution.cuid}/unclaim/", {"node": "form"})
    (step,) = answer.json()["open_steps"]
    assert (step["claimed_by"], step["claimed_at"]) == (None, None)
    services.submit(execution, data={"note": "n"}, by=bob)
    assert AuditEntry.objects.get(action="unclaimed").before["claimed_by"] == "ada"


def test_operator_unclaims_only_with_reason(claimed: tuple[Execution, Any, Any]) -> None:
    execution, _, bob = claimed
    url, api = f"executions/{execution.cuid}/unclaim/", log_in(user_in("operator"))
    assert_problem(log_in(bob).post(url, {"node": "form"}), 403, "not_assigned")
    assert_problem(log_in(user_in("viewer")).post(url, {"why": "w"}), 403, "permission_denied")
    assert_problem(api.post(url, {"node": "form", "why": " "}), 400, "reason_required")
    assert_problem(api.post(url, {"node": "form"}), 400, "reason_required")
    assert AuditEntry.objects.filter(action="unclaimed", refused=True).count() == 3
    body = api.post(url, {"node": "form", "why": "ill"}).json()
    assert body["open_steps"][0]["claimed_by"] is None
    assert AuditEntry.objects.get(action="unclaimed", refused=False).why == "ill"
    assert_problem(api.post(url, {"node": "form", "why": "ill"}), 409, "not_claimed")


def test_step_of_others_cannot_be_claimed() -> None:
    execution = start_approval(users=[create_member("ada").username])
    answer = log_in(create_member("eve")).post(
        f"executions/{execution.cuid}/claim/", {"node": "vote"}
    )
    assert_problem(answer, 403, "not_assigned")


def test_wait_cannot_be_claimed() -> None:
    workflow = WorkflowFactory()
    save_line(workflow, {"id": "nap", "type": "wait", "data": {"interval": "P1D"}})
    execution = start(workflow)
    answer = log_in(create_member("ada")).post(
        f"executions/{execution.cuid}/claim/", {"node": "nap"}
    )
    assert_problem(answer, 409, "not_claimable")


def deactivate(ada: Any) -> None:
    ada.is_active = False
    ada.save()


def forbid_submits(ada: Any) -> None:
    ada.user_permissions.clear()


def leave_group(ada: Any) -> None:
    ada.groups.clear()


@pytest.mark.parametrize("lose", [deactivate, forbid_submits, leave_group])
def test_claim_stops_binding_when_claimer_loses_the_right(
    lose: Callable[[Any], None], claimed: tuple[Execution, Any, Any]
) -> None:
    execution, ada, bob = claimed
    lose(ada)
    services.claim(execution, node="form", by=bob)
    (_, entry) = AuditEntry.objects.filter(action="claimed").order_by("pk")
    assert (entry.before["claimed_by"], entry.after["claimed_by"]) == ("ada", "bob")
    services.submit(execution, data={"note": "n"}, by=bob)
    assert current_status(execution) == Status.COMPLETED


@pytest.mark.parametrize("lose", [deactivate, forbid_submits, leave_group])
def test_worker_releases_claim_when_claimer_loses_the_right(
    lose: Callable[[Any], None], claimed: tuple[Execution, Any, Any]
) -> None:
    _, ada, _ = claimed
    recount_votes()
    assert Step.objects.get(node_id="form").claimed_by == ada
    lose(ada)
    recount_votes()
    step = Step.objects.get(node_id="form")
    assert (step.claimed_by, step.claimed_at) == (None, None)
    entry = AuditEntry.objects.get(action="unclaimed")
    assert (entry.who, entry.why) == ("", "The account may no longer do the step.")


def test_claim_of_a_missing_account_is_replaced_and_released(
    claimed: tuple[Execution, Any, Any],
) -> None:
    execution, _, bob = claimed
    # An account that is deleted while it claims a step: no database key clears the claim.
    rows = Step._base_manager.filter(node_id="form")
    rows.update(claimed_by=1_000_000)
    assert release_lost_claims() == 1
    rows.update(claimed_by=1_000_000)
    services.claim(execution, node="form", by=bob)
    assert Step.objects.get(node_id="form").claimed_by == bob


def test_step_is_flagged_when_claimer_was_the_last_assignee() -> None:
    ada = create_member("ada")
    execution = start_with_assignees(users=["ada"])
    services.claim(execution, node="form", by=ada)
    assert not is_flagged(execution)
    deactivate(ada)
    assert is_flagged(execution)


def test_claim_ends_when_claimer_is_deleted(claimed: tuple[Execution, Any, Any]) -> None:
    execution, ada, bob = claimed
    ada.delete()
    services.submit(execution, data={"note": "n"}, by=bob)


def test_claim_ends_when_step_is_reassigned(claimed: tuple[Execution, Any, Any]) -> None:
    execution, _, bob = claimed
    services.reassign(execution, groups=["board"], node="form", why="Ada is ill")
    assert open_step(execution, viewer(of=bob))["claimed_by"] is None
    services.submit(execution, data={"note": "n"}, by=bob)


def test_vote_of_claimer_lets_others_vote() -> None:
    ada, bob = create_member("ada", "board"), create_member("bob", "board")
    execution = start_approval(groups=["board"], needed=2)
    services.claim(execution, node="vote", by=ada)
    with pytest.raises(guards.Claimed):
        vote(execution, bob)
    vote(execution, ada)
    vote(execution, bob)
    assert current_status(execution) == Status.COMPLETED


def test_superuser_may_claim_form_of_others_but_not_take_a_claim(
    claimed: tuple[Execution, Any, Any], django_user_model: Any
) -> None:
    execution, ada, _ = claimed
    root = django_user_model.objects.create_superuser("root")
    with pytest.raises(guards.Claimed):
        services.submit(execution, data={"note": "n"}, by=root)
    services.unclaim(execution, node="form", by=ada)
    services.claim(execution, node="form", by=root)
    recount_votes()
    assert Step.objects.get(node_id="form").claimed_by == root


def test_bulk_retry_keeps_claims_of_other_steps() -> None:
    callee = WorkflowFactory()
    save_line(callee, form())
    caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
    save_line(caller, call(callee))
    ada, execution = create_member("ada"), start(caller)
    child = execution.children.get()
    services.claim(child, node="form", by=ada)
    operator = log_in(user_in("operator"))
    sent = {"items": [{"execution": child.cuid, "node": "form"}]}
    (result,) = operator.post("executions/bulk/retry/", sent).json()["results"]
    assert result["problem"]["code"] == "no_incident"
    assert Step.objects.get(node_id="form").claimed_by == ada
    sent = {"items": [{"execution": child.cuid, "node": "form", "why": "w"}]}
    assert operator.post("executions/bulk/skip/", sent).json()["succeeded"] == 1
    assert current_status(execution) == Status.COMPLETED


class TestPages:
    def test_candidate_claims_and_unclaims(self) -> None:
        accounts(groups=["board"])
        ada, bob = (viewer(of=create_member(name, "board")) for name in ("ada", "bob"))
        execution = start_with_assignees(groups=["board"])
        step = execution.steps.open().get()
        own = reverse("admin:executions_execution_change", args=[execution.pk])
        claim, unclaim, submit = (
            reverse("admin:executions_execution_decide", args=[execution.pk, step.cuid, "claim"]),
            reverse("admin:executions_execution_decide", args=[execution.pk, step.cuid, "unclaim"]),
            reverse("admin:executions_execution_submit", args=[execution.pk, step.cuid]),
        )
        browser, other = Browser(), Browser()
        browser.force_login(ada)
        other.force_login(bob)
        assert claim in browser.get(own).content.decode()
        page = browser.post(claim, follow=True).content.decode()
        assert "You have claimed “form”." in page and unclaim in page and submit in page
        page = other.get(own).content.decode()
        assert "Claimed by ada since" in page
        assert not [url for url in (claim, unclaim, submit) if url in page]
        refused = other.post(submit, {f"{step.cuid}-note": "typed"}).content.decode()
        assert "“form” is claimed by ada." in refused and "typed" in refused
        page = browser.post(unclaim, follow=True).content.decode()
        assert "“form” is no longer claimed." in page and claim in page

    def test_operator_gives_a_reason_to_unclaim(self, claimed: tuple[Execution, Any, Any]) -> None:
        execution, *_ = claimed
        step = execution.steps.open().get()
        args = [execution.pk, step.cuid, "unclaim"]
        url = reverse("admin:executions_execution_decide", args=args)
        browser = Browser()
        browser.force_login(user_in("operator", is_staff=True))
        own = reverse("admin:executions_execution_change", args=[execution.pk])
        assert f'href="{url}"' in browser.get(own).content.decode()
        assert "can claim and do the step again" in browser.get(url).content.decode()
        assert "Give a reason" in browser.post(url, {"note": ""}).content.decode()
        assert browser.post(url, {"note": "ill"}).status_code == 302
        assert Step.objects.get(pk=step.pk).claimed_by is None


def test_group_of_claimer_can_be_deleted_when_others_remain(
    claimed: tuple[Execution, Any, Any],
) -> None:
    execution, _, bob = claimed
    accounts(users=["bob"])
    services.reassign(execution, groups=["board"], users=["bob"], node="form", why="w")
    services.claim(execution, node="form", by=bob)
    Group.objects.get(name="board").delete()
    services.submit(execution, data={"note": "n"}, by=bob)


def test_claim_in_a_child_changes_the_child() -> None:
    callee, ada = WorkflowFactory(), voter("ada")
    save_line(callee, form("inner"))
    caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
    save_line(caller, call(callee))
    finding = FindingFactory(entity_name_type=callee.entity_name_type)
    child = services.start(caller, finding).children.get()
    services.claim(child, node="inner", by=ada)
    assert Execution.objects.get(pk=child.pk).updated_at > child.updated_at
