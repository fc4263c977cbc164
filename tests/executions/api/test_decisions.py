"""Votes, drafts and decisions of operators by the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions import services
from tests.conftest import Scenario
from tests.executions.engine.test_branches import DIAMOND, started
from tests.executions.test_clock import waiting
from tests.executions.test_decisions import approval_graph
from tests.factories import (
    FindingFactory,
    UserFactory,
    WorkflowFactory,
    form,
    save_line,
    user_in,
)
from tests.workflows.api.clients import Client, assert_problem, client_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


def client_named(name: str, *permissions: str) -> Client:
    client = client_of(*(permissions or ("executions.submit_execution",)))
    user: Any = UserFactory(username=name)
    user.user_permissions.set(
        type(user).objects.get(pk=client.session["_auth_user_id"]).user_permissions.all()
    )
    client.force_login(user)
    return client


def test_open_step_lists_votes_until_decided() -> None:
    ada, grace = client_named("ada"), client_named("grace")
    execution = started(approval_graph(users=["ada", "grace"], needed=2))
    url = f"executions/{execution.cuid}/"
    body = ada.post(f"{url}approve/", {"node": "vote", "notes": "fine"}).json()
    (step,) = body["open_steps"]
    (vote,) = step["votes"]
    assert (vote["user"], vote["approves"], vote["notes"]) == ("ada", True, "fine")
    assert grace.post(f"{url}approve/", {"step": step["step"]}).json()["status"] == "completed"


def test_rejection_fails_execution_and_others_may_not_vote() -> None:
    ada = client_named("ada")
    execution = started(approval_graph(users=["ada"]))
    url = f"executions/{execution.cuid}/"
    assert_problem(client_named("eve").post(f"{url}reject/", {"node": "vote"}), 403, "not_assigned")
    assert ada.post(f"{url}reject/", {"node": "vote"}).json()["status"] == "failed"


def test_wake_ends_wait(api: Client) -> None:
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
    assert_problem(
        api.post(f"{url}skip/", {"node": "sleep", "handle": "x", "why": "w"}), 400, "no_such_handle"
    )
    assert api.post(f"{url}skip/", {"node": "sleep", "why": "w"}).json()["status"] == "completed"


def test_retry_is_refused_without_incident(api: Client, scenario: Scenario) -> None:
    url = f"executions/{scenario.start().cuid}/"
    assert_problem(api.post(f"{url}retry/", {"node": "form"}), 409, "no_incident")
    assert_problem(api.post(f"{url}wake/", {"node": "form"}), 400, "not_awaited")


def test_restart_returns_new_execution(api: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    response = api.post(f"executions/{execution.cuid}/restart/", {"why": "wrong data"})
    assert response.status_code == 201
    assert response.json()["cuid"] != execution.cuid
    old = api.get(f"executions/{execution.cuid}/").json()
    assert (old["status"], old["message"]) == ("cancelled", "wrong data")


def test_start_can_be_scheduled(api: Client, scenario: Scenario) -> None:
    at = (timezone.now() + timedelta(hours=1)).isoformat()
    body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    execution = api.post("executions/", {**body, "scheduled_for": at}).json()
    assert execution["status"] == "scheduled"
    assert execution["scheduled_for"].startswith(at[:19])
    (step,) = execution["open_steps"]
    assert step["due"].startswith(at[:19])
    refused = api.post("executions/", {**body, "scheduled_for": "soon"})
    assert refused.json()["errors"][0]["pointer"] == "/scheduled_for"


def test_open_step_has_draft_of_user(api: Client, scenario: Scenario) -> None:
    url = f"executions/{scenario.start().cuid}/"
    draft = {"node": "form", "data": {"note": "half"}}
    (step,) = api.post(f"{url}draft/", draft).json()["open_steps"]
    assert step["draft"] == {"note": "half"}
    assert_problem(api.post(f"{url}draft/", {"node": "form", "data": 3}), 400, "invalid_draft")


class TestInbox:
    def found(self, client: Client) -> list[str]:
        return [row["cuid"] for row in client.get("executions/mine/").json()["results"]]

    def test_inbox_has_steps_that_user_may_do(self) -> None:
        may = ("executions.view_execution", "executions.submit_execution")
        ada, grace = client_named("ada", *may), client_named("grace", *may)
        reader = client_of("executions.view_execution")
        workflow = WorkflowFactory()
        save_line(workflow, form(assignees={"users": ["ada"]}))
        one = services.start(workflow, _finding(workflow))
        vote = started(approval_graph(users=["ada", "grace"], needed=2))
        open_to_all = WorkflowFactory()
        save_line(open_to_all, form())
        everybody = services.start(open_to_all, _finding(open_to_all))
        assert set(self.found(ada)) == {one.cuid, vote.cuid, everybody.cuid}
        assert set(self.found(grace)) == {vote.cuid, everybody.cuid}
        assert self.found(reader) == []
        ada.post(f"executions/{vote.cuid}/approve/", {"node": "vote"})
        assert set(self.found(ada)) == {one.cuid, everybody.cuid}, "who has voted is done"

    def test_inbox_is_filtered_and_paginated(self, api: Client, scenario: Scenario) -> None:
        scenario.start()
        assert api.get("executions/mine/", {"status": "waiting"}).json()["count"] == 1
        assert api.get("executions/mine/", {"status": "completed"}).json()["count"] == 0


def _finding(workflow: Any) -> Any:
    return FindingFactory(entity_name_type=workflow.entity_name_type)


class TestSkipAndPostpone:
    """Skip, retry and postpone of steps without an incident."""

    def test_skip_returns_execution_at_next_step(self, api: Client, scenario: Scenario) -> None:
        url = f"executions/{scenario.start().cuid}/"
        body = api.post(f"{url}skip/", {"node": "form", "why": "Nobody is left."}).json()
        assert [step["node"] for step in body["open_steps"]] == []
        assert body["status"] == "completed"
        steps = {row["node"]: row for row in api.get(f"{url}steps/").json()["results"]}
        assert steps["form"]["output"] == {"skipped": True}

    @pytest.mark.parametrize("route", ["skip", "postpone"])
    def test_decision_needs_reason(self, api: Client, route: str) -> None:
        url = f"executions/{started(waiting(interval='P1D')).cuid}/{route}/"
        sent = {"node": "sleep", **({"until": "2099-01-01T00:00Z"} if route == "postpone" else {})}
        assert_problem(api.post(url, sent), 400, "required")
        body = assert_problem(api.post(url, {**sent, "why": "  "}), 400, "reason_required")
        assert [row["pointer"] for row in body["errors"]] == ["/why"]

    def test_skip_of_live_call_cancels_child(self, api: Client, scenario: Scenario) -> None:
        save_line(scenario.callee, form("inner"))
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        url = f"executions/{execution.cuid}/"
        body = api.post(f"{url}skip/", {"node": "call", "why": "Not needed."}).json()
        assert body["status"] == "completed"
        (child,) = body["children"]
        assert api.get(f"executions/{child}/").json()["status"] == "cancelled"

    def test_postpone_returns_new_time(self, api: Client) -> None:
        url = f"executions/{started(waiting(interval='P1D')).cuid}/postpone/"
        sent = {"node": "sleep", "until": "2099-06-01T02:00:00+02:00", "why": "Later."}
        (step,) = api.post(url, sent).json()["open_steps"]
        assert step["due"] == "2099-06-01T00:00:00Z"

    def test_postpone_changes_nothing_in_dry_run(self, api: Client) -> None:
        execution = started(waiting(interval="P1D"))
        url = f"executions/{execution.cuid}/postpone/?dry_run=true"
        sent = {"node": "sleep", "until": "2099-06-01T00:00:00Z", "why": "Later."}
        (step,) = api.post(url, sent).json()["open_steps"]
        assert step["due"].startswith("2099")
        due = execution.steps.open().get().due_at
        assert due is not None and due.year < 2099

    @pytest.mark.parametrize(
        ("until", "code"),
        [
            ("2001-01-01T00:00:00Z", "not_in_future"),
            ("soon", "invalid"),
            (None, "null"),
            ("9999-12-31T23:59:59-14:00", "overflow"),
            ("0001-01-01T00:00:00+14:00", "overflow"),
        ],
    )
    def test_postpone_refuses_invalid_time(self, api: Client, until: object, code: str) -> None:
        url = f"executions/{started(waiting(interval='P1D')).cuid}/postpone/"
        body = assert_problem(
            api.post(url, {"node": "sleep", "until": until, "why": "x"}), 400, code
        )
        assert [row["pointer"] for row in body["errors"]] == ["/until"]

    def test_postpone_is_refused_without_date(self, api: Client, scenario: Scenario) -> None:
        url = f"executions/{scenario.start().cuid}/postpone/"
        sent = {"node": "form", "until": "2099-06-01T00:00:00Z", "why": "x"}
        assert_problem(api.post(url, sent), 409, "not_postponable")

    def test_skip_of_waiting_join_is_refused(self, api: Client) -> None:
        execution = started(DIAMOND)
        services.submit(execution, node="a", data={"note": "n"})
        url = f"executions/{execution.cuid}/skip/"
        assert_problem(api.post(url, {"node": "join", "why": "x"}), 409, "not_skippable")

    @pytest.mark.parametrize("route", ["skip", "retry", "postpone"])
    @pytest.mark.parametrize("role", ["viewer", "participant", "designer"])
    def test_decision_needs_operator(self, role: str, route: str) -> None:
        client = Client()
        client.force_login(user_in(role))
        url = f"executions/{started(waiting(interval='P1D')).cuid}/{route}/"
        sent = {"node": "sleep", "why": "x"}
        if route == "postpone":
            sent["until"] = "2099-06-01T00:00:00Z"
        assert_problem(client.post(url, sent), 403, "permission_denied")

    @pytest.mark.parametrize("role", ["operator", "administrator"])
    def test_operators_and_administrators_may_decide(self, role: str) -> None:
        client = Client()
        client.force_login(user_in(role))
        url = f"executions/{started(waiting(interval='P1D')).cuid}/"
        sent = {"node": "sleep", "why": "x"}
        until = {"until": "2099-06-01T00:00:00Z"}
        assert client.post(f"{url}postpone/", {**sent, **until}).status_code == 200
        assert client.post(f"{url}retry/", sent).status_code == 200
        assert client.post(f"{url}skip/", sent).json()["status"] == "completed"
