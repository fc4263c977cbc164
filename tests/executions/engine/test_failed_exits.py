"""Exits ``failed`` of calls and HTTP requests, and ends that terminate the execution."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from executions import guards, services
from executions.engine import tree
from executions.models import Execution, FormDraft, Job, Status, Step, Visits
from executions.models.leased_row import ATTEMPTS
from executions.worker import jobs, queue
from tests.commands import run
from tests.executions.damage.target import change, unguarded
from tests.executions.engine.http_calls import make_due
from tests.executions.engine.server import Reply, Server
from tests.executions.engine.test_branches import open_nodes, source, started, submit
from tests.executions.engine.test_patterns import BOTH, FORM, Nodes, calling, with_callee
from tests.factories import WorkflowFactory, form, line, user_in
from tests.workflows.graphs import edge, node, problems
from workflows import editing
from workflows.graph import parse
from workflows.models import Workflow

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both_databases,
    pytest.mark.usefixtures("invariants"),
]
TERMINATE = {"type": "end", "data": {"terminate": True}}


def with_failed_exit(of: dict[str, Any]) -> dict[str, Any]:
    """Return a graph whose call leads to ``mend`` when it has failed."""
    nodes: Nodes = {"start": "start", "call": of, "mend": FORM, "end": "end"}
    return source(nodes, "start>call", "call>end", "call.failed>mend", "mend>end")


def request(server: Server, status: int = 200) -> dict[str, Any]:
    server.replies = [Reply(status)]
    return {"type": "http_request", "data": {"url": server.url()}}


def with_failing_callee(*waits: str) -> tuple[Workflow, Workflow]:
    """Return a caller, and a callee that fails after these forms."""
    caller = WorkflowFactory()
    callee = WorkflowFactory(entity_name_type=caller.entity_name_type)
    bad = {"id": "bad", "type": "fail", "data": {"message": "No."}}
    editing.save_graph(callee, line(*map(form, waits), last=bad), based_on=1)
    return caller, callee


def error_of(execution: Execution) -> dict[str, Any]:
    step = next(step for step in Visits(execution) if step.node_id == "call")
    assert (step.state, step.handle) == ("done", "failed")
    execution.refresh_from_db()
    error: dict[str, Any] = execution.variables["error"]
    assert step.output == {"error": error}
    return error


class TestCalls:
    def test_call_leaves_by_failed_when_the_child_fails(self) -> None:
        caller, callee = with_failing_callee("work")
        execution = started(with_failed_exit(calling(callee)), caller)
        child = execution.children.get()
        submit(child, "work")
        assert open_nodes(execution) == {"mend"}
        assert error_of(execution) == {
            "code": "child_failed",
            "message": "The child execution failed: No.",
            "execution": child.cuid,
        }
        execution.refresh_from_db()
        assert submit(execution, "mend").status == Status.COMPLETED

    def test_condition_reads_the_cause(self) -> None:
        caller, callee = with_failing_callee()
        rule = {"field": "$error", "op": "exists"}
        way = {"type": "condition", "data": {"branches": [{"handle": "yes", "rule": rule}]}}
        nodes: Nodes = {"start": "start", "call": calling(callee), "way": way}
        nodes |= {"mend": FORM, "end": "end"}
        edges = ("call>way", "call.failed>way", "way.yes>mend", "way.default>end", "mend>end")
        execution = started(source(nodes, "start>call", *edges), caller)
        assert open_nodes(execution) == {"mend"}

    def test_call_has_incident_when_the_cause_cannot_be_stored(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tree, "MAX_VARIABLES", 10)
        caller, callee = with_failing_callee()
        execution = started(with_failed_exit(calling(callee)), caller)
        assert execution.steps.open().get().state == "incident"

    def test_call_leaves_by_failed_when_the_child_is_cancelled(self) -> None:
        caller, callee = with_callee("start>work", "work>end", work=FORM)
        execution = started(with_failed_exit(calling(callee)), caller)
        services.cancel(execution.children.get(), why="Not needed.")
        assert open_nodes(execution) == {"mend"}
        assert error_of(execution)["code"] == "child_cancelled"

    def test_call_leaves_by_failed_when_the_child_fails_at_once(self) -> None:
        caller, callee = with_failing_callee()
        execution = started(with_failed_exit(calling(callee)), caller)
        assert open_nodes(execution) == {"mend"}
        assert execution.children.get().status == Status.FAILED

    def test_skipped_call_takes_the_exit_that_the_operator_names(self) -> None:
        caller, callee = with_callee("start>work", "work>end", work=FORM)
        execution = started(with_failed_exit(calling(callee)), caller)
        with pytest.raises(guards.NoSuchHandle, match="failed"):
            services.skip(execution, node="call", handle="other", why="w")
        services.skip(execution, node="call", handle="failed", why="w")
        assert open_nodes(execution) == {"mend"}
        assert execution.children.get().status == Status.CANCELLED
        again = started(with_failed_exit(calling(callee)), caller)
        services.skip(again, node="call", why="w")
        again.refresh_from_db()
        assert again.status == Status.COMPLETED

    def test_page_of_a_skip_offers_the_optional_exit(self) -> None:
        caller, callee = with_callee("start>work", "work>end", work=FORM)
        execution = started(with_failed_exit(calling(callee)), caller)
        browser = Browser()
        browser.force_login(user_in("operator", is_staff=True))
        step = execution.steps.open().get()
        args = [execution.pk, step.cuid, "skip"]
        url = reverse("admin:executions_execution_decide", args=args)
        assert '<option value="failed">' in browser.get(url).content.decode()
        browser.post(url, {"note": "w", "handle": ""})
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED


class TestRequests:
    def test_refused_call_leaves_by_failed(self, server: Server) -> None:
        execution = started(with_failed_exit(request(server, 404)))
        queue.serve_due()
        assert open_nodes(execution) == {"mend"}
        assert error_of(execution)["code"] == "call_refused"
        assert not Job.objects.exists()

    def test_call_leaves_by_failed_after_its_last_attempt(self, server: Server) -> None:
        execution = started(with_failed_exit(request(server, 500)))
        queue.serve_due()
        assert open_nodes(execution) == {"call"}
        for _ in range(ATTEMPTS):
            make_due()
            queue.serve_due()
        assert open_nodes(execution) == {"mend"}
        assert error_of(execution)["code"] == "call_failed"

    def test_lost_worker_leaves_by_failed(self, server: Server) -> None:
        execution = started(with_failed_exit(request(server)))
        Job.objects.update(attempt=ATTEMPTS)
        queue.serve_due()
        assert error_of(execution)["code"] == "worker_lost"

    def test_call_that_succeeded_has_incident_when_its_result_is_not_accepted(
        self, server: Server
    ) -> None:
        execution = started(with_failed_exit(request(server)))
        (job,) = queue.claim_jobs()
        jobs.store_result(job, {"value": {}})
        job.attempt = ATTEMPTS
        jobs.retry_job_later(job, "a defect")
        assert execution.steps.open().get().incident["code"] == "background"


class TestGraphs:
    def test_optional_exit_needs_another_next_step(self) -> None:
        graph = {
            "nodes": [node("start", "start"), node("call", "run_workflow", workflow="c")],
            "edges": [edge("start", "call"), edge("call", "end", "failed")],
        }
        graph["nodes"].append(node("end", "end"))
        with pytest.raises(Exception, match="has no next step"):
            parse(graph, is_new=True)
        # A stored graph may be older than the exit.
        assert parse(graph).exit("call").target == "end"

    def test_optional_exit_has_one_edge(self) -> None:
        graph = with_failed_exit({"type": "http_request", "data": {"url": "https://example.com"}})
        graph["edges"].append(edge("call", "end", "failed"))
        assert "more than one edge" in dict(problems(graph))["/edges/4/sourceHandle"]

    def test_api_describes_optional_exits(self, admin_client: Browser) -> None:
        found = admin_client.get("/api/v1/node-types/run_workflow/").json()
        assert (found["handles"], found["optional_handles"]) == ([], ["failed", "timeout"])


class TestTerminate:
    def test_terminating_end_cancels_what_is_open(self) -> None:
        caller, callee = with_callee("start>work", "work>end", work=FORM)
        nodes: Nodes = {**BOTH, "stop": TERMINATE, "called": calling(callee), "join": "join"}
        nodes["wait"] = {"type": "wait", "data": {"interval": "P1D"}}
        branches = ("fork>a", "fork>b", "fork>called", "fork>wait")
        rest = ("b>join", "called>join", "wait>join", "join>end")
        execution = started(source(nodes, "start>fork", *branches, "a>stop", *rest), caller)
        services.save_draft(execution, node="b", data={"note": "x"}, by=user_in("participant"))
        done = submit(execution, "a")
        assert (done.status, done.message) == (Status.COMPLETED, "")
        assert not Step.objects.open().exists()
        assert execution.children.get().status == Status.CANCELLED
        assert not Job.objects.exists()
        assert not FormDraft.objects.exists()
        states = {step.node_id: step.state for step in Visits(execution)}
        assert (states["b"], states["stop"]) == ("cancelled", "done")

    def test_caller_continues_when_its_child_terminates(self) -> None:
        caller, callee = with_callee(
            "start>fork",
            "fork>work",
            "fork>stop",
            "work>end",
            fork="parallel",
            work=FORM,
            stop=TERMINATE,
        )
        nodes: Nodes = {"start": "start", "call": calling(callee), "end": "end"}
        execution = started(source(nodes, "start>call", "call>end"), caller)
        assert execution.status == Status.COMPLETED
        assert execution.children.get().status == Status.COMPLETED


@pytest.mark.django_db(transaction=True)
def test_repair_restores_the_status_of_a_terminated_execution() -> None:
    nodes: Nodes = {**BOTH, "stop": TERMINATE}
    execution = started(source(nodes, "start>fork", "fork>a", "fork>b", "a>stop", "b>end"))
    submit(execution, "a")
    with unguarded():
        change(execution, status=Status.WAITING)
    run("repair_executions", execution.cuid)
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED
