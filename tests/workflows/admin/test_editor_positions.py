"""Moving nodes in the graph editor: positions are no part of what executions run."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client

from executions import services as running
from tests.conftest import Scenario
from tests.factories import form, line
from tests.workflows.admin.editor_session import EditorSession
from tests.workflows.admin.staff import list_messages, page, text
from workflows import editing
from workflows.graph.positions import list_positions
from workflows.models import AuditEntry, GraphDraft, Version

pytestmark = pytest.mark.django_db
THERE = {"x": 400, "y": 30}


@pytest.fixture
def editor(admin_client: Client, scenario: Scenario) -> EditorSession:
    scenario.start()
    return EditorSession(admin_client, scenario.caller)


def move(editor: EditorSession, **moves: Any) -> Any:
    return editor.run("move", positions=json.dumps(moves))


def place_of(html: str, node: str) -> str:
    found = re.search(rf'transform="translate\(([^)]*)\)" data-node="{node}"', html)
    assert found is not None
    return found[1]


def test_moved_node_is_saved_without_a_new_version(
    editor: EditorSession, scenario: Scenario
) -> None:
    before = scenario.caller.latest_version
    move(editor, form=THERE)
    html = text(editor.open())
    assert place_of(html, "form") == "400 30"
    assert "Unsaved positions on version 1, stored as your draft" in html
    assert list_messages(editor.run("save"))[0].startswith(
        "The positions of nodes were saved. Version 1 is otherwise unchanged."
    )
    after = Version.objects.get(workflow=scenario.caller)
    assert (after.pk, after.checksum, after.source) == (before.pk, before.checksum, before.source)
    assert after.positions["form"] == THERE
    assert not GraphDraft.objects.exists()
    entry = AuditEntry.objects.filter(action="graph_saved").latest("pk")
    assert (entry.before["positions"], entry.after["positions"]["form"]) == ({}, THERE)
    for displayed in (page(scenario.caller), page(scenario.caller.executions.get())):
        assert place_of(text(editor.client.get(displayed)), "form") == "400 30"


def test_positions_get_a_new_version_with_notes_or_another_change(
    editor: EditorSession, scenario: Scenario
) -> None:
    move(editor, form=THERE)
    editor.run("save", notes="Tidied up")
    assert scenario.caller.latest_version.number == 2
    editor.run("set", "end", **{"data/label": "Over"})
    editor.run("save")
    latest = scenario.caller.latest_version
    assert latest.positions["form"] == THERE
    assert "position" not in json.dumps(latest.source)


def test_fields_of_the_panel_move_the_node_with_its_settings(editor: EditorSession) -> None:
    displayed = editor.open("form").context["node"]["position"]
    sent = {
        "position": f"{displayed['x']},{displayed['y']}",
        "position-x": "-20",
        "position-y": "7.5",
    }
    editor.run("set", "form", **sent, **{"data/label": "Say it"})
    node = next(row for row in editor.source["nodes"] if row["id"] == "form")
    assert (node["position"], node["data"]["label"]) == ({"x": -20, "y": 7.5}, "Say it")
    assert 'viewBox="-34 ' in text(editor.open())
    stored = editor.open("form").context["node"]["position"]["stored"]
    sent = {"position": stored, "position-x": "-20", "position-y": stored.partition(",")[2]}
    editor.run("set", "form", **sent, **{"data/label": "Say it"})
    assert list_positions(editor.source)["form"] == {"x": -20, "y": 7.5}


@pytest.mark.parametrize("sent", ['{"no": {"x": 1, "y": 2}}', '{"form": {"x": 1e9, "y": 2}}', "x"])
def test_invalid_move_is_refused_and_the_page_stays(editor: EditorSession, sent: str) -> None:
    assert len(list_messages(editor.run("move", positions=sent))) == 1
    wrong = {"position": "0,0", "position-x": "far", "position-y": "1"}
    assert "Enter two numbers" in list_messages(editor.run("set", "form", **wrong))[0]
    assert not GraphDraft.objects.exists()


def test_typed_position_stays_in_its_field_while_a_row_is_added(editor: EditorSession) -> None:
    sent = {"position": "0,0", "position-x": "11", "position-y": "22"}
    html = text(editor.run("", "form", row="add data/fields", **sent))
    assert 'name="position-x" value="11"' in html and 'name="position-y" value="22"' in html


def test_undo_and_automatic_arrangement_remove_positions(editor: EditorSession) -> None:
    assert "Arrange automatically" not in text(editor.open())
    move(editor, form=THERE)
    move(editor, form={"x": 500, "y": 30}, end={"x": 500, "y": 200})
    assert editor.open().context["draft"].undo == "move 2 nodes"
    editor.run("undo")
    assert list_positions(editor.source)["form"] == THERE
    assert "Arrange automatically" in text(editor.open())
    editor.run("arrange")
    assert list_positions(editor.source) == {}
    assert place_of(text(editor.open()), "form") != "400 30"


def test_own_moves_are_saved_beside_those_of_others(
    editor: EditorSession, scenario: Scenario
) -> None:
    places = {"start": {"x": 0, "y": 0}, "form": {"x": 0, "y": 100}, "end": {"x": 0, "y": 200}}
    source = {**editor.source, "nodes": [{**row} for row in editor.source["nodes"]]}
    for row in source["nodes"]:
        row["position"] = places.get(row["id"], {"x": 0, "y": 300})
    editing.save_graph(scenario.caller, source, based_on=1)
    move(editor, form=THERE)
    for row in source["nodes"]:
        row["position"] = {"x": 9, "y": row["position"]["y"]}
    editing.save_graph(scenario.caller, source, based_on=1)
    editor.run("save")
    saved = scenario.caller.latest_version.positions
    assert (saved["form"], saved["end"]) == (THERE, {"x": 9, "y": 200})


def test_change_of_type_keeps_positions(editor: EditorSession, scenario: Scenario) -> None:
    move(editor, form=THERE)
    editor.run("save")
    running.cancel(scenario.caller.executions.get())
    editing.change_entity_context(
        [scenario.caller, scenario.callee], entity_name_type=scenario.exception
    )
    latest = scenario.caller.latest_version
    assert (latest.number, latest.positions["form"]) == (2, THERE)


def test_moves_are_applied_on_top_of_a_version_saved_meanwhile(
    editor: EditorSession, scenario: Scenario
) -> None:
    move(editor, end=THERE)
    editing.save_graph(scenario.caller, line(form("theirs")), based_on=1)
    editor.run("put_on_top")
    assert list_positions(editor.source)["end"] == THERE
