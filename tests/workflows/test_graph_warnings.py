"""Warnings about graphs: fields that nothing writes, and joins that too few branches reach."""

from __future__ import annotations

from html import unescape
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser

from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    WorkflowFactory,
    form,
    line,
    save_line,
)
from tests.workflows.admin.staff import page, text
from tests.workflows.api.clients import client_of
from tests.workflows.files import Importing, exported
from tests.workflows.graphs import edge, node
from workflows import editing
from workflows.graph import parse
from workflows.graph.warnings import INCOMPLETE_JOIN, UNWRITTEN_FIELD, find_incomplete_joins
from workflows.models import Workflow

RULE = {"field": "severity", "op": "gte", "value": 3}


def graph(*edges: str, **data: dict[str, Any]) -> dict[str, Any]:
    """Return a graph from edges such as ``"fork a"`` or ``"if a default"``.

    The first letters of an id name its type: fork, if, join, start, end; all others are forms.
    """
    types = {"fork": "parallel", "if": "condition", "join": "join", "start": "start", "end": "end"}
    parts = [row.split() for row in edges]
    ids = dict.fromkeys(name for row in parts for name in row[:2])
    nodes = []
    for name in ids:
        kind = types.get(name.rstrip("0123456789"), "user_action")
        more = {"branches": [{"handle": "yes", "rule": RULE}]} if kind == "condition" else {}
        nodes.append(node(name, kind, **more, **data.get(name, {})))
    return {"nodes": nodes, "edges": [edge(*row) for row in parts]}


def incomplete(source: dict[str, Any]) -> list[tuple[str, str]]:
    found = list(find_incomplete_joins(parse(source, is_new=True)))
    assert {row.code for row in found} <= {INCOMPLETE_JOIN}
    return [(row.pointer, row.detail) for row in found]


def test_join_of_exclusive_branches_is_warned_of() -> None:
    source = graph("start if", "if a yes", "if b default", "a join", "b join", "join end")
    [(pointer, detail)] = incomplete(source)
    assert source["nodes"][int(pointer.split("/")[2])]["id"] == "join"
    assert detail == (
        "“join”: It never waits: only one of its 2 branches can ever arrive. Add a parallel node "
        "before it, or connect the branches to its next step."
    )


def test_join_of_a_fork_is_not_warned_of_when_a_branch_may_skip_it() -> None:
    skipped = graph(
        *("start fork", "fork a", "fork if", "if b yes", "if join default"),
        *("a join", "b join", "join end"),
    )
    assert incomplete(skipped) == []


def test_join_in_a_loop_of_a_fork_is_not_warned_of() -> None:
    """Each round starts another branch, and the condition sends it to another edge."""
    loop = graph(
        *("start fork", "fork fork2", "fork2 if", "fork2 a", "a if2", "if2 fork yes"),
        *("if2 end default", "fork b", "b end", "if c yes", "if d default"),
        *("c join", "d join", "join end"),
    )
    assert incomplete(loop) == []


@pytest.mark.parametrize(("needed", "most"), [(2, None), (3, 2)])
def test_join_is_warned_of_when_it_needs_more_branches_than_can_arrive(
    needed: int, most: int | None
) -> None:
    source = graph(
        *("start fork", "fork a", "fork if", "if b yes", "if c default"),
        *("a join", "b join", "c join", "join end"),
        join={"needed": needed},
    )
    found = incomplete(source)
    assert len(found) == (most is not None)
    if most is not None:
        assert found[0][0].endswith("/data/needed")
        assert f"{needed} branches are needed, but at most {most} of its 3" in found[0][1]


def test_join_that_needs_one_branch_is_not_warned_of() -> None:
    source = graph(
        *("start if", "if a yes", "if b default", "a join", "b join", "join end"),
        join={"needed": 1},
    )
    assert incomplete(source) == []


@pytest.mark.parametrize("forked", list(product([False, True], repeat=2)))
def test_join_is_warned_of_exactly_when_no_fork_leads_to_two_of_its_edges(
    forked: tuple[bool, bool],
) -> None:
    """Two nested splits; each is a fork or a condition."""
    outer, inner = ("fork1" if forked[0] else "if1"), ("fork2" if forked[1] else "if2")
    exits = {True: ("", ""), False: (" yes", " default")}
    first, second = exits[forked[0]], exits[forked[1]]
    source = graph(
        f"start {outer}",
        f"{outer} {inner}{first[0]}",
        f"{outer} c{first[1]}",
        f"{inner} a{second[0]}",
        f"{inner} b{second[1]}",
        *("a join", "b join", "c join", "join end"),
    )
    assert bool(incomplete(source)) is not any(forked)


# Fields

