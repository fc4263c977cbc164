"""Visits: stored steps and passed nodes as one list, on every interface that shows them."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.test import Client

from executions import guards, services
from executions.models import Execution, Status, Step, Visits
from tests.commands import run
from tests.conftest import Scenario
from tests.executions.damage.target import change, unguarded
from tests.factories import UserFactory, call, form, line, save_line
from workflows import editing

pytestmark = pytest.mark.django_db

Rows = list[tuple[Any, ...]]


def rows(execution: Execution) -> Rows:
    """Return the visits without what a row and an entry store differently."""
    names = ("cuid", "node_id", "type", "label", "state", "opened_at", "closed_at", "handle")
    return [
        (*(getattr(step, name) for name in names), step.input, step.output, step.child_cuid)
        for step in Visits(execution)
    ]


@pytest.fixture
def caller(scenario: Scenario) -> Execution:
    """Return an execution that has passed nodes, waited twice, and called another one."""
    save_line(scenario.callee, {"id": "mark", "type": "set_field", "data": {"values": {"m": 1}}})
    save_line(
        scenario.caller,
        {"id": "first", "type": "set_state", "data": {"state": "Begun"}},
        form("form"),
        call(scenario.callee, "call"),
        form("second"),
        {"id": "last", "type": "set_state", "data": {"state": "Done"}},
    )
    execution = scenario.start()
    for node in ("form", "second"):
        execution = services.submit(execution, node=node, data={"note": "n"})
    assert execution.status == Status.COMPLETED
    return execution


ORDER = ["start", "first", "form", "call", "second", "last", "end"]


def test_only_waiting_nodes_have_a_row_and_visits_have_all(caller: Execution) -> None:
    assert [step.node_id for step in caller.steps.order_by("pk")] == ["form", "second"]
    assert [step.node_id for step in Visits(caller)] == ORDER
    child = caller.children.get()
    assert not child.steps.exists()
    assert [step.node_id for step in Visits(child)] == ["start", "mark", "end"]
    [called] = [step for step in Visits(caller) if step.child_cuid]
    assert (called.node_id, called.child_cuid) == ("call", child.cuid)


def test_slices_and_places_are_those_of_the_whole_list(caller: Execution) -> None:
    whole = rows(caller)
    visits = Visits(caller)
    for start in range(-8, 8):
        assert [step.cuid for step in visits[start:]] == [row[0] for row in whole[start:]]
        assert [step.cuid for step in visits[start : start + 2]] == [
            row[0] for row in whole[start : start + 2]
        ]
    assert [visits[place].cuid for place in range(-7, 7)] == [row[0] for row in whole] * 2
    with pytest.raises(IndexError):
        visits[7]


def test_api_lists_passed_nodes_in_pages_and_as_csv(client: Client, caller: Execution) -> None:
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    path = f"/api/v1/executions/{caller.cuid}/steps/"
    page = client.get(path, {"page_size": "3"}).json()
    found = page["results"]
    while page["next"]:
        page = client.get(page["next"]).json()
        found += page["results"]
    assert page["count"] == 7
    assert [row["node"] for row in found] == ORDER
    assert {row["state"] for row in found} == {"done"}
    assert found[3]["child"] == caller.children.get().cuid
    assert found[0]["votes"] == []
    response = client.get(path, headers={"Accept": "text/csv"})
    lines = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 8


def test_passed_nodes_cannot_be_rewritten_by_sql(caller: Execution) -> None:
    for table, pk in (
        ("executions_execution", caller.pk),
        ("executions_step", caller.steps.earliest("pk").pk),
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET passed = '[]' WHERE id = %s", [pk])


def test_passed_nodes_of_a_closed_step_cannot_be_saved(caller: Execution) -> None:
    step = caller.steps.earliest("pk")
    step.passed = []
    with pytest.raises(guards.ExecutionFrozen, match="passed"):
        step.save()


def test_step_that_a_repair_opens_again_keeps_its_passed_nodes(scenario: Scenario) -> None:
    stage = {"id": "b", "type": "set_state", "data": {"state": "B"}}
    save_line(scenario.caller, form("a"), stage, form("c"))
    execution = scenario.start()
    services.submit(execution, node="a", data={"note": "n"})
    Step.objects.filter(execution=execution, node_id="a").update(state="open", closed_at=None)
    services.submit(execution, node="a", data={"note": "n"})
    assert [row.node_id for row in Visits(execution)] == ["start", "a", "c", "b", "b", "c"]


@pytest.mark.django_db(transaction=True)
def test_repair_ends_an_execution_that_passed_a_fail_node_as_failed(scenario: Scenario) -> None:
    source = line(form("a"))
    [end] = [node for node in source["nodes"] if node["type"] == "end"]
    end.update(type="fail", data={"message": "Rejected."})
    number = scenario.callee.latest_version.number
    editing.save_graph(scenario.callee, source, based_on=number)
    execution = services.start(scenario.callee, scenario.finding)
    execution = services.submit(execution, node="a", data={"note": "n"})
    assert execution.status == Status.FAILED
    with unguarded():
        change(execution, status=Status.WAITING)
    run("repair_executions", execution.cuid)
    execution.refresh_from_db()
    assert execution.status == Status.FAILED


def test_migration_moves_steps_to_lists_and_back(caller: Execution) -> None:
    migration: Any = importlib.import_module("executions.migrations.0032_fold_passed_nodes")
    editor = type("Editor", (), {"connection": connection})
    before = {row.pk: rows(row) for row in Execution.objects.all()}

    migration.unfold(apps, editor)
    assert not Execution.objects.filter(passed__isnull=False).exists()
    assert not Step.objects.filter(passed__isnull=False).exists()
    assert sorted(caller.steps.values_list("node_id", flat=True)) == sorted(ORDER)
    for pk, visited in before.items():
        stored = rows(Execution.objects.get(pk=pk))
        assert sorted(map(str, stored)) == sorted(map(str, visited))

    migration.fold(apps, editor)
    assert caller.steps.count() == 2
    assert {row.pk: rows(row) for row in Execution.objects.all()} == before
    migration.fold(apps, editor)
    assert {row.pk: rows(row) for row in Execution.objects.all()} == before
