"""``manage.py import_legacy``: current steps of live executions."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from executions.models import Job
from tests.executions.legacy import (
    ImportData,
    client,
    execution,
    row,
    sample,
    with_endless_loop,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.sqlite,
    pytest.mark.usefixtures("invariants"),
]


def add_branches(data: dict[str, Any]) -> None:
    """Give workflow 9 two branches, a form and a mail, that meet at a join."""
    row(data, "versions", 91)["source"] = {
        "nodes": [
            {"id": "start", "type": "start"},
            {"id": "fork", "type": "parallel"},
            {
                "id": "attest",
                "type": "user_action",
                "data": {"fields": [{"name": "statement", "type": "text"}]},
            },
            {
                "id": "mail",
                "type": "notify",
                "data": {"to": ["ada@example.org"], "subject": "s", "body": "b"},
            },
            {"id": "join", "type": "join"},
            {"id": "end", "type": "end"},
        ],
        "edges": [
            {"source": "start", "target": "fork"},
            {"source": "fork", "target": "attest"},
            {"source": "fork", "target": "mail"},
            {"source": "attest", "target": "join"},
            {"source": "mail", "target": "join"},
            {"source": "join", "target": "end"},
        ],
    }


def test_branch_at_join_waits_for_other_branch(import_data: ImportData) -> None:
    data = sample()
    add_branches(data)
    row(data, "executions", 111)["current_nodes"] = [{"node": "join"}, {"node": "attest"}]
    assert import_data(data)["error"] == ""
    assert execution(111).steps.open().count() == 2
    running.submit(execution(111), node="attest", data={"statement": "so"})
    assert execution(111).status == "completed"


def test_version_with_endless_loop_is_imported(
    import_data: ImportData,
) -> None:
    data = sample()
    with_endless_loop(row(data, "versions", 91)["source"])
    assert import_data(data)["error"] == ""
    assert execution(111).status == "waiting"


def test_join_is_released_when_all_branches_have_reached_it(import_data: ImportData) -> None:
    data = sample()
    add_branches(data)
    row(data, "executions", 111)["current_nodes"] = [{"node": "join"}, {"node": "join"}]
    assert import_data(data)["error"] == ""
    assert execution(111).status == "completed"


def test_mail_step_becomes_incident(import_data: ImportData) -> None:
    data = sample()
    add_branches(data)
    row(data, "executions", 111)["current_nodes"] = [{"node": "mail"}, {"node": "attest"}]
    assert import_data(data)["error"] == ""
    step = execution(111).steps.get(node_id="mail")
    assert step.state == "incident" and step.incident["code"] == "imported"
    assert not Job.objects.filter(step=step).exists()
    sent = {"node": "mail", "why": "It was sent before."}
    response = client("operator").post(f"executions/{execution(111).cuid}/skip/", sent)
    assert response.status_code == 200, response.json()
    running.submit(execution(111), node="attest", data={"statement": "so"})
    assert execution(111).status == "completed"


def test_caller_continues_when_its_child_has_ended(
    import_data: ImportData,
) -> None:
    data = sample()
    row(data, "executions", 105).update(status="completed", current_nodes=[])
    assert import_data(data)["error"] == ""
    assert execution(104).status == "completed"
