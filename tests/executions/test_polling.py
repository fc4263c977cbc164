"""``updated_at`` changes with every change of an execution, for clients that poll."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from executions import services
from executions.models import Execution, Status
from tests.executions.engine.test_branches import started
from tests.executions.test_decisions import approval_graph
from tests.factories import (
    FindingFactory,
    UserFactory,
    WorkflowFactory,
    accounts,
    call,
    form,
    line,
    save_line,
    voter,
)
from tests.workflows.api.clients import client_of
from workflows import editing
from workflows.db import clock

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both_databases,
    pytest.mark.usefixtures("invariants"),
]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], datetime]:
    """Return a function that lets an hour pass and returns the new time."""
    moment = timezone.now()

    def passed() -> datetime:
        nonlocal moment
        moment += timedelta(hours=1)
        monkeypatch.setattr(timezone, "now", lambda: moment)
        monkeypatch.setattr(clock, "now", lambda: moment)
        return moment

    return passed


@pytest.fixture
def tree(later: Callable[[], datetime]) -> list[Execution]:
    """Return a root with a child and a grandchild, which waits at a form, then at an approval."""
    for name in ("ada", "bob"):
        voter(name)
    kind = WorkflowFactory().entity_name_type
    lowest = WorkflowFactory(entity_name_type=kind)
    approval = {"id": "vote", "type": "approval", "data": {"users": ["ada", "bob"], "needed": 2}}
    source = line(form(), form("more"))
    source["nodes"].insert(-1, approval)
    source["nodes"].append({"id": "no", "type": "fail"})
    source["edges"][-1] = {"source": "more", "target": "vote"}
    source["edges"] += [
        {"source": "vote", "target": "end", "sourceHandle": "approved"},
        {"source": "vote", "target": "no", "sourceHandle": "rejected"},
    ]
    editing.save_graph(lowest, source, based_on=1)
    middle = WorkflowFactory(entity_name_type=kind)
    save_line(middle, call(lowest))
    top = WorkflowFactory(entity_name_type=kind)
    save_line(top, call(middle))
    services.start(top, FindingFactory(entity_name_type=kind))
    later()
    return list(Execution.objects.order_by("pk"))


def polled(since: datetime) -> set[str]:
    query = {"updated_after": since.isoformat(), "fields": "cuid"}
    rows = client_of(superuser=True).get("executions/", query).json()["results"]
    return {row["cuid"] for row in rows}


def test_updated_at_of_a_child_changes_when_it_continues(
    tree: list[Execution], later: Callable[[], datetime]
) -> None:
    _root, middle, lowest = tree
    for node in ("form", "more"):
        since = later()
        services.submit(lowest, node=node, data={"note": "n"})
        found = polled(since)
        assert lowest.cuid in found
        # Its ancestors have not changed.
        assert middle.cuid not in found


def test_updated_at_of_a_child_changes_with_an_undecided_vote(
    tree: list[Execution], later: Callable[[], datetime]
) -> None:
    *_, lowest = tree
    ada, bob = User.objects.get(username="ada"), User.objects.get(username="bob")
    for node in ("form", "more"):
        services.submit(lowest, node=node, data={"note": "n"})
    since = later()
    services.vote(lowest, node="vote", approves=True, by=ada)
    assert lowest.cuid in polled(since)
    since = later()
    services.vote(lowest, node="vote", approves=True, by=bob)
    # All executions have ended.
    assert polled(since) == {row.cuid for row in tree}
    assert Execution.objects.get(pk=tree[0].pk).status == Status.COMPLETED


def test_updated_at_of_a_whole_tree_changes_when_it_is_cancelled(
    tree: list[Execution], later: Callable[[], datetime]
) -> None:
    since = later()
    services.cancel(tree[0])
    assert polled(since) == {row.cuid for row in tree}


def test_updated_at_of_the_caller_changes_when_its_child_is_cancelled(
    tree: list[Execution], later: Callable[[], datetime]
) -> None:
    _root, middle, lowest = tree
    since = later()
    services.cancel(lowest)
    assert {middle.cuid, lowest.cuid} <= polled(since)


def test_updated_at_does_not_change_with_a_draft(
    tree: list[Execution], later: Callable[[], datetime]
) -> None:
    since = later()
    services.save_draft(tree[2], node="form", data={"note": "n"}, by=UserFactory())
    assert polled(since) == set()


def test_updated_at_of_the_root_changes_with_a_vote(later: Callable[[], datetime]) -> None:
    user = voter("ada")
    accounts(users=["grace"])
    execution = started(approval_graph(users=["ada", "grace"], needed=2))
    since = later()
    services.vote(execution, node="vote", approves=True, by=user)
    assert polled(since) == {execution.cuid}
