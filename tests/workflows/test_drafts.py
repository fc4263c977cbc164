"""Drafts of graphs: undo, redo, conflicts and saving."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TransactionTestCase

from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, UserFactory, WorkflowFactory, form, line, save_line
from workflows import editing, guards
from workflows.editing import graph_drafts
from workflows.graph import WorkflowValidationError
from workflows.graph.edit_steps import GraphEditError, add_node_after, set_node_data
from workflows.models import DraftState, GraphDraft, Workflow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def workflow() -> Workflow:
    return WorkflowFactory()


@pytest.fixture
def user() -> Any:
    return UserFactory()


def token(workflow: Workflow, user: Any) -> str:
    return editing.open_draft(workflow, user).token


def source(workflow: Workflow, user: Any) -> dict[str, Any]:
    return editing.open_draft(workflow, user).source


def label(workflow: Workflow, user: Any, text: str) -> None:
    editing.edit_draft(
        workflow,
        user,
        token(workflow, user),
        lambda was: (set_node_data(was, "end", {"label": text}), f"Named {text}"),
    )


def test_open_draft_writes_nothing(workflow: Workflow, user: Any) -> None:
    draft = editing.open_draft(workflow, user)
    assert draft.source == workflow.latest_version.source
    assert (draft.row, draft.undo, draft.redo, draft.is_stale) == (None, None, None, False)
    assert not GraphDraft.objects.exists()


def test_each_user_has_a_draft(workflow: Workflow, user: Any) -> None:
    other = UserFactory()
    label(workflow, user, "Mine")
    assert source(workflow, other) == workflow.latest_version.source
    label(workflow, other, "Theirs")
    labels = [
        next(row for row in source(workflow, who)["nodes"] if row["id"] == "end")["data"]["label"]
        for who in (user, other)
    ]
    assert labels == ["Mine", "Theirs"]


class TestUndo(TransactionTestCase):
    @given(st.lists(st.sampled_from(["do", "undo", "redo"]), max_size=14))
    def test_undo_restores_the_source(self, steps: list[str]) -> None:
        workflow, user = WorkflowFactory(), UserFactory()
        states, at = [copy.deepcopy(source(workflow, user))], 0
        for index, step in enumerate(steps):
            if step == "do":
                label(workflow, user, f"Label {index}")
                states, at = [*states[: at + 1], copy.deepcopy(source(workflow, user))], at + 1
                continue
            moved = at - 1 if step == "undo" else at + 1
            take = editing.undo if step == "undo" else editing.redo
            if 0 <= moved < len(states):
                take(workflow, user, token(workflow, user))
                at = moved
            else:
                with pytest.raises(GraphEditError):
                    take(workflow, user, token(workflow, user))
            assert source(workflow, user) == states[at]


def test_undo_and_redo_are_described(workflow: Workflow, user: Any) -> None:
    label(workflow, user, "A")
    label(workflow, user, "B")
    editing.undo(workflow, user, token(workflow, user))
    draft = editing.open_draft(workflow, user)
    assert (draft.undo, draft.redo) == ("Named A", "Named B")


def test_change_without_effect_is_not_a_state(workflow: Workflow, user: Any) -> None:
    editing.edit_draft(workflow, user, token(workflow, user), lambda was: (was, "Nothing"))
    assert not GraphDraft.objects.exists()


def test_undo_limit_keeps_the_base(
    workflow: Workflow, user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_drafts, "UNDO_LIMIT", 2)
    for text in "abcdef":
        label(workflow, user, text)
    assert list(DraftState.objects.values_list("number", flat=True)) == [0, 4, 5, 6]
    for _ in range(3):
        editing.undo(workflow, user, token(workflow, user))
    assert source(workflow, user) == workflow.latest_version.source


def test_edit_of_an_earlier_state_is_refused(workflow: Workflow, user: Any) -> None:
    seen = token(workflow, user)
    label(workflow, user, "A")
    for act in (
        lambda: editing.edit_draft(
            workflow, user, seen, lambda was: (set_node_data(was, "end", {}), "x")
        ),
        lambda: editing.undo(workflow, user, seen),
        lambda: editing.redo(workflow, user, seen),
        lambda: editing.save_draft(workflow, user, seen),
        lambda: editing.discard_draft_changes(workflow, user, seen),
    ):
        with pytest.raises(editing.DraftConflict):
            act()
    assert editing.open_draft(workflow, user).undo == "Named A"


def test_unstorable_text_is_refused(workflow: Workflow, user: Any) -> None:
    with pytest.raises(GraphEditError, match="NUL"):
        label(workflow, user, "a\0b")
    assert not GraphDraft.objects.exists()


def test_save_creates_a_version_and_deletes_the_draft(workflow: Workflow, user: Any) -> None:
    label(workflow, user, "Done")
    own_source = source(workflow, user)
    saved = editing.save_draft(workflow, user, token(workflow, user), notes="Named the end")
    assert saved.version is not None
    assert (saved.version.source, saved.version.notes) == (own_source, "Named the end")
    assert saved.version.created_by == user
    assert not GraphDraft.objects.exists()


def test_invalid_graph_is_refused_and_stays_in_the_draft(workflow: Workflow, user: Any) -> None:
    editing.edit_draft(
        workflow,
        user,
        token(workflow, user),
        lambda was: (add_node_after(was, "start", "set_state", before="end")[0], "Added"),
    )
    with pytest.raises(WorkflowValidationError):
        editing.save_draft(workflow, user, token(workflow, user))
    draft = editing.open_draft(workflow, user)
    assert draft.undo == "Added"
    problems = editing.graph_problems(workflow, draft.source)
    assert [row.pointer for row in problems] == ["/nodes/1/data/state"]
    editing.undo(workflow, user, draft.token)
    assert editing.graph_problems(workflow, source(workflow, user)) == []


class TestStale:
    def save(self, workflow: Workflow, is_running: bool, scenario: Scenario) -> None:
        if is_running:
            scenario.start()
        number = workflow.latest_version.number
        editing.save_graph(workflow, line(form("theirs")), based_on=number)

    @pytest.fixture(params=[True, False], ids=["appended", "replaced"])
    def stale(self, request: Any, scenario: Scenario, user: Any) -> Workflow:
        """Change the end in the draft, and save another form as a new or a replaced version."""
        save_line(scenario.caller, form("ask"))
        label(scenario.caller, user, "Mine")
        self.save(scenario.caller, request.param, scenario)
        return scenario.caller

    def test_save_of_a_stale_draft_is_refused(self, stale: Workflow, user: Any) -> None:
        assert editing.open_draft(stale, user).is_stale
        with pytest.raises(guards.StaleVersion):
            editing.save_draft(stale, user, token(stale, user))
        assert stale.latest_version.source == line(form("theirs"))

    def test_rebase_applies_the_draft_and_undo_shows_the_latest_version(
        self, stale: Workflow, user: Any
    ) -> None:
        assert editing.rebase_draft(stale, user, token(stale, user)) == []
        draft = editing.open_draft(stale, user)
        assert not draft.is_stale
        nodes = {row["id"]: row for row in draft.source["nodes"]}
        assert list(nodes) == ["start", "theirs", "end"]
        assert nodes["end"]["data"] == {"label": "Mine"}
        editing.undo(stale, user, draft.token)
        assert source(stale, user) == line(form("theirs"))
        editing.redo(stale, user, token(stale, user))
        assert editing.save_draft(stale, user, token(stale, user)).version is not None

    def test_discarded_changes_can_be_redone(self, stale: Workflow, user: Any) -> None:
        editing.discard_draft_changes(stale, user, token(stale, user))
        draft = editing.open_draft(stale, user)
        assert draft.source == line(form("theirs"))
        assert draft.redo and not draft.undo and not draft.is_stale

    def test_draft_without_changes_follows_the_latest_version(
        self, stale: Workflow, user: Any
    ) -> None:
        GraphDraft.objects.update(at=0)
        draft = editing.open_draft(stale, user)
        assert draft.source == line(form("theirs"))
        assert not draft.is_stale
        label(stale, user, "Anew")
        assert editing.open_draft(stale, user).base_source() == line(form("theirs"))

    def test_rebase_without_a_draft_is_refused(self, workflow: Workflow, user: Any) -> None:
        with pytest.raises(GraphEditError):
            editing.rebase_draft(workflow, user, token(workflow, user))

    def test_type_change_does_not_make_the_draft_stale(self, workflow: Workflow, user: Any) -> None:
        label(workflow, user, "Mine")
        editing.change_entity_context([workflow], entity_name_type=FindingTypeFactory())
        draft = editing.open_draft(Workflow.objects.get(pk=workflow.pk), user)
        assert not draft.is_stale
        assert editing.save_draft(workflow, user, draft.token).version is not None


def test_draft_is_deleted_with_its_workflow_or_user(workflow: Workflow, user: Any) -> None:
    label(workflow, user, "A")
    user.delete()
    assert not GraphDraft.objects.exists()
    other = UserFactory()
    label(workflow, other, "B")
    workflow.delete()
    assert not DraftState.objects.exists()
