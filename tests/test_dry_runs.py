"""Every edit of the API can be tried: the answer of the edit, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver

from executions import services as running
from executions.models import Entity, Execution
from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, drawn, form, line
from tests.workflows.api.clients import Client, assert_problem, client_of
from workflows import editing as drawing
from workflows.models import FindingType, PendingChange

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("laws")]

UNTRIED = {"WorkflowHookView", "StepHookView"}
"""What answers programs that deliver, and has no user who could ask first."""
ITEM_BY_ITEM = {"bulk_start", "bulk_cancel", "bulk_retry", "bulk_skip", "bulk_postpone"}
"""What tries each of its items by itself (``tests/executions/api/test_bulk.py``)."""


@pytest.fixture
def api(transactional_db: None) -> Client:
    return client_of(superuser=True)


def everything() -> dict[str, list[Any]]:
    """All that is stored in the tables of the house."""
    return {
        model._meta.label: sorted(map(repr, model._base_manager.values_list()))
        for app in ("workflows", "executions")
        for model in apps.get_app_config(app).get_models()
    }


Case = Callable[[Scenario], tuple[str, str, Any]]
FILLED_IN = {"node": "form", "data": {"note": "n"}}
POSTPONED = {"node": "nap", "until": "2099-06-01T00:00:00Z", "why": "later"}


def _incident(scenario: Scenario) -> Execution:
    drawn(scenario.callee, form("inner"))
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "n"})
    running.cancel(execution.children.get())
    return execution


def _sleeping(scenario: Scenario) -> Execution:
    drawn(scenario.caller, {"id": "nap", "type": "wait", "data": {"interval": "P1D"}})
    return scenario.start()


def _voting(scenario: Scenario) -> Execution:
    voter = get_user_model().objects.get().get_username()
    source = line({"id": "ok", "type": "approval", "data": {"users": [voter]}})
    source["edges"][1]["sourceHandle"] = "approved"
    source["edges"].append({"source": "ok", "target": "end", "sourceHandle": "rejected"})
    drawing.save_graph(scenario.caller, source, based_on=1)
    return scenario.start()


EDITS: dict[str, Case] = {
    "start": lambda s: (
        "post",
        "executions/",
        {"workflow": s.caller.cuid, "entity": s.finding.cuid},
    ),
    "submit": lambda s: ("post", f"executions/{s.start().cuid}/submit/", FILLED_IN),
    "draft": lambda s: ("post", f"executions/{s.start().cuid}/draft/", FILLED_IN),
    "cancel": lambda s: ("post", f"executions/{s.start().cuid}/cancel/", {}),
    "restart": lambda s: ("post", f"executions/{s.start().cuid}/restart/", {}),
    "retry": lambda s: ("post", f"executions/{_incident(s).cuid}/retry/", {"node": "call"}),
    "skip": lambda s: (
        "post",
        f"executions/{_incident(s).cuid}/skip/",
        {"node": "call", "why": "done by hand"},
    ),
    "postpone": lambda s: ("post", f"executions/{_sleeping(s).cuid}/postpone/", POSTPONED),
    "wake": lambda s: ("post", f"executions/{_sleeping(s).cuid}/wake/", {"node": "nap"}),
    "approve": lambda s: ("post", f"executions/{_voting(s).cuid}/approve/", {"node": "ok"}),
    "reject": lambda s: ("post", f"executions/{_voting(s).cuid}/reject/", {"node": "ok"}),
    "graph": lambda s: ("post", f"workflows/{s.caller.cuid}/1/", line(form("other"))),
    "change of type": lambda s: (
        "post",
        "workflows/change-entity-context/",
        {"workflows": [s.caller.cuid, s.callee.cuid], "entity_name_type": s.exception.cuid},
    ),
}
RECORDS: dict[str, Case] = {
    "create": lambda s: (
        "post",
        "workflows/",
        {"title": "t", "entity_name_type": s.limitation.cuid},
    ),
    "create a finding": lambda s: (
        "post",
        "findings/",
        {"title": "t", "entity_name_type": s.limitation.cuid},
    ),
    "patch": lambda s: ("patch", f"workflows/{s.caller.cuid}/", {"title": "t"}),
    "put": lambda s: ("put", f"finding-types/{s.exception.cuid}/", {"name": "t"}),
    "delete": lambda s: ("delete", f"finding-types/{s.exception.cuid}/", None),
    "withdraw": lambda s: ("delete", f"pending-changes/{_hold(s).cuid}/", None),
}


def _hold(scenario: Scenario) -> PendingChange:
    scenario.start()
    pending = scenario.hold().pending
    assert pending is not None
    return pending


def send(api: Client, method: str, path: str, body: Any) -> Any:
    return getattr(api, method)(path, body, headers={"If-Match": "*"})


def assert_tried(response: Any) -> None:
    assert response.status_code in (200, 204), response.content
    assert response["Dry-Run"] == "true"
    assert "ETag" not in response and "Location" not in response


@pytest.mark.parametrize("name", [*EDITS, *RECORDS])
def test_an_edit_that_is_tried_changes_nothing_and_can_then_be_made(
    api: Client, scenario: Scenario, name: str
) -> None:
    method, path, body = {**EDITS, **RECORDS}[name](scenario)
    before = everything()
    assert_tried(send(api, method, f"{path}?dry_run=true", body))
    assert everything() == before
    if name in EDITS:
        assert_tried(send(api, method, path, {**body, "dry_run": True}))
        assert everything() == before
    made = send(api, method, f"{path}?dry_run=false", body)
    assert made.status_code in (200, 201, 204), made.content
    assert "Dry-Run" not in made
    assert everything() != before


def test_the_answer_is_what_would_stand_afterwards(api: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    body = {**FILLED_IN, "dry_run": True}
    tried = api.post(f"executions/{execution.cuid}/submit/", body).json()
    assert (tried["status"], tried["entity"]["fields"]) == ("completed", {"note": "n"})
    execution.refresh_from_db()
    assert execution.status == "waiting"
    assert Entity.objects.get(pk=scenario.finding.pk).fields == {}


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [("submit", "execution_ended", 409), ("cancel", "execution_ended", 409)],
)
def test_a_refusal_is_the_same_and_is_not_told_to_the_log(
    api: Client, scenario: Scenario, name: str, code: str, status: int
) -> None:
    method, path, body = EDITS[name](scenario)
    running.cancel(Execution.objects.get())
    before = everything()
    assert_problem(send(api, method, path, {**body, "dry_run": True}), status, code)
    assert everything() == before
    assert_problem(send(api, method, path, body), status, code)


def test_what_blocks_is_named(api: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    before = everything()
    response = api.patch(
        f"workflows/{scenario.caller.cuid}/?dry_run=true",
        {"entity_name_type": scenario.exception.cuid},
        headers={"If-Match": "*"},
    )
    body = assert_problem(response, 400, "active_executions")
    assert [row["cuid"] for row in body["blockers"]["executions"]] == [execution.cuid]
    assert everything() == before


@pytest.mark.postgresql  # SQLite can only look through every table.
def test_what_the_database_would_refuse_at_the_commit_is_refused(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = FindingTypeFactory()

    def delete(row: Any) -> None:
        # A row without its user: what Django's own keys, which are deferred, find at the commit.
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO workflows_keptanswer (user_id, route, key, item, asked, status,"
                " headers, body, at) VALUES (0, '', '', 0, '', 0, '{}', '', now())"
            )

    monkeypatch.setattr(FindingType, "delete", delete)
    path = f"finding-types/{kind.cuid}/?dry_run=true"
    assert_problem(api.delete(path), 400, "database_refused")


def test_a_dry_run_that_is_none(api: Client, scenario: Scenario) -> None:
    start = EDITS["start"](scenario)[2]
    for path, body in (
        ("executions/?dry_run=maybe", start),
        ("executions/?dry_run=", start),
        ("executions/", {**start, "dry_run": "true"}),
        ("executions/", {**start, "dry_run": 1}),
    ):
        body = assert_problem(api.post(path, body), 400, "invalid")
        assert body["errors"][0]["pointer"] == "/dry_run"
    # A record has no such member.
    response = api.post("finding-types/", {"name": "t", "dry_run": True})
    assert_problem(response, 400, "unknown_field")
    assert not Execution.objects.exists()


def test_a_dry_run_keeps_no_key(api: Client, scenario: Scenario) -> None:
    start = EDITS["start"](scenario)[2]
    for path in ("executions/?dry_run=true", "executions/"):
        response = api.post(path, start, headers={"Idempotency-Key": "k"})
        assert "Idempotency-Replayed" not in response
    assert response.status_code == 201


def _views(patterns: Any) -> Any:
    for row in patterns:
        if isinstance(row, URLResolver):
            yield from _views(row.url_patterns)
        elif isinstance(row, URLPattern):
            yield row.callback


def test_no_edit_lacks_it() -> None:
    """Whatever takes an unsafe method is decorated; the next edit is not forgotten."""
    lacking = set()
    for view in _views(get_resolver().url_patterns):
        kind = getattr(view, "cls", getattr(view, "view_class", None))
        if kind is None or not kind.__module__.startswith(("workflows.api", "executions.api")):
            continue
        actions = getattr(view, "actions", None) or {
            method: method for method in kind.http_method_names if hasattr(kind, method)
        }
        for method, name in actions.items():
            is_edit = method in ("post", "put", "patch", "delete")
            if is_edit and not hasattr(getattr(kind, name), "can_be_tried"):
                lacking.add(name if actions.get(method) != method else kind.__name__)
    assert lacking == UNTRIED | ITEM_BY_ITEM
