"""The form of a node in the graph editor: rows with buttons, pickers and durations."""

from __future__ import annotations

import re
from functools import partial
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from executions.models import Secret
from tests.factories import FindingFactory, UserFactory, WorkflowFactory, form, user_in, user_with
from tests.workflows.admin.editor_session import EditorSession
from tests.workflows.admin.staff import statements, text
from workflows import editing
from workflows.models import GraphDraft, Workflow

pytestmark = pytest.mark.django_db

NODES: list[dict[str, Any]] = [
    {"id": "start", "type": "start"},
    form("ask", {"name": "asked"}, {"name": "amount", "scope": "execution"}),
    {"id": "note", "type": "set_field", "data": {"values": {"noted": True}}},
    {"id": "agree", "type": "approval", "data": {"users": ["admin"]}},
    {"id": "hear", "type": "webhook", "data": {"secret": "CRM", "save_to": "later"}},
    {"id": "end", "type": "end"},
]
EDGES = [
    {"source": "start", "target": "ask"},
    {"source": "ask", "target": "note"},
    {"source": "note", "target": "agree"},
    {"source": "agree", "target": "hear", "sourceHandle": "approved"},
    {"source": "agree", "target": "end", "sourceHandle": "rejected"},
    {"source": "hear", "target": "end"},
]


@pytest.fixture
def workflow(admin_user: Any) -> Workflow:
    Secret.objects.create(name="CRM")
    workflow = WorkflowFactory()
    editing.save_graph(workflow, {"nodes": NODES, "edges": EDGES}, based_on=1)
    return workflow


@pytest.fixture
def editor(admin_client: Client, workflow: Workflow) -> EditorSession:
    return EditorSession(admin_client, workflow)


def offered(editor: EditorSession, node: str, format_: str) -> list[str]:
    """Return the values that the inputs with this format suggest."""
    html = text(editor.open(node))
    found = re.search(rf'<datalist id="offered-{format_}">(.*?)</datalist>', html)
    assert not found or f'list="offered-{format_}"' in html
    return [unescape(one) for one in re.findall(r'value="([^"]*)"', found[1])] if found else []


def names_of(page: Any, pattern: str) -> list[str]:
    """Return the names of the visible inputs outside of the templates of new rows."""
    html = re.sub(r"<template>.*?</template>", "", text(page))
    return [name for name in re.findall(r' name="([^"]*)"', html) if re.fullmatch(pattern, name)]


def test_row_button_returns_the_page_with_a_row_more_and_writes_nothing(
    editor: EditorSession,
) -> None:
    sent = {"data/label": "Typed", "data/fields#rows": "2", "data/fields/1/name": "typed"}
    page = editor.run("", "ask", row="add data/fields", **sent)
    assert page.status_code == 200
    assert names_of(page, r"data/fields/\d/name") == [f"data/fields/{row}/name" for row in range(3)]
    assert 'value="Typed"' in text(page) and 'value="typed"' in text(page)
    assert not GraphDraft.objects.exists()
    sent |= {"data/fields#rows": "3", "data/fields/2/name": "third"}
    page = editor.run("", "ask", row="remove data/fields/1", **sent)
    assert names_of(page, r"data/fields/\d/name") == ["data/fields/0/name", "data/fields/2/name"]
    assert 'hidden name="data/fields/1#remove" value="1"' in text(page)
    page = editor.run("", "ask", row="up data/fields/2", **sent)
    rows = ["data/fields/0/name", "data/fields/2/name", "data/fields/1/name"]
    assert names_of(page, r"data/fields/\d/name") == rows


def test_form_with_many_fields_and_choices_can_be_saved(editor: EditorSession) -> None:
    at = "data/fields"
    sent = {"data/label": "Long", f"{at}#rows": "30"}
    for field in range(30):
        sent |= {f"{at}/{field}/name": f"f{field}", f"{at}/{field}/choices#rows": "20"}
        for choice in range(20):
            name = f"{at}/{field}/choices/{choice}"
            sent |= {f"{name}#as": "0", f"{name}#0": f"c{choice}"}
    assert editor.run("set", "ask", **sent).status_code == 302
    (ask,) = [row for row in editor.source["nodes"] if row["id"] == "ask"]
    assert [len(row["choices"]) for row in ask["data"]["fields"]] == [20] * 30


def test_row_button_of_a_node_that_someone_deleted_shows_the_page(editor: EditorSession) -> None:
    assert editor.run("", "nowhere", row="add data/fields").status_code == 200


def test_fields_that_earlier_nodes_write_are_offered(
    editor: EditorSession, workflow: Workflow
) -> None:
    FindingFactory(entity_name_type=workflow.entity_name_type, fields={"severity": 3})
    FindingFactory(fields={"elsewhere": 3})
    assert offered(editor, "hear", "value-name") == ["asked", "noted", "severity", "$amount"]
    assert offered(editor, "note", "value-name") == ["asked", "severity", "$amount"]
    assert offered(editor, "ask", "field-name") == ["severity"]


def test_only_assignees_who_may_do_steps_are_offered(editor: EditorSession) -> None:
    Group.objects.create(name="risk")
    user_in("participant", username="ada")
    user_in("participant", username="gone", is_active=False)
    UserFactory(username="nobody")
    assert "risk" in offered(editor, "agree", "group-name")
    assert offered(editor, "agree", "username") == ["ada", "admin"]


def test_secrets_are_offered_to_users_who_may_view_them(
    editor: EditorSession, workflow: Workflow
) -> None:
    Secret.objects.create(name="BANK")
    assert '<option value="BANK">BANK</option>' in text(editor.open("hear"))
    designer = Client()
    designer.force_login(
        user_with("workflows.add_version", "workflows.view_workflow", is_staff=True)
    )
    html = text(EditorSession(designer, workflow).open("hear"))
    assert "BANK" not in html
    assert '<input type="text" value="CRM"' in html


def test_fields_of_entities_are_offered_to_users_who_may_view_them(workflow: Workflow) -> None:
    FindingFactory(entity_name_type=workflow.entity_name_type, fields={"severity": 3})
    designer = Client()
    designer.force_login(
        user_with("workflows.add_version", "workflows.view_workflow", is_staff=True)
    )
    assert offered(EditorSession(designer, workflow), "ask", "field-name") == []


def test_duration_has_number_and_unit(editor: EditorSession) -> None:
    sent = {"data/deadline#as": "0", "data/deadline#0": "36", "data/deadline#0#unit": "TH"}
    editor.run("set", "ask", **sent)
    (ask,) = [row for row in editor.source["nodes"] if row["id"] == "ask"]
    assert ask["data"]["deadline"] == "PT36H"
    html = text(editor.open("ask"))
    assert '<input type="text" value="36"' in html
    assert '<option value="TH" selected>hours</option>' in html


@pytest.mark.parametrize("number", [1, 30])
def test_panel_query_count_does_not_depend_on_rows_and_offers(
    editor: EditorSession, workflow: Workflow, number: int
) -> None:
    for index in range(number):
        Group.objects.create(name=f"group {index}")
        Secret.objects.create(name=f"SECRET_{index}")
        FindingFactory(entity_name_type=workflow.entity_name_type, fields={f"field_{index}": 1})
        UserFactory(is_superuser=True)
    rows = {"data/users#rows": str(number)}
    rows |= {f"data/users/{index}": f"user {index}" for index in range(number)}
    editor.run("set", "agree", **rows)
    found = [statements(partial(editor.open, node)) for node in ("ask", "agree", "hear")]
    assert max(found) <= 17
