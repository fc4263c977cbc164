"""Deadlines that add assignees, and reminders before them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.test import Client as Browser

from executions import integrity, services
from executions.models import (
    Execution,
    Job,
    Status,
)
from tests.commands import run
from tests.executions.engine.test_branches import source, started
from tests.executions.engine.test_patterns import Nodes
from tests.executions.engine.test_timeouts import (
    form_with,
    serve,
    without_timeout,
)
from tests.factories import WorkflowFactory, accounts, user_in, voter
from workflows import editing
from workflows.admin.base.formatting import admin_url
from workflows.graph import WorkflowValidationError
from workflows.models import AuditEntry, Candidate

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both_databases,
    pytest.mark.usefixtures("invariants"),
]


class TestEscalation:
    @pytest.fixture
    def people(self) -> tuple[User, User]:
        accounts(groups=["leads"])
        ada, lead = voter("ada"), voter("grace")
        lead.groups.add(Group.objects.get(name="leads"))
        return ada, lead

    def escalating(self, **more: Any) -> dict[str, Any]:
        deadline = {"after": "P1D", "escalate": {"groups": ["leads"]}, **more}
        return form_with(deadline, assignees={"users": ["ada"]})

    def test_deadline_adds_assignees(self, people: tuple[User, User]) -> None:
        _, lead = people
        execution = started(without_timeout(self.escalating()))
        with pytest.raises(Exception, match="assigned to others"):
            services.submit(execution, node="work", data={}, by=lead)
        serve(days=2)
        step = execution.steps.open().get()
        assert step.overdue
        entry = AuditEntry.objects.get(action="reassigned")
        assert entry.before == {"node": "work", "groups": [], "users": ["ada"]}
        after = {"node": "work", "step": step.cuid, "groups": ["leads"], "users": ["ada"]}
        assert entry.after == after
        assert entry.why == "The deadline has passed."
        assert services.submit(execution, node="work", data={}, by=lead).status == Status.COMPLETED

    def test_deadline_adds_voters_of_an_approval(self, people: tuple[User, User]) -> None:
        deadline = {"after": "P1D", "escalate": {"groups": ["leads"]}}
        data = {"users": ["ada"], "needed": "all", "deadline": deadline}
        nodes: Nodes = {"start": "start", "work": {"type": "approval", "data": data}, "end": "end"}
        graph = source(nodes, "start>work", "work.approved>end", "work.rejected>end")
        execution = started(graph)
        serve(days=2)
        for user in people:
            execution.refresh_from_db()
            assert execution.status == Status.WAITING
            services.vote(execution, node="work", approves=True, by=user)
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    def test_reassigned_step_keeps_its_assignees(self, people: tuple[User, User]) -> None:
        accounts(users=["alan"])
        execution = started(without_timeout(self.escalating()))
        services.reassign(execution, node="work", users=["alan"], why="w")
        serve(days=2)
        step = execution.steps.open().get()
        names = [row.current_name for row in Candidate.objects.filter(key=step.assignees)]
        assert names == ["alan", "leads"]

    def test_renamed_group_is_added(self, people: tuple[User, User]) -> None:
        started(without_timeout(self.escalating()))
        Group.objects.filter(name="leads").update(name="heads")
        serve(days=2)
        assert AuditEntry.objects.get(action="reassigned").after["groups"] == ["heads"]

    def test_unknown_group_is_refused(self) -> None:
        accounts(users=["ada"])
        workflow = WorkflowFactory()
        with pytest.raises(WorkflowValidationError) as refused:
            editing.save_graph(workflow, without_timeout(self.escalating()), based_on=1)
        [problem] = refused.value.problems
        assert problem.code == "unknown_group"
        assert problem.pointer == "/nodes/1/data/deadline/escalate/groups/0"

    def test_copied_version_escalates_to_the_same_people(self, people: tuple[User, User]) -> None:
        workflow = WorkflowFactory()
        editing.save_graph(workflow, without_timeout(self.escalating()), based_on=1)
        kind = WorkflowFactory().entity_name_type
        editing.change_entity_context([workflow], entity_name_type=kind)
        rows = Candidate.objects.filter(version=workflow.latest_version).order_by("pk")
        assert [(row.current_name, row.is_escalation) for row in rows] == [
            ("ada", False),
            ("leads", True),
        ]

    def test_missing_candidate_is_found_and_repaired(self, people: tuple[User, User]) -> None:
        execution = started(without_timeout(self.escalating()))
        Candidate.objects.filter(is_group=True).delete()
        assert [row.invariant for row in integrity.find_violations()] == ["I9"]
        run("repair_executions")
        assert integrity.find_violations() == []
        serve(days=2)
        assert execution.steps.open().get().assignees


class TestReminders:
    @pytest.fixture
    def execution(self) -> Execution:
        accounts(groups=["team"])
        for name in ("ada", "grace"):
            user = user_in("participant", username=name, email=f"{name}@example.com")
            user.groups.add(Group.objects.get(name="team"))
        user_in("participant", username="alan", email="")
        deadline = {
            "after": "P7D",
            "remind": ["P2D", "P1D"],
            "notify": {"to": ["boss@example.com"]},
        }
        assignees = {"groups": ["team"], "users": ["alan", "ada"]}
        return started(without_timeout(form_with(deadline, assignees=assignees)))

    def test_assignees_get_a_mail_for_each_reminder(self, execution: Execution) -> None:
        serve(days=4)
        assert mail.outbox == []
        serve(hours=25)
        [sent] = mail.outbox
        assert sent.to == ["ada@example.com", "grace@example.com"]
        assert sent.subject == "Reminder: Work"
        assert f"“Work” on “{execution.entity}” is due on" in sent.body
        step = execution.steps.open().get()
        assert (step.notice["state"], step.notice["reminder"], step.overdue) == (
            "sent",
            True,
            False,
        )
        serve(hours=24)
        assert len(mail.outbox) == 2
        serve(hours=24)
        assert mail.outbox[2].to == ["boss@example.com"]
        step.refresh_from_db()
        assert step.overdue and step.notice is not None and "reminder" not in step.notice
        ids = [sent.extra_headers["Message-ID"] for sent in mail.outbox]
        assert len(set(ids)) == 3, "mail servers drop a mail whose id they know"
        assert not Job.objects.exists()

    def test_missed_reminders_are_made_up_once(self, execution: Execution) -> None:
        serve(days=6, hours=2)
        assert len(mail.outbox) == 1
        assert execution.steps.open().get().overdue is False

    def test_no_reminder_is_sent_when_the_deadline_has_passed(self, execution: Execution) -> None:
        serve(days=8)
        assert [sent.to for sent in mail.outbox] == [["boss@example.com"]]

    def test_page_says_that_a_reminder_has_no_address(
        self, execution: Execution, admin_client: Browser
    ) -> None:
        User.objects.update(email="")
        serve(days=5, hours=1)
        page = admin_client.get(admin_url(Execution, "change", execution.pk)).content.decode()
        assert "The reminder could not be sent." in page
        assert "No assignee has an email address." in page
        notice = admin_client.get(f"/api/v1/executions/{execution.cuid}/").json()["open_steps"][0]
        assert notice["notice"]["reminder"] is True

    def test_postponed_deadline_moves_its_reminders(self, execution: Execution) -> None:
        until = execution.started_at + timedelta(days=20)
        services.postpone(execution, node="work", until=until, why="w")
        assert Job.objects.get().due_at == until - timedelta(days=2)
        serve(days=17)
        assert mail.outbox == []
