"""Calls with for_each: pages, API, integrity, repairs and the graph check."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from executions import integrity
from executions import services as running
from executions.engine.nodes import run_workflow
from executions.models import Execution, Status, Step, StepState
from tests.executions.engine.test_for_each import (
    answer,
    callee_with,
    calling,
    children,
    open_nodes,
    started,
    state,
)
from tests.factories import WorkflowFactory, line
from tests.workflows.api.clients import client_of
from workflows.editing import graph_problems

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


def test_api_shows_items() -> None:
    execution = started(calling(callee_with(), limit=2))
    answer(execution, 1)
    client = client_of(superuser=True)
    body = client.get(f"executions/{execution.cuid}/").json()
    steps = [(step["label"], step["item"], step["item_counts"]) for step in body["open_steps"]]
    assert steps == [
        ("Ask", None, {"items": 3, "started": 3, "completed": 1}),
        ("Ask (1/3)", 0, None),
        ("Ask (3/3)", 2, None),
    ]
    listed = client.get(f"executions/?parent={execution.cuid}").json()["results"]
    assert sorted(row["item"] for row in listed) == [0, 1, 2]
    child = children(execution)[2]
    assert client.get(f"executions/{child.cuid}/").json()["item"] == 2
    assert body["item"] is None


def test_page_shows_items_and_their_number(admin_client: Browser) -> None:
    execution = started(calling(callee_with(), limit=2))
    answer(execution, 1)
    url = reverse("admin:executions_execution_change", args=[execution.pk])
    page = admin_client.get(url).content.decode()
    assert "1 of 3 items have completed" in page
    assert '<th scope="col">Item</th>' in page
    for section in ("open-steps", "history"):
        assert "Ask (3/3)" in page.split(f'id="{section}"')[1].split("</section>")[0]


@pytest.mark.django_db(transaction=True)
def test_call_without_open_item_is_a_violation_that_is_repaired() -> None:
    execution = started(calling(callee_with(), limit=1))
    answer(execution, 0)
    child = children(execution)[1]
    item = Step.objects.open().get(child=child)
    Step.objects.filter(execution=child).update(state=StepState.DONE, closed_at=item.opened_at)
    Step.objects.filter(pk=item.pk).update(state=StepState.DONE, closed_at=item.opened_at)
    Execution._base_manager.filter(pk=child.pk).update(
        status=Status.COMPLETED, ended_at=item.opened_at
    )
    details = [violation.detail for violation in integrity.find_violations()]
    assert details == ["Its step “call” waits for its items, but none is open."]
    call_command("repair_executions", stdout=StringIO())
    answer(execution, 2)
    assert state(execution)[1] == [{"said": "ANN"}, None, {"said": "CID"}]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("decide", [running.retry, running.skip])
def test_repair_opens_the_call_when_all_steps_are_closed(decide: Any) -> None:
    execution = started(calling(callee_with()))
    call = Step.objects.open().get(execution=execution, label="Ask")
    closed = {"state": StepState.CANCELLED, "closed_at": call.opened_at}
    Step.objects.filter(execution=execution).update(**closed)
    Step.objects.filter(pk=call.pk).update(output={"items": 3, "completed": 0})
    for child in children(execution).values():
        running.cancel(child)
    call_command("repair_executions", stdout=StringIO())
    assert open_nodes(execution) == [("Ask", StepState.INCIDENT)]
    decide(execution, step=call.cuid, why="repaired")
    if decide is running.retry:
        for item in range(3):
            answer(execution, item)
    assert open_nodes(execution) == [("last", StepState.OPEN)]


@pytest.mark.django_db(transaction=True)
def test_lost_child_of_an_item_is_found_again() -> None:
    execution = started(calling(callee_with()))
    Step.objects.filter(execution=execution).update(child=None)
    assert integrity.find_violations() != []
    call_command("repair_executions", stdout=StringIO())
    for item in (1, 0, 2):
        answer(execution, item)
    assert state(execution)[1] == [{"said": "ANN"}, {"said": "BOB"}, {"said": "CID"}]


@pytest.mark.django_db(transaction=True)
def test_thousand_items_start_and_end_in_few_statements() -> None:
    owners = [f"owner {number}" for number in range(run_workflow.MAX_ITEMS)]
    caller = calling(callee_with(), needed=1)
    with CaptureQueriesContext(connection) as captured:
        execution = started(caller, owners)
        answer(execution, 999)
    assert len(captured) < 80
    results = state(execution)[1]
    assert (len(results), results[999]) == (1000, {"said": "OWNER 999"})
    assert not execution.children.live().exists()


@pytest.mark.parametrize(
    ("loop", "more", "pointer"),
    [
        ({"items": "ann"}, {}, "/for_each/items"),
        ({"items": {"field": "$a"}}, {}, "/for_each/items/field"),
        ({"items": [1] * 1001}, {}, "/for_each/items"),
        ({"as": "$owner"}, {}, "/for_each/as"),
        ({"limit": 0}, {}, "/for_each/limit"),
        ({"needed": "all"}, {}, "/for_each/needed"),
        ({"collect": 3}, {}, "/for_each/collect"),
        ({"until": 3}, {}, "/for_each/until"),
        ({}, {"input": {"owner": 1}}, "/input/owner"),
        ({}, {"output": {"a": "b"}}, "/output"),
    ],
)
def test_save_refuses_an_invalid_for_each(
    loop: dict[str, Any], more: dict[str, Any], pointer: str
) -> None:
    each = {"items": {"field": "owners"}, "as": "owner", **loop}
    caller = WorkflowFactory()
    callee = WorkflowFactory(entity_name_type=caller.entity_name_type)
    call = {"id": "call", "type": "run_workflow"}
    call["data"] = {"workflow": callee.cuid, "for_each": each, **more}  # type: ignore[assignment]
    problems = graph_problems(caller, line(call))
    assert [problem.pointer for problem in problems] == [f"/nodes/1/data{pointer}"]
