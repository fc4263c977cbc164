"""What somebody draws is kept, step by step, until it is saved."""

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


def test_looking_at_it_writes_nothing(workflow: Workflow, user: Any) -> None:
    draft = editing.open_draft(workflow, user)
    assert draft.source == workflow.latest_version.source
    assert (draft.row, draft.undo, draft.redo, draft.is_stale) == (None, None, None, False)
    assert not GraphDraft.objects.exists()


def test_each_user_has_a_copy_of_their_own(workflow: Workflow, user: Any) -> None:
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
    def test_undo_gives_back_the_very_source(self, steps: list[str]) -> None:
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


def test_what_can_be_undone_and_redone_is_told(workflow: Workflow, user: Any) -> None:
    label(workflow, user, "A")
    label(workflow, user, "B")
    editing.undo(workflow, user, token(workflow, user))
    draft = editing.open_draft(workflow, user)
    assert (draft.undo, draft.redo) == ("Named A", "Named B")


def test_what_changes_nothing_is_no_step(workflow: Workflow, user: Any) -> None:
    editing.edit_draft(workflow, user, token(workflow, user), lambda was: (was, "Nothing"))
    assert not GraphDraft.objects.exists()


def test_only_so_many_steps_are_kept_and_the_beginning(
    workflow: Workflow, user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_drafts, "UNDO_LIMIT", 2)
    for text in "abcdef":
        label(workflow, user, text)
    assert list(DraftState.objects.values_list("number", flat=True)) == [0, 4, 5, 6]
    for _ in range(3):
        editing.undo(workflow, user, token(workflow, user))
    assert source(workflow, user) == workflow.latest_version.source


def test_another_window_that_shows_an_earlier_state_changes_nothing(
    workflow: Workflow, user: Any
) -> None:
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


def test_what_no_database_can_store_is_not_drawn(workflow: Workflow, user: Any) -> None:
    with pytest.raises(GraphEditError, match="NUL"):
        label(workflow, user, "a\0b")
    assert not GraphDraft.objects.exists()


def test_saving_gives_a_version_and_ends_the_draft(workflow: Workflow, user: Any) -> None:
    label(workflow, user, "Done")
    drawn_by_me = source(workflow, user)
    saved = editing.save_draft(workflow, user, token(workflow, user), notes="Named the end")
    assert saved.version is not None
    assert (saved.version.source, saved.version.notes) == (drawn_by_me, "Named the end")
    assert saved.version.created_by == user
    assert not GraphDraft.objects.exists()


def test_what_is_not_sound_is_refused_and_stays_drawn(workflow: Workflow, user: Any) -> None:
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
        """Mine names the end; theirs has another form, as a later number or the same one."""
        save_line(scenario.caller, form("ask"))
        label(scenario.caller, user, "Mine")
        self.save(scenario.caller, request.param, scenario)
        return scenario.caller

    def test_it_is_not_saved_over_theirs(self, stale: Workflow, user: Any) -> None:
        assert editing.open_draft(stale, user).is_stale
        with pytest.raises(guards.StaleVersion):
            editing.save_draft(stale, user, token(stale, user))
        assert stale.latest_version.source == line(form("theirs"))

    def test_mine_goes_on_top_of_theirs_and_an_undo_shows_theirs(
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

    def test_theirs_is_taken_and_mine_is_not_lost(self, stale: Workflow, user: Any) -> None:
        editing.discard_draft_changes(stale, user, token(stale, user))
        draft = editing.open_draft(stale, user)
        assert draft.source == line(form("theirs"))
        assert draft.redo and not draft.undo and not draft.is_stale

    def test_what_i_have_undone_gives_way_without_a_word(self, stale: Workflow, user: Any) -> None:
        GraphDraft.objects.update(at=0)
        draft = editing.open_draft(stale, user)
        assert draft.source == line(form("theirs"))
        assert not draft.is_stale
        label(stale, user, "Anew")
        assert editing.open_draft(stale, user).base_source() == line(form("theirs"))

    def test_who_has_drawn_nothing_cannot_choose(self, workflow: Workflow, user: Any) -> None:
        with pytest.raises(GraphEditError):
            editing.rebase_draft(workflow, user, token(workflow, user))

    def test_another_type_with_the_same_graph_is_no_conflict(
        self, workflow: Workflow, user: Any
    ) -> None:
        label(workflow, user, "Mine")
        editing.change_entity_context([workflow], entity_name_type=FindingTypeFactory())
        draft = editing.open_draft(Workflow.objects.get(pk=workflow.pk), user)
        assert not draft.is_stale
        assert editing.save_draft(workflow, user, draft.token).version is not None


def test_a_draft_goes_with_its_workflow_and_with_its_user(workflow: Workflow, user: Any) -> None:
    label(workflow, user, "A")
    user.delete()
    assert not GraphDraft.objects.exists()
    other = UserFactory()
    label(workflow, other, "B")
    workflow.delete()
    assert not DraftState.objects.exists()
