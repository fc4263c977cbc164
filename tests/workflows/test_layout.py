"""The picture of a graph: whatever is drawn, every box has its place and every edge its way."""

from __future__ import annotations

from itertools import combinations
from time import monotonic

from hypothesis import given
from hypothesis import strategies as st

from workflows.graph import layout
from workflows.graph.layout import Box, Layout, layered


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]]]:
    """Any nodes and edges: cycles, loops, doubled edges, parts that nothing leads to."""
    ids = [f"n{number}" for number in range(draw(st.integers(0, 14)))]
    one = st.sampled_from(ids) if ids else st.nothing()
    edges = draw(st.lists(st.tuples(one, one), max_size=30)) if ids else []
    return ids, edges


def overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def assert_drawn(drawn: Layout, ids: list[str], edges: list[tuple[str, str]]) -> None:
    assert list(drawn.boxes) == ids
    assert len(drawn.routes) == len(edges)
    for box in drawn.boxes.values():
        assert -0.1 <= box.x <= drawn.width - box.width + 0.1
        assert 0 <= box.y <= drawn.height - box.height
    for (source, target), route in zip(edges, drawn.routes, strict=True):
        above, below = drawn.boxes[source], drawn.boxes[target]
        (x, y), (to_x, to_y) = route.points[0], route.points[-1]
        assert above.x < x < above.x + above.width and y == above.y + above.height
        assert below.x < to_x < below.x + below.width and to_y == below.y


@given(graphs())
def test_no_boxes_overlap_and_every_edge_runs_from_box_to_box(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    drawn = layered(*graph)
    assert_drawn(drawn, *graph)
    assert not any(overlap(*pair) for pair in combinations(drawn.boxes.values(), 2))


@given(graphs())
def test_no_edge_runs_through_a_box(graph: tuple[list[str], list[tuple[str, str]]]) -> None:
    drawn = layered(*graph)
    for route in drawn.routes:
        assert not route.direct
        for (x, y), (to_x, to_y) in zip(route.points[1:-1:2], route.points[2:-1:2], strict=True):
            assert x == to_x
            line = Box(x, min(y, to_y), 0.0, abs(to_y - y))
            assert not any(overlap(line, box) for box in drawn.boxes.values())


@given(graphs())
def test_the_same_graph_gives_the_same_picture(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    assert layered(*graph) == layered(*graph)


def test_what_follows_stands_below_and_what_leads_back_is_marked() -> None:
    edges = [("a", "b"), ("b", "c"), ("c", "a"), ("b", "b")]
    drawn = layered(["a", "b", "c"], edges)
    assert [drawn.boxes[key].y for key in "abc"] == sorted(drawn.boxes[key].y for key in "abc")
    assert [route.back for route in drawn.routes] == [False, False, True, True]


def test_a_thousand_nodes_take_bounded_time_and_long_edges_run_straight() -> None:
    ids = [f"n{number}" for number in range(1000)]
    edges = [(ids[at], ids[at + 1]) for at in range(999)]
    edges += [(ids[at], ids[(at * 7919) % 1000]) for at in range(3000 // 3)]
    before = monotonic()
    drawn = layered(ids, edges)
    assert monotonic() - before < 20
    assert_drawn(drawn, ids, edges)
    assert any(route.direct for route in drawn.routes)
    lanes = sum(len(route.points) // 2 - 1 for route in drawn.routes)
    assert lanes <= layout.WAYPOINTS
