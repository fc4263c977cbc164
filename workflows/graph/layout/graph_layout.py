"""The layout of a graph."""

from __future__ import annotations

from collections.abc import Sequence

from workflows.graph.layout.automatic import layout_automatically
from workflows.graph.layout.shapes import Layout


def layout_graph(
    ids: Sequence[str],
    edges: Sequence[tuple[str, str]],
    label_widths: Sequence[float] = (),
) -> Layout:
    """Return the layout of a graph.

    Args:
        ids: the ids of the nodes.
        edges: the edges, as source and target; both ends must be nodes.
        label_widths: the width of the label of each edge, 0 without a label. By default, no edge
            has a label.
    """
    ids, widths = list(dict.fromkeys(ids)), label_widths or [0.0] * len(edges)
    return layout_automatically(ids, edges, widths)
