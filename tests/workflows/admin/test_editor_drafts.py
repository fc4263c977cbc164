"""Drafts of the graph editor: loaded from a file, and based on a version that is not the latest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.conftest import Scenario
from tests.factories import WorkflowFactory, form, line
from tests.workflows.admin.editor_session import EditorSession
from tests.workflows.admin.staff import list_messages, text
from workflows import editing
from workflows.models import GraphDraft

pytestmark = pytest.mark.django_db


@pytest.fixture
def editor(admin_client: Client) -> EditorSession:
    return EditorSession(admin_client, WorkflowFactory())


class TestJsonFiles:
    def upload(self, editor: EditorSession, content: bytes) -> Any:
        return editor.run("replace", file=SimpleUploadedFile("mine.json", content))

    def test_downloaded_file_can_be_loaded(self, editor: EditorSession) -> None:
        editor.run("add", "start", type="join", exit=editor.exit_value("start"))
        answer = editor.client.get(editor.url, {"download": ""})
        assert answer["Content-Type"] == "application/json"
        assert answer["Content-Disposition"].startswith("attachment; filename=")
        wanted = editor.source
        assert json.loads(answer.content) == wanted
        editor.run("undo")
        self.upload(editor, answer.content)
        assert editor.source == wanted
        assert editor.open().context["draft"].undo == "load mine.json"

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"{", "mine.json is not valid JSON"),
            (b"\xff\xfe", "mine.json is not valid JSON"),
            (b"[" * 100_000, "mine.json is not valid JSON"),
            (b"[]", "A graph is an object"),
            (b'{"nodes": [{"id": "\\u0000"}], "edges": []}', "NUL"),
        ],
    )
    def test_invalid_file_is_refused(
        self, editor: EditorSession, content: bytes, words: str
    ) -> None:
        assert words in list_messages(self.upload(editor, content))[0]
        assert not GraphDraft.objects.exists()


class TestStaleDraft:
    @pytest.fixture
    def stale(self, admin_client: Client, scenario: Scenario) -> EditorSession:
        scenario.start()
        editor = EditorSession(admin_client, scenario.caller)
        editor.run("set", "end", **{"data/label": "Mine"})
        editing.save_graph(scenario.caller, line(form("theirs")), based_on=1)
        return editor

    def test_stale_draft_shows_both_changes(self, stale: EditorSession) -> None:
        html = text(stale.open())
        assert "Someone has saved" in html
        assert (
            '<a class="small-button" href="#stale">Version 2 was saved in the meantime</a>' in html
        )
        assert "Apply my changes to version 2" in html and "Discard my changes" in html
        context = stale.open().context
        assert [row.key for row in context["my_changes"]] == ["end"]
        assert "theirs" in [row.key for row in context["their_changes"]]
        assert list_messages(stale.run("save"))[0].startswith(
            "The graph was not saved: someone has saved another"
        )

    def test_own_changes_are_applied_to_latest_version(
        self, stale: EditorSession, scenario: Scenario
    ) -> None:
        stale.run("put_on_top")
        stale.run("save")
        source = scenario.caller.latest_version.source
        assert [row["id"] for row in source["nodes"]] == ["start", "theirs", "end"]
        assert source["nodes"][-1]["data"] == {"label": "Mine"}

    def test_own_changes_are_discarded(self, stale: EditorSession) -> None:
        stale.run("take_theirs")
        assert stale.source == line(form("theirs"))
        assert "Someone has saved" not in text(stale.open())

    def test_conflicting_node_is_named(self, stale: EditorSession, scenario: Scenario) -> None:
        source = line(form("theirs"), last={"id": "end", "type": "end", "data": {"label": "T"}})
        editing.save_graph(scenario.caller, source, based_on=2)
        assert list_messages(stale.run("put_on_top")) == [
            "You and someone else changed “Mine”. Your version is used here."
        ]
