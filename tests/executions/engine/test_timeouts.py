"""Deadlines: exits by ``timeout``, escalation and reminders."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.contrib.auth.models import Group
from django.core import mail
from django.test import Client as Browser

from executions import integrity, services
from executions.integrity.open_steps import check_jobs
from executions.models import (
    Execution,
    FormDraft,
    Job,
    JobKind,
    Secret,
    Status,
    Step,
    Visits,
)
from executions.models.job import TIMERS
from executions.worker import jobs, queue
from tests.commands import run
from tests.executions.engine.server import Server
from tests.executions.engine.test_branches import open_nodes, source, started, submit
from tests.executions.engine.test_patterns import FORM, Nodes, calling, with_callee
from tests.factories import accounts, user_in, voter
from workflows.admin.base.formatting import admin_url
from workflows.graph import WorkflowValidationError, parse

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both_databases,
    pytest.mark.usefixtures("invariants"),
]


def waiting(of: dict[str, Any], *exits: str) -> dict[str, Any]:
    """Return a graph that goes from ``work`` to ``late`` when its deadline passes."""
    nodes: Nodes = {"start": "start", "work": of, "late": FORM, "end": "end"}
    edges = [f"work{f'.{name}' if name else ''}>end" for name in exits or ("",)]
    return source(nodes, "start>work", *edges, "work.timeout>late", "late>end")


def form_with(deadline: Any, **data: Any) -> dict[str, Any]:
    return {"type": FORM, "data": {"label": "Work", "fields": [], "deadline": deadline, **data}}


def without_timeout(of: dict[str, Any]) -> dict[str, Any]:
    nodes: Nodes = {"start": "start", "work": of, "end": "end"}
    return source(nodes, "start>work", "work>end")


def pass_time(**lengths: int) -> None:
    """Let time pass for all open steps and their jobs."""
    length = timedelta(**lengths)
    for step in Step.objects.open().exclude(due_at=None):
        assert step.due_at is not None
        Step.objects.filter(pk=step.pk).update(due_at=step.due_at - length)
    for job in Job.objects.all():
        Job.objects.filter(pk=job.pk).update(due_at=job.due_at - length, leased_until=None)


def serve(**lengths: int) -> None:
    pass_time(**lengths)
    queue.serve_due()


class TestExit:
    def test_form_leaves_by_timeout_with_its_drafts(self) -> None:
        execution = started(waiting(form_with("P1D")))
        services.save_draft(execution, node="work", data={"x": 1}, by=user_in("participant"))
        serve(hours=23)
        assert open_nodes(execution) == {"work"}
        serve(hours=2)
        assert open_nodes(execution) == {"late"}
        step = execution.steps.get(node_id="work")
        assert (step.state, step.handle, step.overdue) == ("done", "timeout", False)
        assert step.output is not None and list(step.output) == ["timed_out_at"]
        assert step.closed_by is None
        assert not FormDraft.objects.exists() and not Job.objects.exists()
        assert submit(execution, "late").status == Status.COMPLETED

    def test_form_that_was_submitted_in_time_has_no_timeout(self) -> None:
        execution = started(waiting(form_with("P1D")))
        done = services.submit(execution, node="work", data={})
        assert (done.status, Job.objects.count()) == (Status.COMPLETED, 0)

    def test_form_with_actions_has_a_timeout_beside_them(self) -> None:
        actions = [{"handle": "yes", "label": "Yes"}, {"handle": "no", "label": "No"}]
        graph = waiting(form_with("P1D", actions=actions), "yes", "no")
        execution = started(graph)
        serve(days=2)
        assert open_nodes(execution) == {"late"}

    def test_approval_leaves_by_timeout_and_keeps_its_votes(self) -> None:
        ada = voter("ada")
        accounts(users=["grace"])
        data = {"users": ["ada", "grace"], "needed": 2, "deadline": "P1D"}
        graph = waiting({"type": "approval", "data": data}, "approved", "rejected")
        execution = started(graph)
        services.vote(execution, node="work", approves=True, by=ada)
        serve(days=2)
        step = execution.steps.get(node_id="work")
        assert (step.handle, step.votes.count()) == ("timeout", 1)
        assert open_nodes(execution) == {"late"}

    def test_webhook_leaves_by_timeout(self) -> None:
        Secret.objects.create(name="crm", encrypted="")
        data = {"secret": "crm", "deadline": "P1D"}
        execution = started(waiting({"type": "webhook", "data": data}))
        serve(days=2)
        assert open_nodes(execution) == {"late"}

    def test_call_leaves_by_timeout_and_cancels_its_child(self) -> None:
        caller, callee = with_callee("start>inner", "inner>end", inner=form_with("P9D"))
        call = calling(callee)
        call["data"] |= {"deadline": "P1D"}
        execution = started(waiting(call), caller)
        child = execution.children.get()
        assert execution.steps.open().get().due_at is not None
        serve(days=2)
        assert open_nodes(execution) == {"late"}
        child.refresh_from_db()
        assert child.status == Status.CANCELLED
        assert "deadline" in child.message
        assert not Job.objects.exists()

    def test_call_that_completes_in_time_keeps_no_deadline(self) -> None:
        caller, callee = with_callee("start>inner", "inner>end", inner=FORM)
        call = calling(callee)
        call["data"] |= {"deadline": "P1D"}
        execution = started(waiting(call), caller)
        submit(execution.children.get(), "inner")
        execution.refresh_from_db()
        assert (execution.status, Job.objects.count()) == (Status.COMPLETED, 0)

    def test_request_leaves_by_timeout_and_drops_a_late_response(self, server: Server) -> None:
        data = {"url": server.url(), "deadline": "P1D", "save_to": "answer"}
        execution = started(waiting({"type": "http_request", "data": data}))
        [job] = queue.claim_jobs()
        task = jobs.prepare_task(job, queue.LEASE)
        assert job.kind == JobKind.CALL and task is not None
        late = task.perform()
        serve(days=2)
        assert open_nodes(execution) == {"late"}
        assert jobs.finish_job(job, late) is False
        execution.entity.refresh_from_db()
        assert "answer" not in execution.entity.fields

    def test_request_between_two_attempts_leaves_by_timeout(self, server: Server) -> None:
        server.replies[0].status = 503
        data = {"url": server.url(), "deadline": "PT1S"}
        execution = started(waiting({"type": "http_request", "data": data}))
        [call] = queue.claim_jobs()
        queue.serve_job(call)
        pass_time(seconds=2)
        [deadline] = [job for job in queue.claim_jobs() if job.kind == JobKind.DEADLINE]
        assert queue.serve_job(deadline)
        assert open_nodes(execution) == {"late"}
        assert not Job.objects.exists()

    def test_skipped_step_may_leave_by_timeout(self) -> None:
        execution = started(waiting(form_with("P1D")))
        services.skip(execution, node="work", handle="timeout", why="Nobody is there.")
        assert open_nodes(execution) == {"late"}

    def test_postponed_deadline_passes_later(self) -> None:
        execution = started(waiting(form_with("P1D")))
        until = execution.started_at + timedelta(days=3)
        services.postpone(execution, node="work", until=until, why="Holidays.")
        serve(days=2)
        assert open_nodes(execution) == {"work"}
        serve(days=2)
        assert open_nodes(execution) == {"late"}


class TestOverdue:
    def test_request_is_overdue_and_goes_on(self, server: Server) -> None:
        data = {"url": server.url(), "deadline": "PT1S"}
        execution = started(without_timeout({"type": "http_request", "data": data}))
        [deadline] = [job for job in Job.objects.all() if job.kind == JobKind.DEADLINE]
        Job.objects.filter(pk=deadline.pk).update(due_at=execution.started_at)
        [deadline] = queue.claim_jobs(lane=TIMERS)
        assert queue.serve_job(deadline)
        assert execution.steps.open().get().overdue
        assert integrity.find_violations() == []
        queue.serve_due()
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    def test_postponed_request_keeps_its_call(self, server: Server) -> None:
        data = {"url": server.url(), "deadline": "P1D"}
        execution = started(without_timeout({"type": "http_request", "data": data}))
        until = execution.started_at + timedelta(days=3)
        services.postpone(execution, node="work", until=until, why="w")
        assert set(Job.objects.values_list("kind", flat=True)) == {"call", "deadline"}
        services.retry(execution, node="work")
        assert execution.steps.open().get().due_at == until
        queue.serve_due()
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    def test_call_is_overdue_and_waits_for_its_child(self) -> None:
        caller, callee = with_callee("start>inner", "inner>end", inner=FORM)
        call = calling(callee)
        call["data"] |= {"deadline": {"after": "P1D", "notify": {"to": ["ada@example.com"]}}}
        execution = started(without_timeout(call), caller)
        serve(days=2)
        assert execution.steps.open().get().overdue
        assert [sent.to for sent in mail.outbox] == [["ada@example.com"]]

    def test_missing_job_of_a_deadline_is_found_and_repaired(self, server: Server) -> None:
        data = {"url": server.url(), "deadline": "P1D"}
        execution = started(without_timeout({"type": "http_request", "data": data}))
        caller, callee = with_callee("start>inner", "inner>end", inner=FORM)
        call = calling(callee)
        call["data"] |= {"deadline": "P1D"}
        other = started(without_timeout(call), caller)
        Job.objects.filter(kind=JobKind.DEADLINE).delete()
        assert {row.cuid for row in check_jobs()} == {execution.cuid, other.cuid}
        run("repair_executions")
        assert list(check_jobs()) == []
        assert Job.objects.filter(kind=JobKind.DEADLINE).count() == 2


@pytest.mark.parametrize(
    ("deadline", "data", "pointer", "detail"),
    [
        (None, {}, "/nodes/1/data", "Set a deadline, or remove the edge."),
        ({"after": "P1D", "notify": {"to": ["a@example.com"]}}, {}, "/deadline/notify", "Remove"),
        (
            {"after": "P1D", "escalate": {"users": ["ada"]}},
            {"assignees": {"users": ["ada"]}},
            "/deadline/escalate",
            "Remove",
        ),
        ({"after": "P1D", "remind": ["PT1H"]}, {}, "/deadline/remind", "Set assignees"),
        ({"after": "P1D", "escalate": {}}, {}, "/deadline/escalate", "Choose who is added"),
        ({"after": "P1D", "remind": ["P1D"]}, {}, "/deadline/remind/0", "shorter"),
        ({"after": "P1D", "remind": ["soon"]}, {}, "/deadline/remind/0", "must be a duration"),
        (
            "P1D",
            {"actions": [{"handle": "timeout", "label": "Later"}]},
            "/actions/0/handle",
            "reserved",
        ),
    ],
)
def test_graph_is_refused_when_its_deadline_is_not_sound(
    deadline: Any, data: dict[str, Any], pointer: str, detail: str
) -> None:
    of = form_with(deadline, **data)
    if deadline is None:
        del of["data"]["deadline"]
    graph = waiting(of)
    if "actions" in data:
        graph["edges"] = [
            edge for edge in graph["edges"] if edge["sourceHandle"] or edge["source"] != "work"
        ]
    found = only_new(graph)
    assert found[0].endswith(pointer)
    assert detail in found[1]


def only_new(graph: dict[str, Any]) -> tuple[str, str]:
    """Return the only problem of a graph that is to be saved."""
    with pytest.raises(WorkflowValidationError) as caught:
        parse(graph, is_new=True)
    [problem] = caught.value.problems
    return problem.pointer, problem.detail


def test_visits_name_the_exit(admin_client: Browser) -> None:
    execution = started(waiting(form_with("P1D")))
    serve(days=2)
    assert [step.handle for step in Visits(execution) if step.node_id == "work"] == ["timeout"]
    page = admin_client.get(admin_url(Execution, "change", execution.pk)).content.decode()
    assert "Work, exit timeout: next late." in page


def documented_graphs() -> list[dict[str, Any]]:
    page = (Path(project.BASE_DIR) / "docs" / "how-to" / "patterns.md").read_text()
    section = page.partition("\n## Escalation\n")[2].partition("\n## ")[0]
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", section, re.DOTALL)]


@pytest.mark.parametrize("index", [0, 1])
def test_documented_escalation_lets_the_leads_decide(index: int) -> None:
    accounts(groups=["reviewers", "leads"])
    lead = voter("grace")
    lead.groups.add(Group.objects.get(name="leads"))
    execution = started(documented_graphs()[index])
    serve(days=8)
    step = execution.steps.open().get()
    done = services.submit(execution, step=step.cuid, data={}, by=lead)
    assert done.status == Status.COMPLETED
