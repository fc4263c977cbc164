"""Dry runs: every edit of the API answers as the edit would, and changes nothing."""

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
from tests.factories import FindingTypeFactory, form, line, save_line
from tests.workflows.api.clients import Client, assert_problem, client_of
from workflows import editing
from workflows.models import FindingType, PendingChange

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.sqlite,
    pytest.mark.usefixtures("invariants"),
]

WITHOUT_DRY_RUN = {"WorkflowWebhookView", "StepWebhookView"}
"""Views for incoming webhooks, which have no user."""
ITEM_BY_ITEM = {
    "bulk_start",
    "bulk_cancel",
    "bulk_retry",
    "bulk_skip",
    "bulk_postpone",
    "bulk_move",
    "bulk",
}
"""Bulk views with a dry run per item (``tests/executions/api/test_bulk.py``)."""


@pytest.fixture
def api(transactional_db: None) -> Client:
    return client_of(superuser=True)


def all_rows() -> dict[str, list[Any]]:
    """Return all rows of all tables."""
    return {
        model._meta.label: sorted(map(repr, model._base_manager.values_list()))
        for app in ("workflows", "executions")
        for model in apps.get_app_config(app).get_models()
    }


Case = Callable[[Scenario], tuple[str, str, Any]]
FORM = {"node": "form", "data": {"note": "n"}}
POSTPONED = {"node": "nap", "until": "2099-06-01T00:00:00Z", "why": "later"}


def _incident(scenario: Scenario) -> Execution:
    save_line(scenario.callee, form("inner"))
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "n"})
    running.cancel(execution.children.get())
    return execution


def _sleeping(scenario: Scenario) -> Execution:
    save_line(scenario.caller, {"id": "nap", "type": "wait", "data": {"interval": "P1D"}})
    return scenario.start()


def _claimed(scenario: Scenario) -> Execution:
    return running.claim(scenario.start(), node="form", by=get_user_model().objects.get())


def _voting(scenario: Scenario) -> Execution:
    voter = get_user_model().objects.get().get_username()
    source = line({"id": "ok", "type": "approval", "data": {"users": [voter]}})
    source["edges"][1]["sourceHandle"] = "approved"
    source["edges"].append({"source": "ok", "target": "end", "sourceHandle": "rejected"})
    editing.save_graph(scenario.caller, source, based_on=1)
    return scenario.start()


EDITS: dict[str, Case] = {
    "start": lambda s: (
        "post",
        "executions/",
        {"workflow": s.caller.cuid, "entity": s.finding.cuid},
    ),
    "submit": lambda s: ("post", f"executions/{s.start().cuid}/submit/", FORM),
    "draft": lambda s: ("post", f"executions/{s.start().cuid}/draft/", FORM),
    "cancel": lambda s: ("post", f"executions/{s.start().cuid}/cancel/", {}),
    "restart": lambda s: ("post", f"executions/{s.start().cuid}/restart/", {}),
    "retry": lambda s: ("post", f"executions/{_incident(s).cuid}/retry/", {"node": "call"}),
    "skip": lambda s: (
        "post",
        f"executions/{_incident(s).cuid}/skip/",
        {"node": "call", "why": "done by hand"},
    ),
    "postpone": lambda s: ("post", f"executions/{_sleeping(s).cuid}/postpone/", POSTPONED),
    "claim": lambda s: ("post", f"executions/{s.start().cuid}/claim/", {"node": "form"}),
    "unclaim": lambda s: ("post", f"executions/{_claimed(s).cuid}/unclaim/", {"node": "form"}),
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


def assert_dry_run(response: Any) -> None:
    assert response.status_code in (200, 204), response.content
    assert response["Dry-Run"] == "true"
    assert "ETag" not in response and "Location" not in response


@pytest.mark.parametrize("name", [*EDITS, *RECORDS])
def test_dry_run_changes_nothing_and_the_edit_succeeds_afterwards(
    api: Client, scenario: Scenario, name: str
) -> None:
    method, path, body = {**EDITS, **RECORDS}[name](scenario)
    before = all_rows()
    assert_dry_run(send(api, method, f"{path}?dry_run=true", body))
    assert all_rows() == before
    if name in EDITS:
        assert_dry_run(send(api, method, path, {**body, "dry_run": True}))
        assert all_rows() == before
    made = send(api, method, f"{path}?dry_run=false", body)
    assert made.status_code in (200, 201, 204), made.content
    assert "Dry-Run" not in made
    assert all_rows() != before


def test_dry_run_shows_the_result(api: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    body = {**FORM, "dry_run": True}
    preview = api.post(f"executions/{execution.cuid}/submit/", body).json()
    assert (preview["status"], preview["entity"]["fields"]) == ("completed", {"note": "n"})
    execution.refresh_from_db()
    assert execution.status == "waiting"
    assert Entity.objects.get(pk=scenario.finding.pk).fields == {}


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [("submit", "execution_ended", 409), ("cancel", "execution_ended", 409)],
)
def test_refused_dry_run_has_the_same_problem_and_is_not_recorded(
    api: Client, scenario: Scenario, name: str, code: str, status: int
) -> None:
    method, path, body = EDITS[name](scenario)
    running.cancel(Execution.objects.get())
    before = all_rows()
    assert_problem(send(api, method, path, {**body, "dry_run": True}), status, code)
    assert all_rows() == before
    assert_problem(send(api, method, path, body), status, code)


def test_refused_dry_run_names_the_blockers(api: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    before = all_rows()
    response = api.patch(
        f"workflows/{scenario.caller.cuid}/?dry_run=true",
        {"entity_name_type": scenario.exception.cuid},
        headers={"If-Match": "*"},
    )
    body = assert_problem(response, 400, "active_executions")
    assert [row["cuid"] for row in body["blockers"]["executions"]] == [execution.cuid]
    assert all_rows() == before


@pytest.mark.postgresql  # SQLite checks deferred keys only by reading every table.
def test_dry_run_runs_the_checks_of_the_commit(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = FindingTypeFactory()

    def delete(row: Any) -> None:
        # Django's deferred key to the user finds this row at the commit.
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO workflows_keptanswer (user_id, route, key, item, asked, status,"
                " headers, body, at) VALUES (0, '', '', 0, '', 0, '{}', '', now())"
            )

    monkeypatch.setattr(FindingType, "delete", delete)
    path = f"finding-types/{kind.cuid}/?dry_run=true"
    assert_problem(api.delete(path), 400, "database_refused")


def test_invalid_dry_run_values_are_refused(api: Client, scenario: Scenario) -> None:
    start = EDITS["start"](scenario)[2]
    for path, body in (
        ("executions/?dry_run=maybe", start),
        ("executions/?dry_run=", start),
        ("executions/", {**start, "dry_run": "true"}),
        ("executions/", {**start, "dry_run": 1}),
    ):
        body = assert_problem(api.post(path, body), 400, "invalid")
        assert body["errors"][0]["pointer"] == "/dry_run"
    # Records have no member dry_run.
    response = api.post("finding-types/", {"name": "t", "dry_run": True})
    assert_problem(response, 400, "unknown_field")
    assert not Execution.objects.exists()


def test_dry_run_stores_no_idempotency_key(api: Client, scenario: Scenario) -> None:
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


def test_every_edit_supports_dry_run() -> None:
    """Every unsafe method of the API is decorated."""
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
            if is_edit and not hasattr(getattr(kind, name), "supports_dry_run"):
                lacking.add(name if actions.get(method) != method else kind.__name__)
    assert lacking == WITHOUT_DRY_RUN | ITEM_BY_ITEM
