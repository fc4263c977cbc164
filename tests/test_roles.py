"""Permissions of every role at every route of the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.factories import line
from tests.people import (
    ADMINISTRATORS,
    ANONYMOUS,
    COMMENTERS,
    DESIGNERS,
    EVERYBODY,
    KNOWN,
    OPERATORS,
    PARTICIPANTS,
    READERS,
    Samples,
    create_samples,
    roll_back,
    views,
)
from tests.workflows.api.clients import Client
from workflows import editing
from workflows_project.api.problems import route_not_found

pytestmark = pytest.mark.django_db

PUBLIC = {ANONYMOUS, *KNOWN}
AUTOMATIC_METHODS = {"head", "options"}
"""Methods that views have without declaring them. They need no more than reading."""


@dataclass(frozen=True)
class Row:
    """A request, the roles that may send it, and their status. Others get 401 or 403."""

    may: set[str]
    status: int
    path: Callable[[Samples], str] | str
    body: Any = None

    def expected(self, who: str) -> int:
        if who in self.may:
            return self.status
        return 401 if who == ANONYMOUS else 403

    def send(self, client: Client, method: str, made: Samples) -> int:
        path = self.path if isinstance(self.path, str) else self.path(made)
        body = self.body(made) if callable(self.body) else self.body
        if method == "GET":
            return int(client.get(path).status_code)
        request = getattr(client, method.lower())
        is_form = isinstance(body, dict) and "file" in body
        kind = "multipart" if is_form else None
        return int(request(path, body, format=kind, headers={"If-Match": "*"}).status_code)


def _typed(made: Samples) -> dict[str, Any]:
    return {"title": "t", "entity_name_type": made.kind.cuid}


def _start(made: Samples) -> dict[str, Any]:
    return {"workflow": made.workflow.cuid, "entity": made.finding.cuid}


def _change(made: Samples) -> dict[str, Any]:
    return {
        "workflows": [made.unused_workflow.cuid],
        "entity_name_type": made.unused_kind.cuid,
    }


POSTPONEMENT = {"node": "nap", "until": "2099-06-01T00:00:00Z", "why": "w"}
FORM = {"node": "form", "data": {"note": "n"}}


def _items(of: str, **more: Any) -> Callable[[Samples], Any]:
    return lambda made: {"items": [{"execution": getattr(made, of).cuid, **more}]}


def _to_move(made: Samples) -> dict[str, Any]:
    workflow = made.at_a_form.workflow
    source = {**workflow.latest_version.source, "edges": [*workflow.latest_version.source["edges"]]}
    source["nodes"] = [
        {**node, "data": {**node.get("data", {}), "label": "Renamed"}} for node in source["nodes"]
    ]
    editing.save_graph(workflow, source, based_on=workflow.latest_version.number)
    return {"items": [{"execution": made.at_a_form.cuid, "why": "w"}]}


def _at(route: str, of: str, *more: str) -> Callable[[Samples], str]:
    return lambda made: "/".join([route, getattr(made, of).cuid, *more, ""])


def _file(*more: str) -> Callable[[Samples], str]:
    return lambda made: "/".join(
        ["executions", made.at_a_form.cuid, "files", made.file.cuid, *more, ""]
    )


def _upload(made: Samples) -> dict[str, Any]:
    return {"file": SimpleUploadedFile("a.txt", b"x"), "field": "report", "node": "form"}


def _comment(*more: str) -> Callable[[Samples], str]:
    return lambda made: "/".join(
        ["executions", made.at_a_form.cuid, "comments", made.comment.cuid, *more, ""]
    )


def _records(
    name: str, route: str, of: str, may: set[str], body: Any, sees: set[str] = READERS
) -> dict[str, Row]:
    """Return the rows of the routes that create, read, change and delete a record."""
    one = _at(route, of)
    return {
        f"GET {name}-list": Row(sees, 200, f"{route}/"),
        f"POST {name}-list": Row(may, 201, f"{route}/", body),
        f"GET {name}-detail": Row(sees, 200, one),
        f"PUT {name}-detail": Row(may, 200, one, body),
        f"PATCH {name}-detail": Row(may, 200, one, {}),
        f"DELETE {name}-detail": Row(may, 204, one),
    }


ROUTES: dict[str, Row] = {
    # Authenticated users
    "GET api-root": Row(KNOWN, 200, ""),
    "GET schema": Row(KNOWN, 200, "schema/"),
    "GET docs": Row(KNOWN, 200, "docs/"),
    "GET redoc": Row(KNOWN, 200, "redoc/"),
    "GET node-type-list": Row(KNOWN, 200, "node-types/"),
    "GET node-type-detail": Row(KNOWN, 200, "node-types/start/"),
    "GET status": Row(KNOWN, 200, "status/"),
    "GET me": Row(KNOWN, 200, "me/"),
    "GET token-list": Row(KNOWN, 200, "tokens/"),
    "POST token-list": Row(KNOWN, 201, "tokens/"),
    "DELETE token-list": Row(KNOWN, 204, "tokens/"),
    "DELETE token-detail": Row(KNOWN, 404, "tokens/0123456789abcdef/"),
    # Incoming webhooks, authenticated by their signature
    "POST workflow-hook": Row(PUBLIC, 404, _at("workflows", "workflow", "hook"), {}),
    "POST step-hook": Row(PUBLIC, 404, "/hooks/nothing/", {}),
    # Definitions
    **_records("finding-type", "finding-types", "unused_kind", DESIGNERS, {"name": "n"}),
    **_records("record-type", "record-types", "unused_record_type", DESIGNERS, {"name": "n"}),
    **_records(
        "workflow",
        "workflows",
        "unused_workflow",
        DESIGNERS,
        lambda made: {
            "title": "t",
            "entity_name_type": made.unused_workflow.entity_name_type.cuid,
        },
    ),
    "GET version-list": Row(READERS, 200, _at("workflows", "workflow", "versions")),
    "GET version-detail": Row(READERS, 200, _at("workflows", "workflow", "1")),
    "POST version-detail": Row(DESIGNERS, 200, _at("workflows", "unused_workflow", "1"), line()),
    "GET workflow-occurrences": Row(READERS, 200, _at("workflows", "workflow", "occurrences")),
    "GET workflow-dependencies": Row(READERS, 200, _at("workflows", "workflow", "dependencies")),
    "GET workflow-impact": Row(
        READERS,
        200,
        lambda made: (
            f"workflows/{made.workflow.cuid}/impact/?entity_name_type={made.unused_kind.cuid}"
        ),
    ),
    "POST workflow-change-entity-context": Row(
        OPERATORS, 200, "workflows/change-entity-context/", _change
    ),
    "GET pending-change-list": Row(READERS, 200, "pending-changes/"),
    "GET pending-change-detail": Row(READERS, 200, _at("pending-changes", "pending")),
    "DELETE pending-change-detail": Row(OPERATORS, 204, _at("pending-changes", "pending")),
    # Executions
    **_records("finding", "findings", "unused_finding", OPERATORS, _typed),
    **_records(
        "inventory-model",
        "inventory-models",
        "unused_model",
        OPERATORS,
        lambda made: {"title": "t", "record_type": made.unused_record_type.cuid},
    ),
    "POST finding-bulk": Row(
        OPERATORS,
        200,
        "findings/bulk/",
        lambda made: {"items": [{**_typed(made), "external_id": "GRC-1"}]},
    ),
    "GET execution-list": Row(READERS, 200, "executions/"),
    "GET execution-mine": Row(READERS, 200, "executions/mine/"),
    "GET execution-detail": Row(READERS, 200, _at("executions", "at_a_form")),
    "GET execution-steps": Row(READERS, 200, _at("executions", "at_a_form", "steps")),
    "GET comment-list": Row(READERS, 200, _at("executions", "at_a_form", "comments")),
    "GET comment-detail": Row(READERS, 200, _comment()),
    "POST comment-list": Row(
        COMMENTERS, 201, _at("executions", "at_a_form", "comments"), {"text": "t"}
    ),
    # The others are not its author.
    "POST comment-withdraw": Row(OPERATORS, 200, _comment("withdraw"), {"why": "w"}),
    "GET file-list": Row(READERS, 200, _at("executions", "at_a_form", "files")),
    "GET file-detail": Row(READERS, 200, _file()),
    "GET file-content": Row(READERS, 200, _file("content")),
    # The form has no field for files.
    "POST file-list": Row(PARTICIPANTS, 400, _at("executions", "at_a_form", "files"), _upload),
    "POST execution-list": Row(OPERATORS, 201, "executions/", _start),
    "POST execution-bulk-start": Row(
        OPERATORS, 200, "executions/bulk/start/", lambda made: {"items": [_start(made)]}
    ),
    "POST execution-submit": Row(PARTICIPANTS, 200, _at("executions", "at_a_form", "submit"), FORM),
    "POST execution-draft": Row(PARTICIPANTS, 200, _at("executions", "at_a_form", "draft"), FORM),
    **{
        f"POST execution-{vote}": Row(
            PARTICIPANTS, 200, _at("executions", "at_a_vote", vote), {"node": "vote"}
        )
        for vote in ("approve", "reject")
    },
    "POST execution-wake": Row(
        OPERATORS, 200, _at("executions", "asleep", "wake"), {"node": "nap"}
    ),
    **{
        f"POST execution-{name}": Row(
            OPERATORS,
            200,
            _at("executions", "in_an_incident", name),
            {"node": "call", "why": "w"},
        )
        for name in ("retry", "skip")
    },
    "POST execution-postpone": Row(
        OPERATORS, 200, _at("executions", "asleep", "postpone"), POSTPONEMENT
    ),
    "POST execution-bulk-skip": Row(
        OPERATORS, 200, "executions/bulk/skip/", _items("in_an_incident", node="call", why="w")
    ),
    "POST execution-bulk-postpone": Row(
        OPERATORS, 200, "executions/bulk/postpone/", _items("asleep", **POSTPONEMENT)
    ),
    "POST execution-claim": Row(
        PARTICIPANTS, 200, _at("executions", "at_a_form", "claim"), {"node": "form"}
    ),
    # Nobody has claimed the step. Others may unclaim their own claims.
    "POST execution-unclaim": Row(
        OPERATORS, 409, _at("executions", "at_a_form", "unclaim"), {"node": "form", "why": "w"}
    ),
    "POST execution-move": Row(
        OPERATORS, 200, _at("executions", "at_a_form", "move"), {"dry_run": True}
    ),
    "GET execution-moves": Row(READERS, 200, _at("executions", "at_a_form", "moves")),
    "POST execution-bulk-move": Row(OPERATORS, 200, "executions/bulk/move/", _to_move),
    "POST execution-reassign": Row(
        OPERATORS,
        200,
        _at("executions", "at_a_form", "reassign"),
        {"node": "form", "groups": ["participant"], "why": "w"},
    ),
    "POST execution-bulk-retry": Row(
        OPERATORS, 200, "executions/bulk/retry/", _items("in_an_incident", node="call")
    ),
    "POST execution-restart": Row(OPERATORS, 201, _at("executions", "asleep", "restart")),
    "POST execution-cancel": Row(OPERATORS, 200, _at("executions", "asleep", "cancel")),
    "POST execution-bulk-cancel": Row(OPERATORS, 200, "executions/bulk/cancel/", _items("asleep")),
    "GET task-list": Row(READERS, 200, "tasks/"),
    # Webhooks
    **_records(
        "webhook",
        "webhooks",
        "webhook",
        ADMINISTRATORS,
        {"url": "https://hooks.example/", "events": ["change.applied"]},
        sees=OPERATORS,
    ),
    "POST webhook-rotate-secret": Row(
        ADMINISTRATORS, 200, _at("webhooks", "webhook", "rotate-secret")
    ),
    "POST webhook-test": Row(ADMINISTRATORS, 201, _at("webhooks", "webhook", "test")),
    "GET webhook-deliveries": Row(OPERATORS, 200, _at("webhooks", "webhook", "deliveries")),
    "GET webhook-delivery-detail": Row(OPERATORS, 200, _at("webhook-deliveries", "delivery")),
    "POST webhook-delivery-redeliver": Row(
        OPERATORS, 200, _at("webhook-deliveries", "delivery", "redeliver")
    ),
    # Audit log
    "GET audit-list": Row(ADMINISTRATORS, 200, "audit/"),
    "GET audit-detail": Row(ADMINISTRATORS, 200, lambda made: f"audit/{made.entry.pk}/"),
}


def test_table_has_every_route() -> None:
    found = set()
    for space, name, view in views():
        view_class = getattr(view, "cls", getattr(view, "view_class", None))
        if view is route_not_found or (space != "api" and name != "step-hook"):
            continue
        methods = getattr(view, "actions", None) or {
            method for method in view_class.http_method_names if hasattr(view_class, method)
        }
        found |= {f"{method.upper()} {name}" for method in set(methods) - AUTOMATIC_METHODS}
    assert found == set(ROUTES)


@pytest.mark.parametrize("who", EVERYBODY)
def test_role_has_expected_statuses(who: str, settings: Any) -> None:
    made = create_samples(settings)
    client = Client()
    if who != ANONYMOUS:
        client.force_login(made.users[who])
    statuses = {}
    for name, row in ROUTES.items():
        with roll_back():
            statuses[name] = row.send(client, name.split()[0], made)
    assert statuses == {name: row.expected(who) for name, row in ROUTES.items()}


def test_type_change_needs_both_permissions(settings: Any) -> None:
    made = create_samples(settings)
    path = f"workflows/{made.unused_workflow.cuid}/"
    for who, expected in (("designer", 403), ("operator", 403), ("administrator", 200)):
        client = Client()
        client.force_login(made.users[who])
        changed = {"entity_name_type": made.unused_kind.cuid}
        with roll_back():
            response = client.patch(path, changed, headers={"If-Match": "*"})
            assert response.status_code == expected, who
    client.force_login(made.users["designer"])
    same = {"entity_name_type": made.unused_workflow.entity_name_type.cuid, "title": "t"}
    assert client.patch(path, same, headers={"If-Match": "*"}).status_code == 200
