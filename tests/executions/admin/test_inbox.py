"""The inbox: tasks, forms and drafts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from executions import services as running
from executions.admin import inbox
from executions.models import Execution, FormDraft, Status, Step
from tests.conftest import Scenario
from tests.executions.engine.test_branches import started
from tests.executions.test_decisions import approval_graph
from tests.factories import FindingFactory, WorkflowFactory, accounts, form, save_line, user_in
from tests.workflows.admin.staff import list_messages, page, statements, text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

INBOX = reverse("admin:executions_execution_inbox")
FIELDS: list[dict[str, Any]] = [
    {"name": "note", "type": "text", "required": True},
    {"name": "amount", "type": "number"},
    {"name": "kinds", "type": "multiple_choice", "choices": ["a", "b"]},
    {"name": "sure", "type": "checkbox"},
]


@pytest.fixture
def ada() -> Any:
    return user_in("participant", username="ada", is_staff=True)


@pytest.fixture
def client(ada: Any) -> Client:
    client = Client()
    client.force_login(ada)
    return client


def asking(*fields: dict[str, Any], **data: Any) -> Execution:
    workflow = WorkflowFactory()
    save_line(workflow, form("form", *(fields or FIELDS), **data))
    return running.start(workflow, FindingFactory(entity_name_type=workflow.entity_name_type))


def send(client: Client, execution: Execution, **answers: Any) -> Any:
    """Submit the form of the open step from the inbox."""
    step = execution.steps.get(type="user_action")
    url = reverse("admin:executions_execution_submit", args=[execution.pk, step.cuid])
    assert f'action="{url}"' in text(client.get(INBOX, {"open": step.cuid}))
    own = {"_draft", "back_to"}
    sent = {
        name if name in own else f"{step.cuid}-{name}": value for name, value in answers.items()
    }
    return client.post(url, {"back_to": "inbox", **sent})


def tasks(client: Client, **query: str) -> list[int]:
    """Return the ids of the executions in the inbox, in order."""
    return [task.execution.pk for task in client.get(INBOX, query).context["tasks"]]


class TestTasks:
    def test_inbox_lists_steps_of_user_groups_and_everyone(self, client: Client, ada: Any) -> None:
        ada.groups.add(Group.objects.create(name="risk"))
        accounts(users=["grace"])
        named = asking(assignees={"users": ["ada"]})
        grouped = asking(assignees={"groups": ["risk"]})
        anybodys = asking()
        asking(assignees={"users": ["grace"]})
        assert sorted(tasks(client)) == sorted(row.pk for row in (named, grouped, anybodys))

    def test_inbox_is_ordered_by_due_time(self, client: Client) -> None:
        none, late, soon = asking(), asking(deadline="P3D"), asking(deadline="P1D")
        soon.steps.open().update(overdue=True)
        assert tasks(client) == [soon.pk, late.pk, none.pk]
        assert "Overdue" in text(client.get(INBOX))

    def test_inbox_is_paginated(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inbox, "PAGE_SIZE", 2)
        rows = [asking().pk for _ in range(3)]
        assert tasks(client) == rows[:2] and tasks(client, p="2") == rows[2:]
        assert tasks(client, p="none") == rows[:2]

    def test_inbox_links_vote_until_it_is_given(self, client: Client, ada: Any) -> None:
        accounts(users=["grace"])
        execution = started(approval_graph(users=["ada", "grace"], needed=2))
        step = execution.steps.open().get()
        assert f"/change/#step-{step.cuid}" in text(client.get(INBOX))
        running.vote(execution, approves=True, by=ada)
        assert tasks(client) == []
        assert "Approved" in text(client.get(INBOX))

    @pytest.mark.parametrize("number", [3, 20])
    def test_inbox_query_count_is_bounded(self, client: Client, ada: Any, number: int) -> None:
        accounts(users=["grace"])
        for _ in range(number):
            asking(assignees={"users": ["ada"]})
            started(approval_graph(users=["ada", "grace"], needed=2))
        assert statements(lambda: client.get(INBOX)) <= 22

    @pytest.mark.parametrize("role", ["viewer", "designer", "operator"])
    def test_inbox_needs_submit_permission(self, role: str) -> None:
        other = Client()
        other.force_login(user_in(role, is_staff=True))
        assert other.get(INBOX).status_code == 403
        assert INBOX not in text(other.get(reverse("admin:index")))

    def test_inbox_is_linked_on_every_page(self, client: Client) -> None:
        assert f'href="{INBOX}"' in text(client.get(reverse("admin:index")))


class TestForms:
    def test_inbox_form_is_submitted(self, client: Client) -> None:
        execution = asking()
        response = send(client, execution, note="done", amount="3")
        assert response["Location"] == INBOX
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED
        html = text(client.get(INBOX))
        assert "No steps are assigned to you" in html
        assert f"/executions/execution/{execution.pk}/change/#visit-" in html, "what I did"

    def test_inbox_form_errors_keep_submitted_values(self, client: Client) -> None:
        asking()
        execution = asking()
        html = text(send(client, execution, note="", amount="many"))
        assert "<title>Inbox" in html
        assert "This field is required." in html and 'value="many"' in html

    def test_inbox_reports_step_closed_by_other_user(self, client: Client) -> None:
        execution = asking()
        step = execution.steps.open().get()
        url = reverse("admin:executions_execution_submit", args=[execution.pk, step.cuid])
        running.submit(execution, data={"note": "first"})
        response = client.post(url, {"back_to": "inbox", f"{step.cuid}-note": "second"})
        assert response["Location"] == INBOX
        assert any("is no longer open" in message for message in list_messages(response))


class TestDrafts:
    @pytest.mark.parametrize("where", ["inbox", "execution"])
    def test_draft_is_saved_and_restored(self, client: Client, where: str) -> None:
        execution = asking()
        typed = {"note": "half", "amount": "not yet", "kinds": ["b"], "sure": "on"}
        response = send(client, execution, **typed, _draft="Save draft", back_to=where)
        back = INBOX if where == "inbox" else page(execution)
        assert response["Location"] == back
        execution.refresh_from_db()
        assert execution.status == Status.WAITING
        for address in (INBOX, page(execution)):
            html = text(client.get(address))
            assert 'value="half"' in html and 'value="not yet"' in html
            assert html.count(" checked") >= 2
        assert ">Draft</span>" in text(client.get(INBOX))

    def test_draft_is_deleted_on_submission(self, client: Client) -> None:
        execution = asking()
        send(client, execution, note="half", _draft="Save draft")
        send(client, execution, note="whole")
        assert Step.objects.get(execution=execution, type="user_action").output["note"] == "whole"
        assert "half" not in text(client.get(INBOX))

    def test_draft_of_other_assignee_is_refused(self, client: Client, scenario: Scenario) -> None:
        accounts(users=["grace"])
        execution = asking(assignees={"users": ["grace"]})
        step = execution.steps.open().get()
        url = reverse("admin:executions_execution_submit", args=[execution.pk, step.cuid])
        response = client.post(url, {f"{step.cuid}-note": "mine", "_draft": "Save draft"})
        assert any("is assigned to others" in message for message in list_messages(response))
        assert not FormDraft.objects.exists()


def test_completed_list_shows_own_steps_only(client: Client, ada: Any) -> None:
    mine, others = asking(), asking()
    running.submit(mine, data={"note": "n"}, by=ada)
    running.submit(others, data={"note": "n"}, by=user_in("participant"))
    done = client.get(INBOX).context["done"]
    assert [row["step"].execution_id for row in done] == [mine.pk]
    assert timezone.now() - done[0]["at"] < timedelta(minutes=5)
