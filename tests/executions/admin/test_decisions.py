"""Votes and operator actions at open steps in the admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from executions import services
from executions.models import Execution, Status
from tests.conftest import Scenario
from tests.executions.engine.test_branches import started
from tests.executions.engine.test_never_stuck import fail_at
from tests.executions.test_clock import waiting
from tests.executions.test_decisions import approval_graph, choice_graph
from tests.factories import UserFactory, accounts, voter
from tests.workflows.admin.staff import VIEW, list_messages, page, staff, text
from workflows.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

MAY = (
    *VIEW,
    "executions.submit_execution",
    "executions.change_execution",
    "executions.add_execution",
)


def decide(client: Client, execution: Execution, name: str, **sent: str) -> Any:
    step = execution.steps.open().get()
    args = [execution.pk, step.cuid, name]
    return client.post(reverse("admin:executions_execution_decide", args=args), sent)


def confirmation_page(client: Client, execution: Execution, name: str) -> str:
    """Return the page of a decision, which the page of the execution links."""
    step = execution.steps.open().get()
    args = [execution.pk, step.cuid, name]
    address = reverse("admin:executions_execution_decide", args=args)
    assert f'href="{address}"' in text(client.get(page(execution)))
    return text(client.get(address))


def status(execution: Execution) -> str:
    return str(Execution.objects.get(pk=execution.pk).status)


@pytest.fixture
def operator() -> Client:
    return staff(*MAY)


def test_voter_has_vote_buttons_and_sees_votes(operator: Client) -> None:
    ada: Any = UserFactory(username="ada", is_staff=True, is_superuser=True)
    voter("grace")
    execution = started(approval_graph(users=["ada", "grace"], needed=2))
    assert "Assigned to user “ada”, user “grace”." in text(operator.get(page(execution)))
    operator.force_login(ada)
    html = text(operator.get(page(execution)))
    assert 'value="Approve"' in html
    assert 'value="Reject"' in html
    response = decide(operator, execution, "approve", note="looks right")
    assert list_messages(response) == ["Your approval of “vote” was recorded."]
    html = text(operator.get(page(execution)))
    assert "looks right" in html
    assert "Approved" in html


@pytest.mark.parametrize("note", ["n" * 2_001, "looks\0right"])
def test_vote_with_invalid_notes_is_refused(operator: Client, note: str) -> None:
    ada: Any = UserFactory(username="ada", is_staff=True, is_superuser=True)
    execution = started(approval_graph(users=["ada"]))
    operator.force_login(ada)
    answer = decide(operator, execution, "approve", note=note)
    assert answer.status_code == 200
    assert note.replace("\0", "") in text(answer).replace("\0", "")
    assert "Your vote and your notes are recorded" in text(answer)
    assert status(execution) == Status.WAITING
    assert decide(operator, execution, "approve", note="looks right").status_code == 302
    assert status(execution) == Status.COMPLETED


def test_vote_of_other_user_is_refused(operator: Client) -> None:
    UserFactory(username="ada")
    execution = started(approval_graph(users=["ada"]))
    response = decide(operator, execution, "approve")
    assert "Others vote on" in list_messages(response)[0]
    assert status(execution) == Status.WAITING


def test_impossible_approval_is_skipped_by_exit(operator: Client) -> None:
    accounts(users=["left"])
    execution = started(approval_graph(users=["left"]))
    User.objects.filter(username="left").update(is_active=False)
    html = confirmation_page(operator, execution, "skip")
    assert '<option value="approved">approved</option>' in html
    assert '<option value="rejected">rejected</option>' in html
    decide(operator, execution, "skip", handle="approved", note="the committee is gone")
    assert status(execution) == Status.COMPLETED


def test_wait_is_skipped(operator: Client) -> None:
    execution = started(waiting(interval="P1D"))
    html = confirmation_page(operator, execution, "wake")
    assert "The execution continues now" in html
    assert "Recorded in the audit log" in html
    assert status(execution) == Status.WAITING
    decide(operator, execution, "wake", note="early")
    assert status(execution) == Status.COMPLETED
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.face, entry.why) == ("woken", "admin", "early")


def test_incident_is_retried_or_skipped(operator: Client) -> None:
    execution = started(waiting(at_field="due"), due="soon")
    html = text(operator.get(page(execution)))
    assert "which is not a date" in html
    assert "starts again as attempt 2" in confirmation_page(operator, execution, "retry")
    assert "closed without being done" in confirmation_page(operator, execution, "skip")
    decide(operator, execution, "retry")
    assert "attempt 2" in text(operator.get(page(execution)))
    assert "This field is required." in text(decide(operator, execution, "skip", note=" "))
    assert status(execution) == Status.WAITING
    decide(operator, execution, "skip", note="by hand")
    assert status(execution) == Status.COMPLETED


def test_skip_needs_exit(operator: Client) -> None:
    execution = started(choice_graph())
    fail_at(execution, "form", "way", "condition")
    html = confirmation_page(operator, execution, "skip")
    assert '<option value="on">on</option>' in html
    assert '<option value="default">default</option>' in html
    assert "This field is required." in text(decide(operator, execution, "skip", note="by hand"))
    assert "not one of the available" in text(
        decide(operator, execution, "skip", handle="x", note="by hand")
    )
    assert status(execution) == Status.WAITING
    decide(operator, execution, "skip", handle="on", note="by hand")
    assert status(execution) == Status.COMPLETED


def test_unknown_decision_answers_404(operator: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    assert decide(operator, execution, "explode").status_code == 404
    assert "has no incident" in list_messages(decide(operator, execution, "retry"))[0]
    address = reverse("admin:executions_execution_decide", args=[execution.pk, "x", "wake"])
    assert operator.get(address).status_code == 302
    step = execution.steps.open().get()
    for name in ("retry", "approve", "explode"):
        args = [execution.pk, step.cuid, name]
        address = reverse("admin:executions_execution_decide", args=args)
        assert operator.get(address).status_code == 302


def test_viewer_has_no_decision_buttons(scenario: Scenario) -> None:
    execution = started(waiting(interval="P1D"))
    watcher = staff(*VIEW)
    assert "Skip the wait" not in text(watcher.get(page(execution)))
    assert decide(watcher, execution, "wake").status_code == 403


def test_form_is_skipped_with_reason(operator: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    assert "closed without being done" in confirmation_page(operator, execution, "skip")
    assert "This field is required." in text(decide(operator, execution, "skip"))
    response = decide(operator, execution, "skip", note="nobody is left")
    assert list_messages(response) == ["“form” was skipped."]
    entry = AuditEntry.objects.filter(action="skipped").get()
    assert (entry.face, entry.why) == ("admin", "nobody is left")


def test_approval_shows_votes_and_operator_buttons(operator: Client) -> None:
    UserFactory(username="ada")
    execution = started(approval_graph(users=["ada"]))
    html = text(operator.get(page(execution)))
    assert "Skip the step…" in html
    assert 'value="Approve"' not in html
    assert "The votes so far are kept" in confirmation_page(operator, execution, "skip")


def test_wait_is_postponed(operator: Client) -> None:
    execution = started(waiting(interval="P1D"))
    assert "Time zone: UTC." in confirmation_page(operator, execution, "postpone")
    sent = {"until": "2099-06-01T12:00", "note": "the audit is later"}
    response = decide(operator, execution, "postpone", **sent)
    assert list_messages(response) == ["“sleep” was postponed."]
    due = execution.steps.open().get().due_at
    assert due is not None and due.isoformat() == "2099-06-01T12:00:00+00:00"


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("2001-01-01T00:00", "Choose a time in the future."),
        ("soon", "Enter a valid date/time."),
        ("", "This field is required."),
    ],
)
def test_invalid_time_appears_at_field(operator: Client, until: str, said: str) -> None:
    execution = started(waiting(interval="P1D"))
    html = text(decide(operator, execution, "postpone", until=until, note="typed by me"))
    assert said in html
    assert "typed by me" in html


def test_wait_is_restarted(operator: Client) -> None:
    execution = started(waiting(interval="P1D"))
    assert "Its dates are computed again." in confirmation_page(operator, execution, "retry")
    decide(operator, execution, "retry")
    assert execution.steps.open().get().attempt == 2


def test_decision_on_closed_step_shows_message(operator: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    step = execution.steps.open().get()
    services.submit(execution, node="form", data={"note": "n"})
    late = {"skip": {"note": "too late"}, "postpone": {"note": "too late", "until": "soon"}}
    for name, sent in late.items():
        address = reverse("admin:executions_execution_decide", args=[execution.pk, step.cuid, name])
        response = operator.post(address, sent)
        assert response.status_code == 302
        assert "can no longer be changed" in list_messages(response)[-1]


@pytest.mark.parametrize("name", ["skip", "retry", "wake", "postpone"])
@pytest.mark.parametrize("sent", [{}, {"note": "a\x00", "until": "soon"}], ids=["blank", "wrong"])
def test_invalid_decision_on_closed_step_changes_nothing(
    operator: Client, name: str, sent: dict[str, str]
) -> None:
    execution = started(waiting(interval="P1D"))
    step = execution.steps.open().get()
    services.skip(execution, node="sleep", why="done meanwhile")
    args = [execution.pk, step.cuid, name]
    response = operator.post(reverse("admin:executions_execution_decide", args=args), sent)
    assert response.status_code == 302
    assert list_messages(response)


@pytest.mark.parametrize("name", ["skip", "retry", "postpone"])
def test_operator_actions_need_permission(name: str) -> None:
    execution = started(waiting(interval="P1D"))
    participant = staff(*VIEW, "executions.submit_execution")
    assert "Skip the step…" not in text(participant.get(page(execution)))
    assert decide(participant, execution, name, note="x").status_code == 403


def test_execution_is_restarted(operator: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    address = reverse("admin:executions_execution_restart", args=[execution.pk])
    assert address in text(operator.get(page(execution)))
    assert "A new execution of the latest version starts" in text(operator.get(address))
    response = operator.post(address, {"why": "wrong data"})
    again = Execution.objects.get(status="waiting")
    assert response["Location"] == page(again)
    assert status(execution) == Status.CANCELLED


def test_refused_restart_keeps_execution(operator: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    scenario.caller.state = "retired"
    scenario.caller.save()
    address = reverse("admin:executions_execution_restart", args=[execution.pk])
    assert "is retired" in list_messages(operator.post(address))[0]
    assert status(execution) == Status.WAITING


def test_execution_is_scheduled(operator: Client, scenario: Scenario) -> None:
    address = reverse("admin:executions_execution_start", args=[scenario.caller.pk])
    at = timezone.now() + timedelta(days=1)
    sent = {"entity": scenario.finding.pk, "scheduled_for": at.strftime("%Y-%m-%dT%H:%M")}
    operator.post(address, sent)
    execution = Execution.objects.get()
    assert execution.status == Status.SCHEDULED
    assert "Scheduled for" in text(operator.get(page(execution)))
    html = text(operator.post(address, {**sent, "scheduled_for": "soon"}))
    assert "Enter a valid date/time." in html


def test_draft_fills_the_form(operator: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    user = User.objects.get(pk=operator.session["_auth_user_id"])
    services.save_draft(execution, node="form", data={"note": "half of it", "gone": 1}, by=user)
    assert 'value="half of it"' in text(operator.get(page(execution)))


def test_list_filters_executions_assigned_to_user(operator: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    accounts(users=["ada"])
    other = started(approval_graph(users=["ada"]))
    html = text(operator.get(reverse("admin:executions_execution_changelist"), {"mine": "yes"}))
    assert page(execution) in html
    assert page(other) not in html
