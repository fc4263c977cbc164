"""The layout of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workflows.graph.layout.arranged import layout_arranged
from workflows.graph.layout.automatic import layout_automatically
from workflows.graph.layout.shapes import Layout, Point


def layout_graph(
    ids: Sequence[str],
    edges: Sequence[tuple[str, str]],
    label_widths: Sequence[float] = (),
    positions: Mapping[str, Point] | None = None,
) -> Layout:
    """Return the layout of a graph.

    Args:
        ids: the ids of the nodes.
        edges: the edges, as source and target; both ends must be nodes.
        label_widths: the width of the label of each edge, 0 without a label. By default, no edge
            has a label.
        positions: the upper left corners of boxes, by node id. Without any, the boxes are in rows.
    """
    ids, widths = list(dict.fromkeys(ids)), label_widths or [0.0] * len(edges)
    known = set(ids)
    placed = {key: at for key, at in (positions or {}).items() if key in known}
    if placed:
        return layout_arranged(ids, edges, widths, placed)
    return layout_automatically(ids, edges, widths)
