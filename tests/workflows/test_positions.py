"""Positions of nodes in a source. No database."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.workflows.graphs import line, node
from workflows.graph import WorkflowValidationError, parse
from workflows.graph.edit_steps import GraphEditError
from workflows.graph.positions import (
    list_positions,
    merge_positions,
    move_nodes,
    with_positions,
    without_positions,
)

DISPLAYED = {"start": {"x": 0, "y": 0}, "a": {"x": 0, "y": 100}, "end": {"x": 0, "y": 200}}


def source() -> dict[str, Any]:
    return line(node("a", "set_state", state="A"))


def test_positions_are_split_from_a_source_and_put_back() -> None:
    placed = with_positions(source(), DISPLAYED)
    assert list_positions(placed) == DISPLAYED
    assert without_positions(placed) == source()
    assert list_positions(with_positions(placed, {})) == {}


@pytest.mark.parametrize("damaged", [None, [], {"nodes": 7}, {"nodes": [7, {"position": 1}]}])
def test_damaged_source_has_no_positions(damaged: Any) -> None:
    assert list_positions(damaged) == {}
    with_positions(damaged, DISPLAYED)


@pytest.mark.parametrize(
    "position",
    [
        None,
        [1, 2],
        {"x": 1},
        {"x": 1, "y": "2"},
        {"x": True, "y": 2},
        {"x": 1, "y": 100_001},
        {"x": 1, "y": 2, "z": 3},
    ],
)
def test_invalid_position_is_refused_with_its_pointer(position: Any) -> None:
    wrong = source()
    wrong["nodes"][1]["position"] = position
    with pytest.raises(WorkflowValidationError) as refused:
        parse(wrong, is_new=True)
    assert [row.pointer for row in refused.value.problems] == ["/nodes/1/position"]
    # Versions of earlier releases can have any value there.
    parse(wrong)
    assert list_positions(wrong) == {}
    with pytest.raises(GraphEditError):
        move_nodes(source(), {"a": position}, DISPLAYED)


def test_move_of_one_node_leaves_the_others_where_they_are_displayed() -> None:
    before = source()
    moved = move_nodes(before, {"a": {"x": 50, "y": 60}}, DISPLAYED)
    assert list_positions(moved) == {**DISPLAYED, "a": {"x": 50, "y": 60}}
    assert before == source()


@pytest.mark.parametrize("moves", [{"gone": {"x": 1, "y": 2}}, None, [], "a"])
def test_move_of_an_unknown_node_is_refused(moves: Any) -> None:
    with pytest.raises(GraphEditError):
        move_nodes(source(), moves, DISPLAYED)


def test_own_moves_are_merged_with_those_of_others() -> None:
    mine, theirs = copy.deepcopy(DISPLAYED), copy.deepcopy(DISPLAYED)
    theirs["end"]["x"] = 9
    assert merge_positions(DISPLAYED, mine, theirs) == theirs
    mine["a"]["x"] = 5
    merged = merge_positions(DISPLAYED, mine, theirs)
    assert (merged["a"]["x"], merged["end"]["x"]) == (5, 9)
    assert merge_positions(DISPLAYED, {}, theirs) == {}
    assert merge_positions(DISPLAYED, mine, {}) == mine
