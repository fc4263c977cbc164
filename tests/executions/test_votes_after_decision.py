"""Votes and their notes can be read after the approval was decided, skipped or cancelled."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from executions import services
from executions.models import Execution
from tests.executions.engine.test_branches import started
from tests.executions.test_decisions import approval_graph
from tests.factories import voter
from tests.workflows.admin.staff import VIEW, page, staff, text
from tests.workflows.api.clients import client_of
from workflows.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


@pytest.fixture
def people() -> list[User]:
    return [voter(name) for name in ("ada", "grace")]


def vote(execution: Execution, user: User, notes: str, *, approves: bool = True) -> None:
    services.vote(execution, node="vote", approves=approves, by=user, notes=notes)


def decide(execution: Execution, people: list[User]) -> None:
    vote(execution, people[1], "so do I")


def reject(execution: Execution, people: list[User]) -> None:
    vote(execution, people[1], "not yet", approves=False)


def skip(execution: Execution, people: list[User]) -> None:
    people[1].is_active = False
    people[1].save()
    services.skip(execution, node="vote", handle="approved", why="grace has left")


def cancel(execution: Execution, people: list[User]) -> None:
    services.cancel(execution, why="a mistake")


ENDINGS = [decide, reject, skip, cancel]


@pytest.mark.parametrize("end", ENDINGS, ids=lambda one: one.__name__)
def test_vote_is_readable_on_each_interface_when_step_is_closed(
    people: list[User], end: Callable[[Execution, list[User]], None]
) -> None:
    execution = started(approval_graph(users=["ada", "grace"], needed=2))
    vote(execution, people[0], "I have read it")
    end(execution, people)
    assert not execution.steps.open().filter(node_id="vote").exists()
    api = client_of(superuser=True)
    path = f"executions/{execution.cuid}/steps/"
    (step,) = (row for row in api.get(path).json()["results"] if row["node"] == "vote")
    first = step["votes"][0]
    assert (first["user"], first["approves"], first["notes"]) == ("ada", True, "I have read it")
    assert first["at"]
    table = csv.DictReader(io.StringIO(read_votes(api.get(path, headers={"Accept": "text/csv"}))))
    (row,) = (row for row in table if row["node"] == "vote")
    assert "I have read it" in row["votes"] and "ada" in row["votes"]
    page_text = text(staff(*VIEW).get(page(execution)))
    assert "I have read it" in page_text[page_text.index("History") :]
    entry = AuditEntry.objects.filter(action="voted").earliest("id")
    assert (entry.who, entry.cuid) == ("ada", execution.cuid)
    assert entry.after == {"node": "vote", "approves": True, "notes": "I have read it"}


def read_votes(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


def test_changed_vote_stays_in_audit_log(people: list[User]) -> None:
    execution = started(approval_graph(users=["ada", "grace"], needed=2))
    vote(execution, people[0], "fine")
    vote(execution, people[0], "on second thoughts", approves=False)
    newest = AuditEntry.objects.filter(action="voted").latest("id")
    assert newest.before == {"approves": True, "notes": "fine"}
    assert newest.after == {"node": "vote", "approves": False, "notes": "on second thoughts"}


def test_votes_of_each_visit_are_separate(people: list[User]) -> None:
    first = started(approval_graph(users=["ada", "grace"], needed=2))
    vote(first, people[0], "the first")
    services.restart(first)
    again = Execution.objects.latest("pk")
    vote(again, people[0], "the second")
    api = client_of(superuser=True)
    for execution, notes in ((first, "the first"), (again, "the second")):
        rows = api.get(f"executions/{execution.cuid}/steps/").json()["results"]
        found = [vote["notes"] for row in rows for vote in row["votes"]]
        assert found == [notes]
