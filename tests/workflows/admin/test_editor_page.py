"""The page where a graph is drawn: links select, buttons take a step."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.conftest import Scenario
from tests.factories import (
    FindingTypeFactory,
    WorkflowFactory,
    call,
    form,
    line,
    save_line,
    user_in,
)
from tests.workflows.admin.staff import page, statements, text, told
from tests.workflows.drawings import choice
from workflows import editing
from workflows.graph import parse
from workflows.models import AuditEntry, GraphDraft, Workflow
from workflows_project.auth.roles import ROLES

pytestmark = pytest.mark.django_db

DESIGNING = {"designer", "administrator"}


@pytest.fixture
def workflow() -> Workflow:
    return WorkflowFactory()


class Drawing:
    """Somebody who draws: what they see, and the steps that they take."""

    def __init__(self, client: Client, workflow: Workflow) -> None:
        self.client, self.url = client, page(workflow, "edit")

    def look(self, node: str = "") -> Any:
        return self.client.get(self.url, {"node": node} if node else {})

    def take(self, step: str, node: str = "", **sent: Any) -> Any:
        token = self.look().context["draft"].token
        return self.client.post(self.url, {"token": token, "step": step, "node": node, **sent})

    @property
    def source(self) -> dict[str, Any]:
        source: dict[str, Any] = self.look().context["draft"].source
        return source

    def way(self, node: str, exit_: str | None = None, *, before: bool = True) -> str:
        for row in self.look(node).context["node"]["ways"]:
            if row["exit"] == exit_:
                return row["value"] if before else json.dumps([exit_, None])
        raise AssertionError(f"no such way: {exit_}")


@pytest.fixture
def build_diagram(admin_client: Client, workflow: Workflow) -> Drawing:
    return Drawing(admin_client, workflow)


def test_a_workflow_of_five_steps_with_a_call_is_drawn_from_nothing(
    admin_client: Client, scenario: Scenario
) -> None:
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    build_diagram = Drawing(admin_client, workflow)
    at = "start"
    for kind, label in [
        ("user_action", "Triage"),
        ("condition", "Severe?"),
        ("run_workflow", "Remedy"),
        ("set_state", "Done"),
    ]:
        exit_ = "default" if at == "condition" else None
        answer = build_diagram.take(
            "add", at, kind=kind, label=label, way=build_diagram.way(at, exit_)
        )
        assert answer["Location"].endswith(f"?node={kind}#draw-selected")
        at = kind
    build_diagram.take(
        "set",
        "user_action",
        **{"data/label": "Triage", "data/fields#rows": "1", "data/fields/0/name": "severity"},
    )
    rule = "data/branches/0/rule"
    build_diagram.take(
        "set",
        "condition",
        **{
            "data/label": "Severe?",
            "data/branches#rows": "1",
            "data/branches/0/handle": "minor",
            f"{rule}#rows": "1",
            f"{rule}/0/field": "severity",
            f"{rule}/0/op": "lt",
            f"{rule}/0/value": "3",
        },
    )
    build_diagram.take("connect", "condition", way='["minor", null]', target="set_state")
    shown = text(build_diagram.look("run_workflow"))
    assert f'<option value="{scenario.callee.cuid}">{scenario.callee.title}</option>' in shown
    build_diagram.take("set", "run_workflow", **{"data/workflow": scenario.callee.cuid})
    build_diagram.take("set", "set_state", **{"data/label": "Done", "data/state": "Remedied"})
    assert build_diagram.look().context["problems_total"] == 0
    answer = build_diagram.take("save", notes="From nothing")
    assert told(answer)[0].startswith("Version 1 was rewritten")
    version = workflow.latest_version
    graph = parse(version.source)
    assert len(graph.nodes) == 6
    assert graph.callee_cuids() == [scenario.callee.cuid]
    assert (version.notes, version.created_by.username) == ("From nothing", "admin")
    assert not GraphDraft.objects.exists()


def test_each_node_is_a_link_that_selects_it(build_diagram: Drawing) -> None:
    shown = text(build_diagram.look())
    assert f'<a href="{build_diagram.url}?node=start#draw-selected"' in shown
    assert "Add a step after it" not in shown
    selected = text(build_diagram.look("start"))
    assert 'id="draw-selected" class="node selected"' in selected
    assert "Start, Start. Selected." in selected
    assert "Add a step after it" in selected
    assert "Delete this node" not in selected
    assert "Add a step after it" not in text(build_diagram.look("nowhere"))


def test_looking_keeps_nothing_and_a_step_keeps_all(build_diagram: Drawing) -> None:
    build_diagram.look("start")
    assert not GraphDraft.objects.exists()
    build_diagram.take("add", "start", kind="join", way=build_diagram.way("start"))
    draft = GraphDraft.objects.get()
    assert draft.user.username == "admin"
    assert [row["id"] for row in build_diagram.source["nodes"]] == ["start", "join", "end"]
    assert "1 change on top of version 1" not in text(build_diagram.look())
    assert "on top of version 1, kept for you until you save" in text(build_diagram.look())


def test_undo_and_redo_say_what_they_would_do(build_diagram: Drawing) -> None:
    before = build_diagram.source
    build_diagram.take(
        "add", "start", kind="join", label="Wait for all", way=build_diagram.way("start")
    )
    assert 'Undo<span class="editor-told">: “Wait for all” after “Start”' in text(
        build_diagram.look()
    )
    after = build_diagram.source
    build_diagram.take("undo")
    assert build_diagram.source == before
    build_diagram.take("redo")
    assert build_diagram.source == after
    assert told(build_diagram.take("redo")) == ["There is nothing to redo."]


def test_ways_are_connected_and_disconnected_and_a_node_is_deleted(
    admin_client: Client, workflow: Workflow
) -> None:
    editing.save_graph(workflow, choice(), based_on=1)
    build_diagram = Drawing(admin_client, workflow)
    build_diagram.take("disconnect", "choose", way='["high", "review"]')
    shown = text(build_diagram.look("choose"))
    assert "nowhere yet" in shown
    assert "has no edge for its exit &#x27;high&#x27;" in shown
    build_diagram.take("connect", "choose", way='["high", null]', target="end")
    answer = build_diagram.take("delete", "review")
    assert answer["Location"] == f"{build_diagram.url}#container"
    assert [row["id"] for row in build_diagram.source["nodes"]] == [
        "start",
        "choose",
        "end",
        "stop",
    ]
    answer = build_diagram.take("delete", "end")
    assert "?node=choose" in answer["Location"]


def test_problems_stand_at_the_node_and_at_the_field(build_diagram: Drawing) -> None:
    build_diagram.take("add", "start", kind="set_state", way=build_diagram.way("start"))
    shown = text(build_diagram.look("set_state"))
    assert 'class="node flawed selected"' in shown
    assert 'class="mark mark-incident"' in shown
    assert re.search(r'<p class="data-problem"[^>]*>It needs &#x27;state&#x27;', shown)
    assert 'aria-invalid="true"' in shown
    assert "1 problem to solve before it can be saved" in shown
    answer = build_diagram.take("save", "set_state")
    assert told(answer) == ["Not saved: 1 problem first."]
    assert answer["Location"] == f"{build_diagram.url}?node=set_state#container"
    assert GraphDraft.objects.exists()
    assert AuditEntry.objects.filter(refused=True, code="invalid_graph").count() == 1


def test_a_callee_of_another_type_is_not_offered_and_refused_as_ever(
    admin_client: Client, scenario: Scenario
) -> None:
    foreign = WorkflowFactory(entity_name_type=FindingTypeFactory())
    WorkflowFactory(entity_name_type=scenario.limitation, state="retired", title="Gone")
    save_line(scenario.callee, form("ask"))
    build_diagram = Drawing(admin_client, scenario.callee)
    build_diagram.take("add", "start", kind="run_workflow", way=build_diagram.way("start"))
    shown = text(build_diagram.look("run_workflow"))
    for row in (foreign, scenario.caller, scenario.callee):
        assert f'<option value="{row.cuid}"' not in shown
    assert "Gone" not in shown
    build_diagram.take("set", "run_workflow", **{"data/workflow": foreign.cuid})
    shown = text(build_diagram.look("run_workflow"))
    assert "Run Workflow: Incompatible entity name types." in shown
    assert f"{foreign.cuid} (does not fit)" in shown


def test_what_is_no_json_is_shown_again_and_nothing_is_kept(
    admin_client: Client, workflow: Workflow
) -> None:
    source = choice()
    source["nodes"][1]["data"]["branches"][0]["rule"] = {"not": {"field": "a", "op": "exists"}}
    editing.save_graph(workflow, source, based_on=1)
    build_diagram = Drawing(admin_client, workflow)
    rule = "data/branches/0/rule#json"
    sent = {"data/branches#rows": "1", "data/branches/0/handle": "high"}
    answer = build_diagram.take("set", "choose", **{**sent, rule: "{not", "data/label": "Typed"})
    assert answer.status_code == 200
    shown = text(answer)
    assert "Not kept. What stands at data/branches/0/rule is not JSON" in shown
    assert "{not</textarea>" in shown
    assert 'value="Typed"' in shown
    assert not GraphDraft.objects.exists()
    build_diagram.take("set", "choose", **{**sent, rule: '{"field": "a", "op": "exists"}'})
    assert build_diagram.source["nodes"][1]["data"]["branches"][0]["rule"]["op"] == "exists"


def test_another_window_shows_what_was_typed_again(
    admin_client: Client, build_diagram: Drawing
) -> None:
    token = build_diagram.look().context["draft"].token
    build_diagram.take("add", "start", kind="join", way=build_diagram.way("start"))
    before = build_diagram.source
    sent = {"token": token, "step": "set", "node": "end", "data/label": "Typed"}
    answer = admin_client.post(build_diagram.url, sent)
    assert answer.status_code == 200
    assert "The drawing has been changed meanwhile" in text(answer)
    assert 'value="Typed"' in text(answer)
    assert build_diagram.source == before
    again = {**sent, "token": answer.context["draft"].token}
    assert admin_client.post(build_diagram.url, again).status_code == 302
    assert {"label": "Typed"} in [row.get("data") for row in build_diagram.source["nodes"]]
    gone = admin_client.post(build_diagram.url, {**sent, "node": "gone"})
    assert told(gone)[0].startswith("The drawing has been changed meanwhile")


def test_another_window_is_told_and_changes_nothing(
    admin_client: Client, build_diagram: Drawing
) -> None:
    token = build_diagram.look().context["draft"].token
    build_diagram.take("add", "start", kind="join", way=build_diagram.way("start"))
    before = build_diagram.source
    sent = {"token": token, "step": "delete", "node": "end"}
    answer = admin_client.post(build_diagram.url, sent)
    assert told(answer)[0].startswith("The drawing has been changed meanwhile")
    assert build_diagram.source == before


@pytest.mark.parametrize(
    "sent",
    [
        {"step": "magic"},
        {"step": "add", "node": "start", "kind": "magic"},
        {"step": "add", "node": "start", "kind": "join", "way": "{"},
        {"step": "add", "node": "start", "kind": "join", "way": "[1, 2]"},
        {"step": "add", "node": "start", "kind": "join", "way": "3"},
        {"step": "connect", "node": "end", "target": "end"},
        {"step": "disconnect", "node": "end", "way": '[null, "x"]'},
        {"step": "delete", "node": "start"},
        {"step": "set", "node": "nowhere"},
        {"step": "set", "node": "end", "data/label": "a\0b"},
        {"step": "replace"},
        {"step": "put_on_top"},
        {"step": "undo"},
    ],
)
def test_what_cannot_be_done_is_said(build_diagram: Drawing, sent: dict[str, str]) -> None:
    answer = build_diagram.take(**sent)
    assert answer.status_code == 302
    assert len(told(answer)) == 1
    assert not GraphDraft.objects.exists()


class TestFiles:
    def upload(self, build_diagram: Drawing, content: bytes) -> Any:
        return build_diagram.take("replace", file=SimpleUploadedFile("mine.json", content))

    def test_a_download_is_taken_in_again(self, build_diagram: Drawing) -> None:
        build_diagram.take("add", "start", kind="join", way=build_diagram.way("start"))
        answer = build_diagram.client.get(build_diagram.url, {"download": ""})
        assert answer["Content-Type"] == "application/json"
        assert answer["Content-Disposition"].startswith("attachment; filename=")
        wanted = build_diagram.source
        assert json.loads(answer.content) == wanted
        build_diagram.take("undo")
        self.upload(build_diagram, answer.content)
        assert build_diagram.source == wanted
        assert build_diagram.look().context["draft"].undo == "the drawing of mine.json"

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"{", "mine.json holds no JSON"),
            (b"\xff\xfe", "mine.json holds no JSON"),
            (b"[" * 100_000, "mine.json holds no JSON"),
            (b"[]", "A graph is an object"),
            (b'{"nodes": [{"id": "\\u0000"}], "edges": []}', "NUL"),
        ],
    )
    def test_what_is_no_drawing_is_refused(
        self, build_diagram: Drawing, content: bytes, words: str
    ) -> None:
        assert words in told(self.upload(build_diagram, content))[0]
        assert not GraphDraft.objects.exists()


class TestStale:
    @pytest.fixture
    def stale(self, admin_client: Client, scenario: Scenario) -> Drawing:
        scenario.start()
        build_diagram = Drawing(admin_client, scenario.caller)
        build_diagram.take("set", "end", **{"data/label": "Mine"})
        editing.save_graph(scenario.caller, line(form("theirs")), based_on=1)
        return build_diagram

    def test_it_shows_what_changed_in_both(self, stale: Drawing) -> None:
        shown = text(stale.look())
        assert "Somebody has saved" in shown
        assert '<a class="small-button" href="#stale">Version 2 was saved meanwhile</a>' in shown
        assert "Put yours on top of theirs" in shown and "Take theirs" in shown
        context = stale.look().context
        assert [row.key for row in context["mine"]] == ["end"]
        assert "theirs" in [row.key for row in context["theirs"]]
        assert told(stale.take("save"))[0].startswith("Not saved: somebody has saved another")

    def test_mine_goes_on_top(self, stale: Drawing, scenario: Scenario) -> None:
        stale.take("put_on_top")
        stale.take("save")
        source = scenario.caller.latest_version.source
        assert [row["id"] for row in source["nodes"]] == ["start", "theirs", "end"]
        assert source["nodes"][-1]["data"] == {"label": "Mine"}

    def test_theirs_is_taken(self, stale: Drawing) -> None:
        stale.take("take_theirs")
        assert stale.source == line(form("theirs"))
        assert "Somebody has saved" not in text(stale.look())

    def test_what_both_changed_is_named(self, stale: Drawing, scenario: Scenario) -> None:
        source = line(form("theirs"), last={"id": "end", "type": "end", "data": {"label": "T"}})
        editing.save_graph(scenario.caller, source, based_on=2)
        assert told(stale.take("put_on_top")) == ["Both had changed “Mine”: yours is here."]


@pytest.mark.parametrize("role", sorted(ROLES))
def test_only_who_may_save_a_graph_draws(role: str, workflow: Workflow) -> None:
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


def test_a_workflow_that_is_not_there(admin_client: Client, workflow: Workflow) -> None:
    url = page(workflow, "edit")
    workflow.delete()
    assert admin_client.get(url).status_code == 404


def test_a_stored_graph_that_is_damaged_leads_to_its_json(
    admin_client: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = {"nodes": [{"type": "end"}], "edges": []}
    opened = editing.open_draft

    def open_damaged(*args: Any) -> Any:
        draft = opened(*args)
        return type(draft)(damaged, draft.base, draft.base_cuid, draft.latest)

    monkeypatch.setattr(editing, "open_draft", open_damaged)
    shown = text(admin_client.get(page(workflow, "edit")))
    assert "Every node needs an id" in shown
    assert page(workflow, "graph") in shown


@pytest.mark.parametrize("number", [5, 100])
def test_it_takes_no_more_statements_for_a_hundred_nodes(
    admin_client: Client, scenario: Scenario, number: int
) -> None:
    steps = [form(f"n{index}") for index in range(number - 3)]
    save_line(scenario.caller, *steps, call(scenario.callee))
    build_diagram = Drawing(admin_client, scenario.caller)
    build_diagram.take("set", "end", **{"data/label": "Mine"})
    looks: list[Callable[[], Any]] = [build_diagram.look, lambda: build_diagram.look("call")]
    assert all(statements(look) <= 25 for look in looks)


def test_the_page_needs_no_script_of_its_own(build_diagram: Drawing) -> None:
    build_diagram.take("add", "start", kind="user_action", way=build_diagram.way("start"))
    shown = build_diagram.look("user_action").content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", shown)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", shown)
