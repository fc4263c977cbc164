"""The graph editor."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from tests.conftest import Scenario
from tests.factories import (
    FindingTypeFactory,
    WorkflowFactory,
    call,
    form,
    save_line,
    user_in,
)
from tests.workflows.admin.editor_session import EditorSession
from tests.workflows.admin.staff import list_messages, page, statements, text
from tests.workflows.graphs import choice
from workflows import editing
from workflows.models import AuditEntry, GraphDraft, Workflow
from workflows_project.auth.roles import ROLES

pytestmark = pytest.mark.django_db

DESIGNING = {"designer", "administrator"}


@pytest.fixture
def workflow() -> Workflow:
    return WorkflowFactory()


@pytest.fixture
def editor(admin_client: Client, workflow: Workflow) -> EditorSession:
    return EditorSession(admin_client, workflow)


def edges_of(editor: EditorSession, node: str, exit_: str | None = None) -> list[str]:
    """Return the targets of an exit."""
    return [
        row["target"]
        for row in editor.source["edges"]
        if (row["source"], row.get("sourceHandle")) == (node, exit_)
    ]


def test_node_link_selects_node(editor: EditorSession) -> None:
    html = text(editor.open())
    assert f'<a href="{editor.url}?node=start#diagram-selected"' in html
    assert "Add a node after this one" not in html
    selected = text(editor.open("start"))
    assert 'id="diagram-selected" class="node selected"' in selected
    assert "Start, Start. Selected." in selected
    assert "Add a node after this one" in selected
    assert "Delete node" not in selected
    assert "Add a node after this one" not in text(editor.open("nowhere"))


def test_edit_step_stores_draft(editor: EditorSession) -> None:
    editor.open("start")
    assert not GraphDraft.objects.exists()
    editor.run("add", "start", type="join", exit=editor.exit_value("start"))
    draft = GraphDraft.objects.get()
    assert draft.user.username == "admin"
    assert [row["id"] for row in editor.source["nodes"]] == ["start", "join", "end"]
    assert "1 unsaved change to version 1" not in text(editor.open())
    assert "unsaved changes to version 1, stored as your draft" in text(editor.open())


def test_undo_and_redo_name_their_step(editor: EditorSession) -> None:
    before = editor.source
    editor.run("add", "start", type="join", label="Wait for all", exit=editor.exit_value("start"))
    assert "Undo: add “Wait for all” after “Start”" in text(editor.open())
    after = editor.source
    editor.run("undo")
    assert editor.source == before
    editor.run("redo")
    assert editor.source == after
    assert list_messages(editor.run("redo")) == ["There is nothing to redo."]


def test_edges_are_edited_and_node_is_deleted(admin_client: Client, workflow: Workflow) -> None:
    editing.save_graph(workflow, choice(), based_on=1)
    editor = EditorSession(admin_client, workflow)
    editor.run("disconnect", "choose", exit='["high", "review"]')
    html = text(editor.open("choose"))
    assert "not connected" in html
    assert "has no next step" in html
    editor.run("connect", "choose", exit='["high", null]', target="end")
    answer = editor.run("delete", "review")
    assert answer["Location"] == f"{editor.url}#container"
    assert [row["id"] for row in editor.source["nodes"]] == [
        "start",
        "choose",
        "end",
        "stop",
    ]
    answer = editor.run("delete", "end")
    assert "?node=choose" in answer["Location"]


def test_link_on_an_edge_inserts_a_node_there(admin_client: Client, workflow: Workflow) -> None:
    editing.save_graph(workflow, choice(), based_on=1)
    editor = EditorSession(admin_client, workflow)
    html = text(editor.open())
    name = "Insert a node between choose and Review it"
    (link,) = re.findall(rf'<a class="insert" href="([^"]*)"[^>]*aria-label="{name}"', html)
    chosen = text(admin_client.get(unescape(link)))
    (value,) = re.findall(r'<option value="([^"]*)" selected>high: before Review it', chosen)
    editor.run("add", "choose", type="join", exit=unescape(value))
    assert edges_of(editor, "choose", "high") == ["join"]
    assert edges_of(editor, "join") == ["review"]


def test_link_at_a_free_exit_adds_and_connects_a_node(
    admin_client: Client, workflow: Workflow
) -> None:
    editing.save_graph(workflow, choice(), based_on=1)
    editor = EditorSession(admin_client, workflow)
    assert "Add a node after choose" not in text(editor.open())
    editor.run("disconnect", "choose", exit='["high", "review"]')
    assert "Add a node after choose, exit high" in text(editor.open())
    editor.run("add", "choose", type="end", label="Stop", exit='["high", null]')
    assert edges_of(editor, "choose", "high") == ["end_2"]


def test_selecting_another_exit_applies_the_settings_first(editor: EditorSession) -> None:
    at = '[null, "end"]'
    sent = {"next": "start", "next-at": at, "data/label": "Typed"}
    answer = editor.run("select", "end", **sent)
    assert answer["Location"] == f"{editor.url}?{urlencode({'node': 'start', 'at': at})}#add"
    assert {"label": "Typed"} in [row.get("data") for row in editor.source["nodes"]]


def test_edge_that_is_dragged_to_another_node_leads_there(
    admin_client: Client, workflow: Workflow
) -> None:
    editing.save_graph(workflow, choice(), based_on=1)
    editor = EditorSession(admin_client, workflow)
    sent = {"connect-from": "choose", "exit": '["high", "review"]', "target": "end"}
    answer = editor.run("connect", "review", **sent, **{"data/label": "Typed"})
    assert "?node=review" in answer["Location"]
    assert edges_of(editor, "choose", "high") == ["end"]
    assert {"title": "Review it", "label": "Typed"} in [
        row.get("data") for row in editor.source["nodes"]
    ]


def test_branch_that_is_dragged_to_another_node_leaves_its_old_one(editor: EditorSession) -> None:
    editor.run("add", "start", type="parallel", exit=editor.exit_value("start"))
    editor.run("add", "parallel", type="end", label="Stop", exit="[null, null]")
    assert edges_of(editor, "parallel") == ["end", "end_2"]
    editor.run("add", "start", type="join", exit=editor.exit_value("start"))
    sent = {"connect-from": "parallel", "exit": '[null, "end_2"]', "target": "join"}
    editor.run("connect", "start", **sent)
    assert edges_of(editor, "parallel") == ["end", "join"]


def test_node_is_duplicated_with_the_settings_on_the_page(editor: EditorSession) -> None:
    editor.run("add", "start", type="set_state", label="Mark", exit=editor.exit_value("start"))
    answer = editor.run("duplicate", "set_state", **{"data/label": "Mark", "data/state": "Done"})
    assert "?node=set_state_2" in answer["Location"]
    (copied,) = [row for row in editor.source["nodes"] if row["id"] == "set_state_2"]
    assert copied["data"] == {"label": "Mark (copy)", "state": "Done"}
    assert "Undo: duplicate “Mark”" in text(editor.open())


def test_check_lists_the_problems_of_typed_settings_and_writes_nothing(
    editor: EditorSession,
) -> None:
    editor.run("add", "start", type="set_state", label="Mark", exit=editor.exit_value("start"))
    before = editor.source
    assert "Fix 1 problem before you save" in text(editor.open())
    checked = text(editor.run("check", "set_state", **{"data/label": "M", "data/state": "Done"}))
    assert "before you save" not in checked
    assert "mark-incident" not in checked
    assert editor.source == before
    wrong = text(editor.run("check", "set_state", **{"data/label": "M", "data/state": " "}))
    assert "Fix 1 problem before you save" in wrong
    assert "mark-incident" in wrong


def test_problems_appear_at_node_and_input(editor: EditorSession) -> None:
    editor.run("add", "start", type="set_state", exit=editor.exit_value("start"))
    html = text(editor.open("set_state"))
    assert 'class="node invalid selected"' in html
    assert 'class="mark mark-incident"' in html
    assert re.search(r'<p class="data-problem"[^>]*[^<]*state[^<]* is required', html)
    assert 'aria-invalid="true"' in html
    assert "Fix 1 problem before you save" in html
    answer = editor.run("save", "set_state")
    assert list_messages(answer) == ["The graph was not saved. Fix 1 problem first."]
    assert answer["Location"] == f"{editor.url}?node=set_state#container"
    assert GraphDraft.objects.exists()
    assert AuditEntry.objects.filter(refused=True, code="invalid_graph").count() == 1


def test_callee_of_other_type_is_refused(admin_client: Client, scenario: Scenario) -> None:
    foreign = WorkflowFactory(entity_name_type=FindingTypeFactory())
    WorkflowFactory(entity_name_type=scenario.limitation, state="retired", title="Gone")
    save_line(scenario.callee, form("ask"))
    editor = EditorSession(admin_client, scenario.callee)
    editor.run("add", "start", type="run_workflow", exit=editor.exit_value("start"))
    html = text(editor.open("run_workflow"))
    for row in (foreign, scenario.caller, scenario.callee):
        assert f'<option value="{row.cuid}"' not in html
    assert "Gone" not in html
    editor.run("set", "run_workflow", **{"data/workflow": foreign.cuid})
    html = text(editor.open("run_workflow"))
    assert "Run Workflow: Incompatible entity name types." in html
    assert f"{foreign.cuid} (not available)" in html


def test_malformed_json_appears_again(admin_client: Client, workflow: Workflow) -> None:
    source = choice()
    source["nodes"][1]["data"]["branches"][0]["rule"] = {"not": {"field": "a", "op": "exists"}}
    editing.save_graph(workflow, source, based_on=1)
    editor = EditorSession(admin_client, workflow)
    rule = "data/branches/0/rule#json"
    sent = {"data/branches#rows": "1", "data/branches/0/handle": "high"}
    answer = editor.run("set", "choose", **{**sent, rule: "{not", "data/label": "Typed"})
    assert answer.status_code == 200
    html = text(answer)
    assert "The settings were not applied. data/branches/0/rule is not valid JSON" in html
    assert "{not</textarea>" in html
    assert 'value="Typed"' in html
    assert not GraphDraft.objects.exists()
    editor.run("set", "choose", **{**sent, rule: '{"field": "a", "op": "exists"}'})
    assert editor.source["nodes"][1]["data"]["branches"][0]["rule"]["op"] == "exists"


def test_settings_from_stale_window_appear_again(
    admin_client: Client, editor: EditorSession
) -> None:
    token = editor.open().context["draft"].token
    editor.run("add", "start", type="join", exit=editor.exit_value("start"))
    before = editor.source
    sent = {"token": token, "step": "set", "node": "end", "data/label": "Typed"}
    answer = admin_client.post(editor.url, sent)
    assert answer.status_code == 200
    assert "The draft has changed since you opened it" in text(answer)
    assert 'value="Typed"' in text(answer)
    assert editor.source == before
    again = {**sent, "token": answer.context["draft"].token}
    assert admin_client.post(editor.url, again).status_code == 302
    assert {"label": "Typed"} in [row.get("data") for row in editor.source["nodes"]]
    missing = admin_client.post(editor.url, {**sent, "node": "gone"})
    assert list_messages(missing)[0].startswith("The draft has changed since you opened it")


def test_edit_step_from_stale_window_is_refused(
    admin_client: Client, editor: EditorSession
) -> None:
    token = editor.open().context["draft"].token
    editor.run("add", "start", type="join", exit=editor.exit_value("start"))
    before = editor.source
    sent = {"token": token, "step": "delete", "node": "end"}
    answer = admin_client.post(editor.url, sent)
    assert list_messages(answer)[0].startswith("The draft has changed since you opened it")
    assert editor.source == before


@pytest.mark.parametrize(
    "sent",
    [
        {"step": "magic"},
        {"step": "add", "node": "start", "type": "magic"},
        {"step": "add", "node": "start", "type": "join", "exit": "{"},
        {"step": "add", "node": "start", "type": "join", "exit": "[1, 2]"},
        {"step": "add", "node": "start", "type": "join", "exit": "3"},
        {"step": "connect", "node": "end", "target": "end"},
        {"step": "disconnect", "node": "end", "exit": '[null, "x"]'},
        {"step": "delete", "node": "start"},
        {"step": "set", "node": "nowhere"},
        {"step": "replace"},
        {"step": "put_on_top"},
        {"step": "undo"},
    ],
)
def test_impossible_edit_step_shows_message(editor: EditorSession, sent: dict[str, str]) -> None:
    answer = editor.run(**sent)
    assert answer.status_code == 302
    assert len(list_messages(answer)) == 1
    assert not GraphDraft.objects.exists()


def test_settings_that_cannot_be_stored_appear_again(editor: EditorSession) -> None:
    answer = editor.run("set", "end", **{"data/label": "Done\0"})
    assert answer.status_code == 200
    assert "NUL" in text(answer)
    assert 'value="Done' in text(answer)
    assert not GraphDraft.objects.exists()


@pytest.mark.parametrize(
    ("step", "sent"),
    [
        ("add", {"type": "join", "add-exit": '[null, "end"]'}),
        ("duplicate", {}),
        ("disconnect", {"disconnect": '[null, "end"]'}),
        ("connect", {"connect-exit": "[null, null]", "target": "end"}),
        ("select", {"next": "end"}),
    ],
)
def test_every_step_applies_the_settings_of_its_node(
    editor: EditorSession, step: str, sent: dict[str, str]
) -> None:
    answer = editor.run(step, "start", **sent, **{"data/label": "Typed"})
    assert answer.status_code == 302
    (start,) = [row for row in editor.source["nodes"] if row["id"] == "start"]
    assert start["data"] == {"label": "Typed"}
    assert (step == "select") == (answer["Location"] == f"{editor.url}?node=end#diagram-selected")


def test_save_applies_the_settings_of_the_selected_node(
    editor: EditorSession, workflow: Workflow
) -> None:
    answer = editor.run("save", "end", notes="Named", **{"data/label": "Done"})
    assert answer.status_code == 302
    (end,) = [row for row in workflow.latest_version.source["nodes"] if row["id"] == "end"]
    assert end["data"] == {"label": "Done"}


def test_step_that_is_impossible_keeps_the_applied_settings(editor: EditorSession) -> None:
    answer = editor.run("add", "start", type="magic", **{"data/label": "Typed"})
    assert len(list_messages(answer)) == 1
    assert {"label": "Typed"} in [row.get("data") for row in editor.source["nodes"]]


@pytest.mark.parametrize("role", sorted(ROLES))
def test_editor_needs_permission(role: str, workflow: Workflow) -> None:
    client = Client()
    client.force_login(user_in(role, is_staff=True))
    url = page(workflow, "edit")
    may = role in DESIGNING
    assert (client.get(url).status_code == 200) == may
    token = editing.open_draft(workflow, user_in(role)).token
    sent = {"token": token, "step": "set", "node": "end", "data/label": "Changed"}
    assert (client.post(url, sent).status_code == 302) == may
    assert GraphDraft.objects.exists() == may
    assert (url in text(client.get(page(workflow)))) == may


def test_editor_of_missing_workflow_answers_404(admin_client: Client, workflow: Workflow) -> None:
    url = page(workflow, "edit")
    workflow.delete()
    assert admin_client.get(url).status_code == 404


def test_damaged_graph_links_json_page(
    admin_client: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = {"nodes": [{"type": "end"}], "edges": []}
    opened = editing.open_draft

    def open_damaged(*args: Any) -> Any:
        draft = opened(*args)
        return type(draft)(damaged, draft.base, draft.base_cuid, draft.latest)

    monkeypatch.setattr(editing, "open_draft", open_damaged)
    html = text(admin_client.get(page(workflow, "edit")))
    assert "Every node needs an &quot;id&quot;" in html
    assert page(workflow, "graph") in html


@pytest.mark.parametrize("number", [5, 100])
def test_editor_query_count_does_not_depend_on_nodes(
    admin_client: Client, scenario: Scenario, number: int
) -> None:
    steps = [form(f"n{index}") for index in range(number - 3)]
    save_line(scenario.caller, *steps, call(scenario.callee))
    editor = EditorSession(admin_client, scenario.caller)
    editor.run("set", "end", **{"data/label": "Mine"})
    looks: list[Callable[[], Any]] = [editor.open, lambda: editor.open("call")]
    assert all(statements(look) <= 25 for look in looks)


def test_editor_has_no_inline_scripts(editor: EditorSession) -> None:
    editor.run("add", "start", type="user_action", exit=editor.exit_value("start"))
    html = editor.open("user_action").content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", html)
