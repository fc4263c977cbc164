"""Layout of graph diagrams, for generated graphs."""

from __future__ import annotations

from itertools import combinations, pairwise
from time import monotonic

from hypothesis import example, given
from hypothesis import strategies as st

from workflows.graph import layout
from workflows.graph.layout import HEIGHT, WIDTH, Box, Layout, layout_graph


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]]]:
    """Generate nodes and edges with cycles, loops, duplicate edges and unconnected parts."""
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


def assert_layout(result: Layout, ids: list[str], edges: list[tuple[str, str]]) -> None:
    assert list(result.boxes) == ids
    assert len(result.routes) == len(edges)
    for box in result.boxes.values():
        assert -0.1 <= box.x <= result.width - box.width + 0.1
        assert 0 <= box.y <= result.height - box.height
    for (source, target), route in zip(edges, result.routes, strict=True):
        above, below = result.boxes[source], result.boxes[target]
        (x, y), (to_x, to_y) = route.points[0], route.points[-1]
        assert above.x < x < above.x + above.width and y == above.y + above.height
        assert below.x < to_x < below.x + below.width and to_y == below.y


@given(graphs())
def test_boxes_do_not_overlap_and_edges_connect_boxes(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    result = layout_graph(*graph)
    assert_layout(result, *graph)
    assert not any(overlap(*pair) for pair in combinations(result.boxes.values(), 2))


@given(graphs())
def test_edges_do_not_cross_boxes(graph: tuple[list[str], list[tuple[str, str]]]) -> None:
    result = layout_graph(*graph)
    for route in result.routes:
        assert not route.direct
        for (x, y), (to_x, to_y) in zip(route.points[1:-1:2], route.points[2:-1:2], strict=True):
            assert x == to_x
            line = Box(x, min(y, to_y), 0.0, abs(to_y - y))
            assert not any(overlap(line, box) for box in result.boxes.values())


@given(graphs())
def test_layout_is_deterministic(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    assert layout_graph(*graph) == layout_graph(*graph)


def test_targets_are_below_and_back_edges_are_marked() -> None:
    edges = [("a", "b"), ("b", "c"), ("c", "a"), ("b", "b")]
    result = layout_graph(["a", "b", "c"], edges)
    assert [result.boxes[key].y for key in "abc"] == sorted(result.boxes[key].y for key in "abc")
    assert [route.back for route in result.routes] == [False, False, True, True]


def chain(number: int) -> tuple[list[str], list[tuple[str, str]]]:
    ids = [f"n{at}" for at in range(number)]
    return ids, list(pairwise(ids))


def test_long_edges_to_the_same_node_share_their_lanes() -> None:
    ids, edges = chain(9)
    edges += [("n1", "n8"), ("n3", "n8")]
    first, second = layout_graph(ids, edges).routes[-2:]
    assert len(first.points) == 14
    assert first.points[-len(second.points) + 1 :] == second.points[1:]


def test_long_back_edges_to_the_same_node_share_one_lane_beside_all_rows() -> None:
    ids, edges = chain(9)
    edges += [("n7", "n1"), ("n5", "n1"), ("n4", "n3")]
    result = layout_graph(ids, edges)
    first, second, short = result.routes[-3:]
    assert len(first.points) == 4
    assert {x for x, _ in (*first.points[1:-1], *second.points[1:-1])} == {first.points[1][0]}
    assert first.points[-1] == second.points[-1]
    others = [short.points[1][0], *(box.x for box in result.boxes.values())]
    assert first.points[1][0] < min(others) or first.points[1][0] > max(others) + WIDTH


@example((["a", "b"], [("a", "b")] * 6), [96.0] * 30)
@given(graphs(), st.lists(st.sampled_from([0.0, 30.0, 96.0]), min_size=30, max_size=30))
def test_labels_cover_neither_each_other_nor_boxes(
    graph: tuple[list[str], list[tuple[str, str]]], widths: list[float]
) -> None:
    ids, edges = graph
    result = layout_graph(ids, edges, widths[: len(edges)])
    found = []
    for route, width in zip(result.routes, widths, strict=False):
        assert (route.label is not None) == (width > 0)
        if route.label is not None:
            x, y = route.label
            found.append(Box(x - width / 2, y - 11, width, 12))
    shapes = [*found, *result.boxes.values()]
    assert not any(overlap(one, other) for one, other in combinations(shapes, 2))


@given(graphs(), st.data())
def test_boxes_lie_at_their_positions_and_edges_connect_them(
    graph: tuple[list[str], list[tuple[str, str]]], data: st.DataObject
) -> None:
    ids, edges = graph
    number = st.integers(-1000, 1000)
    chosen = (
        data.draw(st.dictionaries(st.sampled_from(ids), st.tuples(number, number))) if ids else {}
    )
    result = layout_graph(ids, edges, [], {**chosen, "removed": (0, 0)})
    assert list(result.boxes) == ids
    assert all((result.boxes[key].x, result.boxes[key].y) == at for key, at in chosen.items())
    others = [box for key, box in result.boxes.items() if key not in chosen]
    for box in others:
        assert not any(overlap(box, other) for other in result.boxes.values() if other is not box)
    for (source, target), route in zip(edges, result.routes, strict=True):
        above, below = result.boxes[source], result.boxes[target]
        (x, y), (to_x, to_y) = route.points[0], route.points[-1]
        assert above.x < x < above.x + above.width and y == above.bottom
        assert below.x < to_x < below.x + below.width and to_y == below.y
        if chosen:
            assert all(
                result.left <= x <= result.left + result.width + 0.1 for x, _ in route.points
            )


def test_nodes_without_position_lie_side_by_side_below_the_one_before_them() -> None:
    ids, edges = chain(4)
    edges.append(("n1", "n4"))
    at = {"n0": (0.0, 0.0), "n1": (500.0, 0.0), "n3": (0.0, 300.0)}
    boxes = layout_graph([*ids, "n4"], edges, [], at).boxes
    assert (boxes["n2"].x, boxes["n2"].y > HEIGHT) == (500, True)
    assert (boxes["n4"].x >= 500 + WIDTH, boxes["n4"].y) == (True, boxes["n2"].y)


def test_edge_goes_around_boxes_between_positions() -> None:
    at = {"n0": (0.0, 0.0), "n1": (0.0, 150.0), "n2": (0.0, 300.0)}
    edges = [("n0", "n2"), ("n2", "n0")]
    for route in layout_graph(list(at), edges, [], at).routes:
        assert len(route.points) == 4
        assert not 0 <= route.points[1][0] <= WIDTH


def test_large_graph_takes_bounded_time_with_direct_edges() -> None:
    ids = [f"n{number}" for number in range(1000)]
    edges = [(ids[at], ids[at + 1]) for at in range(999)]
    edges += [(ids[at], ids[(at * 7919) % 1000]) for at in range(3000 // 3)]
    before = monotonic()
    result = layout_graph(ids, edges)
    assert monotonic() - before < 20
    assert_layout(result, ids, edges)
    assert any(route.direct for route in result.routes)
    lanes = {
        (target, point)
        for (_, target), route in zip(edges, result.routes, strict=True)
        for point, end in zip(route.points[1:-1:2], route.points[2:-1:2], strict=True)
        if abs(point[1] - end[1]) == HEIGHT
    }
    assert len(lanes) <= layout.WAYPOINTS