NODES_THAT_READ: dict[str, tuple[dict[str, Any], str]] = {
    "condition": ({"branches": [{"handle": "yes", "rule": RULE}]}, "/branches/0/rule"),
    "set_field": ({"values": {"copy": {"add": [{"field": "severity"}, 1]}}}, "/values/copy"),
    "wait": ({"at_field": "severity"}, "/at_field"),
    "notify": ({"to": [{"field": "severity"}], "subject": "Due"}, ""),
    "http_request": ({"url": "https://example.com/{{severity}}"}, "/url"),
    "user_action": (
        {"deadline": {"after": "P1D", "notify": {"to": [{"field": "severity"}]}}},
        "/deadline/notify",
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize("type_name", NODES_THAT_READ)
def test_field_is_warned_of_when_nothing_writes_it(type_name: str) -> None:
    data, pointer = NODES_THAT_READ[type_name]
    source = line(node("read", type_name, **data))
    if type_name == "condition":
        source["edges"][1]["sourceHandle"] = "yes"
        source["edges"].append(edge("read", "end", "default"))
    [found] = editing.graph_warnings(WorkflowFactory(), source)
    assert (found.pointer, found.code) == (f"/nodes/1/data{pointer}", UNWRITTEN_FIELD)
    assert found.detail == (
        "“read”: Nothing writes the field 'severity': no node of a workflow of this type, and none "
        "of the newest 1000 entities of the type has it. Check its name."
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"input": {"x": {"field": "severity"}}}, "/input/x"),
        ({"for_each": {"items": {"field": "severity"}, "as": "one"}}, "/for_each/items"),
    ],
)
def test_field_that_a_call_reads_is_warned_of(data: dict[str, Any], place: str) -> None:
    source = line(node("call", "run_workflow", workflow="any", **data))
    [found] = editing.graph_warnings(WorkflowFactory(), source)
    assert found.pointer == f"/nodes/1/data{place}"


READS = node("wait", "wait", at_field="severity")


@pytest.mark.django_db
def test_field_is_not_warned_of_when_a_form_of_the_graph_writes_it(
    django_assert_num_queries: Any,
) -> None:
    source = line(form("form", {"name": "severity"}), READS)
    workflow = WorkflowFactory()
    with django_assert_num_queries(0):
        assert editing.graph_warnings(workflow, source) == []


@pytest.mark.django_db
@pytest.mark.both_databases
def test_field_is_not_warned_of_when_an_entity_of_the_type_has_it() -> None:
    workflow = WorkflowFactory()
    FindingFactory(entity_name_type=FindingTypeFactory(), fields={"severity": 3})
    assert editing.graph_warnings(workflow, line(READS))
    FindingFactory(entity_name_type=workflow.entity_name_type, fields={"severity": 3})
    assert editing.graph_warnings(workflow, line(READS)) == []


@pytest.mark.django_db
def test_field_is_not_warned_of_when_another_workflow_of_the_type_writes_it() -> None:
    workflow = WorkflowFactory()
    save_line(WorkflowFactory(), form("form", {"name": "severity"}))
    assert editing.graph_warnings(workflow, line(READS))
    other = WorkflowFactory(entity_name_type=workflow.entity_name_type)
    save_line(other, form("form", {"name": "severity"}))
    assert editing.graph_warnings(workflow, line(READS)) == []


@pytest.mark.django_db
def test_variable_is_not_warned_of() -> None:
    """A start or a call may pass it."""
    source = line(node("wait", "wait", at_field="$due"))
    assert editing.graph_warnings(WorkflowFactory(), source) == []


# Interfaces

WARNING = "Nothing writes the field 'severity'"


@pytest.fixture
def importing(tmp_path: Path) -> Importing:
    return Importing(tmp_path)


@pytest.fixture
def warned(db: None) -> Workflow:
    """A workflow whose graph reads a field that nothing writes."""
    workflow = WorkflowFactory(title="Warned")
    save_line(workflow, READS)
    return workflow


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_save_with_warnings_succeeds_and_names_them(query: str) -> None:
    workflow = WorkflowFactory()
    api = client_of(superuser=True)
    response = api.post(f"workflows/{workflow.cuid}/1/{query}", line(READS))
    assert response.status_code == 200, response.content
    [found] = response.json()["warnings"]
    assert (found["pointer"], found["code"]) == ("/nodes/1/data/at_field", UNWRITTEN_FIELD)
    assert WARNING in found["detail"]


def test_warnings_are_listed_on_every_page_with_the_graph(
    warned: Workflow, admin_client: Browser
) -> None:
    for name in ("change", "edit", "graph"):
        assert WARNING in unescape(text(admin_client.get(page(warned, name)))), name
    FindingFactory(entity_name_type=warned.entity_name_type, fields={"severity": 1})
    for name in ("change", "edit", "graph"):
        assert "Check its name" not in text(admin_client.get(page(warned, name))), name


def test_import_workflows_lists_warnings(warned: Workflow, importing: Importing) -> None:
    file = exported("--all").replace("at_field: severity", "at_field: severty")
    wanted = "warning: “Warned”: “wait”: Nothing writes the field 'severty'"
    assert wanted in importing(file)
    [row] = importing.as_data(file)["workflows"]
    assert row["warnings"][0]["code"] == UNWRITTEN_FIELD
    assert wanted in importing(file, "--apply")
    assert not importing.error
    assert "warning" not in importing(exported("--all"))


def test_import_workflows_finds_fields_that_another_workflow_of_the_file_writes(
    warned: Workflow, importing: Importing
) -> None:
    other = WorkflowFactory(title="Writes", entity_name_type=warned.entity_name_type)
    save_line(other, form("form", {"name": "severity"}))
    file = exported("--all")
    other.delete()
    save_line(warned, node("other", "wait", interval="P1D"))
    assert "warning" not in importing(file)
