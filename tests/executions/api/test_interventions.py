"""What people and operators do to executions by the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions import services
from tests.conftest import Scenario
from tests.executions.engine.test_branches import started
from tests.executions.test_clock import waiting
from tests.executions.test_interventions import approving
from tests.factories import FindingFactory, UserFactory, WorkflowFactory, drawn, form
from tests.workflows.api.clients import Client, assert_problem, client_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("laws")]


def client_named(name: str, *permissions: str) -> Client:
    client = client_of(*(permissions or ("executions.submit_execution",)))
    user: Any = UserFactory(username=name)
    user.user_permissions.set(
        type(user).objects.get(pk=client.session["_auth_user_id"]).user_permissions.all()
    )
    client.force_login(user)
    return client


def test_votes_are_shown_until_they_decide() -> None:
    ada, grace = client_named("ada"), client_named("grace")
    execution = started(approving(users=["ada", "grace"], needed=2))
    url = f"executions/{execution.cuid}/"
    body = ada.post(f"{url}approve/", {"node": "vote", "notes": "fine"}).json()
    (step,) = body["open_steps"]
    (vote,) = step["votes"]
    assert (vote["user"], vote["approves"], vote["notes"]) == ("ada", True, "fine")
    assert grace.post(f"{url}approve/", {"step": step["step"]}).json()["status"] == "completed"


def test_a_rejection_and_whoever_may_not_vote() -> None:
    ada = client_named("ada")
    execution = started(approving(users=["ada"]))
    url = f"executions/{execution.cuid}/"
    assert_problem(client_named("eve").post(f"{url}reject/", {"node": "vote"}), 403, "not_assigned")
    assert ada.post(f"{url}reject/", {"node": "vote"}).json()["status"] == "failed"


def test_wake(api: Client) -> None:
    execution = started(waiting(interval="P1D"))
    url = f"executions/{execution.cuid}/wake/"
    assert_problem(api.post(url, {}), 400, "required")
    assert api.post(url, {"node": "sleep", "why": "now"}).json()["status"] == "completed"


def test_retry_and_skip_of_an_incident(api: Client) -> None:
    execution = started(waiting(at_field="due"), due="soon")
    url = f"executions/{execution.cuid}/"
    (step,) = api.get(url).json()["open_steps"]
    assert (step["incident"]["code"], step["incident"]["attempt"]) == ("no_date", 1)
    (step,) = api.post(f"{url}retry/", {"node": "sleep"}).json()["open_steps"]
    assert step["incident"]["attempt"] == 2
    assert_problem(api.post(f"{url}skip/", {"node": "sleep", "handle": "x"}), 400, "no_such_handle")
    assert api.post(f"{url}skip/", {"node": "sleep"}).json()["status"] == "completed"


def test_what_has_no_incident(api: Client, scenario: Scenario) -> None:
    url = f"executions/{scenario.start().cuid}/"
    assert_problem(api.post(f"{url}retry/", {"node": "form"}), 409, "no_incident")
    assert_problem(api.post(f"{url}wake/", {"node": "form"}), 400, "not_awaited")


def test_restart_answers_the_new_one(api: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    response = api.post(f"executions/{execution.cuid}/restart/", {"why": "wrong data"})
    assert response.status_code == 201
    assert response.json()["cuid"] != execution.cuid
    old = api.get(f"executions/{execution.cuid}/").json()
    assert (old["status"], old["message"]) == ("cancelled", "wrong data")


def test_scheduled(api: Client, scenario: Scenario) -> None:
    at = (timezone.now() + timedelta(hours=1)).isoformat()
    asked = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    body = api.post("executions/", {**asked, "scheduled_for": at}).json()
    assert body["status"] == "scheduled"
    assert body["scheduled_for"].startswith(at[:19])
    (step,) = body["open_steps"]
    assert step["due"].startswith(at[:19])
    refused = api.post("executions/", {**asked, "scheduled_for": "soon"})
    assert refused.json()["errors"][0]["pointer"] == "/scheduled_for"


def test_a_draft_is_shown_with_the_form(api: Client, scenario: Scenario) -> None:
    url = f"executions/{scenario.start().cuid}/"
    draft = {"node": "form", "data": {"note": "half"}}
    (step,) = api.post(f"{url}draft/", draft).json()["open_steps"]
    assert step["draft"] == {"note": "half"}
    assert_problem(api.post(f"{url}draft/", {"node": "form", "data": 3}), 400, "invalid_draft")


class TestInbox:
    def found(self, client: Client) -> list[str]:
        return [row["cuid"] for row in client.get("executions/mine/").json()["results"]]

    def test_it_holds_what_this_user_may_do(self) -> None:
        may = ("executions.view_execution", "executions.submit_execution")
        ada, grace = client_named("ada", *may), client_named("grace", *may)
        reader = client_of("executions.view_execution")
        workflow = WorkflowFactory()
        drawn(workflow, form(assignees={"users": ["ada"]}))
        one = services.start(workflow, _finding(workflow))
        vote = started(approving(users=["ada", "grace"], needed=2))
        open_to_all = WorkflowFactory()
        drawn(open_to_all, form())
        everybody = services.start(open_to_all, _finding(open_to_all))
        assert set(self.found(ada)) == {one.cuid, vote.cuid, everybody.cuid}
        assert set(self.found(grace)) == {vote.cuid, everybody.cuid}
        assert self.found(reader) == []
        ada.post(f"executions/{vote.cuid}/approve/", {"node": "vote"})
        assert set(self.found(ada)) == {one.cuid, everybody.cuid}, "who has voted is done"

    def test_it_is_filtered_and_paged_like_the_list(self, api: Client, scenario: Scenario) -> None:
        scenario.start()
        assert api.get("executions/mine/", {"status": "waiting"}).json()["count"] == 1
        assert api.get("executions/mine/", {"status": "completed"}).json()["count"] == 0


def _finding(workflow: Any) -> Any:
    return FindingFactory(entity_name_type=workflow.entity_name_type)
