"""Several nodes in the graph editor: checked in the list of nodes, copied, pasted, deleted."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from tests.conftest import Scenario
from tests.workflows.admin.editor_session import EditorSession
from tests.workflows.admin.staff import list_messages, text
from workflows.admin.graph_editor import group_steps
from workflows.models import GraphDraft

pytestmark = pytest.mark.django_db


@pytest.fixture
def editor(admin_client: Client, scenario: Scenario) -> EditorSession:
    return EditorSession(admin_client, scenario.caller)


def ids(editor: EditorSession) -> list[str]:
    return [row["id"] for row in editor.source["nodes"]]


def checked(response: Any) -> list[str]:
    return re.findall(r'name="nodes" value="([^"]+)"[^>]* checked', text(response))


def test_copied_nodes_are_pasted_into_another_graph(
    editor: EditorSession, scenario: Scenario
) -> None:
    assert 'value="paste"' not in text(editor.open())
    answer = editor.run("copy", nodes=["form", "end"])
    assert list_messages(answer) == [
        "2 nodes were copied. You can paste them into this or another graph."
    ]
    assert checked(editor.client.get(answer["Location"])) == ["form", "end"]
    assert not GraphDraft.objects.exists()
    other = EditorSession(editor.client, scenario.callee)
    assert 'value="paste"' in text(other.open())
    answer = other.run("paste")
    assert ids(other) == ["start", "end", "user_action", "end_2"]
    assert checked(other.client.get(answer["Location"])) == ["user_action", "end_2"]
    assert other.open().context["draft"].undo == "paste 2 nodes"


def test_steps_of_several_nodes_apply_what_was_typed(editor: EditorSession) -> None:
    typed = {"data/label": "Typed"}
    editor.run("duplicate_nodes", "end", nodes=["form"], **typed)
    assert "user_action" in ids(editor)
    editor.run("delete_nodes", "end", nodes=["user_action", "form"], **{"data/label": "Again"})
    assert not {"user_action", "form"} & set(ids(editor))
    assert editor.open("end").context["node"]["label"] == "Again"
    assert editor.open().context["draft"].undo == "delete 2 nodes"
    editor.run("undo")
    assert {"user_action", "form"} <= set(ids(editor))


def test_impossible_steps_are_refused(
    editor: EditorSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list_messages(editor.run("paste")) == ["Copy nodes first."]
    assert list_messages(editor.run("delete_nodes")) == ["Select the nodes first."]
    wanted = "Select nodes other than the start node."
    assert list_messages(editor.run("copy", nodes=["start"])) == [wanted]
    assert list_messages(editor.run("duplicate_nodes", nodes=["start"])) == [wanted]
    assert len(list_messages(editor.run("delete_nodes", nodes=["form", "start"]))) == 1
    assert len(list_messages(editor.run("copy", nodes=["unknown"]))) == 1
    monkeypatch.setattr(group_steps, "MOST_COPIED", 1)
    assert list_messages(editor.run("copy", nodes=["form", "end"])) == [
        "Copy at most 1 nodes at once."
    ]
    assert not GraphDraft.objects.exists()
