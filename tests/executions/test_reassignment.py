"""Reassigning an open step, by the API and the admin."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client as Browser
from django.urls import reverse

from executions import guards, services
from executions.models import Execution, Status
from executions.services.assigned_accounts import PeopleInUse
from executions.task_queries import waiting_for
from tests.executions.assignees import (
    create_member,
    current_status,
    is_flagged,
    log_in,
    start,
    start_approval,
    start_unassigned,
    start_with_assignees,
    vote,
)
from tests.factories import (
    WorkflowFactory,
    form,
    save_line,
    user_in,
)
from tests.workflows.admin.forms import form_of, rows
from workflows.models import AuditEntry, Candidate

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("invariants"),
    pytest.mark.both_databases,
]


def open_page(execution: Execution) -> tuple[Browser, str]:
    """Return an operator's browser, and the URL of the page that reassigns the open step."""
    browser = Browser()
    browser.force_login(user_in("operator", is_staff=True))
    step = execution.steps.open().get()
    return browser, reverse("admin:executions_execution_reassign", args=[execution.pk, step.cuid])


class TestReassignment:
    def test_operator_replaces_assignees_of_form(self) -> None:
        execution = start_unassigned()
        grace = create_member("grace")
        other = start_with_assignees(groups=["empty"])
        api = log_in(user_in("operator"))
        sent = {"node": "form", "users": ["grace"], "why": "nobody is left"}
        (step,) = api.post(f"executions/{execution.cuid}/reassign/", sent).json()["open_steps"]
        assert step["assignees"] == {"groups": [], "users": ["grace"]}
        assert not step["unassigned"] and is_flagged(other)
        entry = AuditEntry.objects.get(action="reassigned")
        assert (entry.before["groups"], entry.after["users"]) == (["empty"], ["grace"])
        assert entry.why == "nobody is left"
        assert [one.execution_id for one in waiting_for(grace)] == [execution.pk]
        services.submit(execution, data={"note": "n"}, by=grace)

    @pytest.mark.parametrize(
        ("sent", "code"),
        [
            ({"users": ["grace"]}, "required"),
            ({"users": ["grace"], "why": "  "}, "blank"),
            ({"why": "w"}, "not_reassignable"),
            ({"groups": ["nowhere"], "why": "w"}, "unknown_group"),
            ({"users": ["nobody"], "why": "w"}, "unknown_user"),
        ],
    )
    def test_invalid_reassignment_is_refused(self, sent: dict[str, Any], code: str) -> None:
        execution = start_unassigned()
        create_member("grace")
        answer = log_in(user_in("operator")).post(
            f"executions/{execution.cuid}/reassign/", {"node": "form", **sent}
        )
        assert answer.status_code in (400, 409) and answer.json()["code"] == code

    def test_reassign_needs_operator(self) -> None:
        execution = start_unassigned()
        sent = {"node": "form", "users": ["ada"], "why": "w"}
        answer = log_in(create_member("ada")).post(f"executions/{execution.cuid}/reassign/", sent)
        assert answer.status_code == 403

    def test_remaining_votes_may_decide_after_reassignment(self) -> None:
        ada, bob = create_member("ada", "board"), create_member("bob", "board")
        execution = start_approval(groups=["board"], needed="all")
        vote(execution, ada)
        services.reassign(execution, users=["ada", "bob"], node="vote", why="same")
        assert current_status(execution) == Status.WAITING and waiting_for(bob).exists()
        services.reassign(execution, users=["ada"], node="vote", why="Bob is away")
        assert current_status(execution) == Status.COMPLETED

    def test_form_without_assignees_gets_assignees_by_reassignment(self) -> None:
        workflow = WorkflowFactory()
        save_line(workflow, form())
        execution, grace, eve = start(workflow), create_member("grace"), create_member("eve")
        services.reassign(execution, users=["grace"], node="form", why="w")
        with pytest.raises(guards.NotAssigned):
            services.submit(execution, data={"note": "n"}, by=eve)
        services.submit(execution, data={"note": "n"}, by=grace)

    def test_group_can_be_deleted_after_reassignment(self) -> None:
        execution = start_unassigned()
        create_member("grace")
        services.reassign(execution, users=["grace"], node="form", why="w")
        Group.objects.get(name="empty").delete()
        with pytest.raises(PeopleInUse), transaction.atomic():
            User.objects.get(username="grace").delete()

    def test_admin_page_reassigns_a_step(self) -> None:
        execution = start_unassigned()
        create_member("grace")
        browser, url = open_page(execution)
        own = reverse("admin:executions_execution_change", args=[execution.pk])
        assert f'href="{url}"' in browser.get(own).content.decode()
        assert "empty" in browser.get(url).content.decode()
        assert browser.post(url, {**rows("users", "grace"), "why": ""}).status_code == 200
        assert browser.post(url, {**rows("users", "grace"), "why": "w"}).status_code == 302
        assert not is_flagged(execution)

    def test_admin_page_shows_unknown_names_beside_their_inputs(self) -> None:
        execution = start_unassigned()
        create_member("grace")
        browser, url = open_page(execution)
        sent = rows("users", "", "grace", "eve") | rows("groups", "board") | {"why": "w"}
        html = browser.post(url, sent).content.decode()
        for name, said in (
            ("users/2", "no user named 'eve'"),
            ("groups/0", "no group named 'board'"),
        ):
            (problem,) = re.findall(rf'id="problem-rows/{name}-1">(.*?)</p>', html)
            assert said in unescape(problem) and html.count(problem) == 1
            assert f'name="rows/{name}" aria-describedby="problem-rows/{name}-1 "' in html
        assert 'value="eve"' in html and 'value="grace"' in html

    def test_admin_page_adds_and_removes_rows_without_scripts(self) -> None:
        execution = start_unassigned()
        for name in ("ada", "grace"):
            create_member(name)
        services.reassign(execution, users=["ada"], why="away")
        browser, url = open_page(execution)
        sent = form_of(browser.get(url), having="why")
        assert sent["rows/users/0"] == "ada"
        added = browser.post(url, {**sent, "why": "ill", "row": "add rows/users"})
        sent = {**form_of(added, having="why"), "rows/users/1": "grace"}
        removed = browser.post(url, {**sent, "row": "remove rows/users/0"})
        sent = form_of(removed, having="why")
        assert sent["why"] == "ill" and "rows/users/0" not in sent
        assert assignee_names(execution) == {"ada"}
        assert browser.post(url, sent).status_code == 302
        assert assignee_names(execution) == {"grace"}

    def test_admin_page_shows_both_values_when_stale(self) -> None:
        execution = start_unassigned()
        create_member("grace")
        create_member("ada")
        browser, url = open_page(execution)
        sent = {**form_of(browser.get(url), having="why"), **rows("groups"), "why": "ill"}
        services.reassign(execution, users=["ada"], why="away")
        stale = browser.post(url, {**sent, **rows("users", "grace")})
        page = stale.content.decode()
        assert "Someone else has changed this" in page
        assert "Users: now “ada”, yours “grace”." in page
        again = form_of(stale, having="why")
        assert (again["rows/users/0"], again["why"]) == ("grace", "ill")
        assert assignee_names(execution) == {"ada"}
        assert browser.post(url, again).status_code == 302
        assert assignee_names(execution) == {"grace"}

    def test_admin_page_with_damaged_field_is_refused(self) -> None:
        execution = start_unassigned()
        create_member("grace")
        browser, url = open_page(execution)
        for read in ("[", "1", "{}", "[" * 100_000):
            answer = browser.post(url, {**rows("users", "grace"), "why": "w", "read": read})
            assert "The form data is incomplete." in answer.content.decode()


def assignee_names(execution: Execution) -> set[str]:
    step = execution.steps.open().get()
    return {row.current_name for row in Candidate.objects.filter(key=step.assignees)}
