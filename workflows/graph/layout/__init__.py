"""Layout of a graph diagram: places of boxes, routes of edges, places of labels.

Pure arithmetic, without a database.
"""

from workflows.graph.layout.automatic import WAYPOINTS
from workflows.graph.layout.graph_layout import layout_graph
from workflows.graph.layout.shapes import HEIGHT, ROW_GAP, WIDTH, Box, Layout, Route

__all__ = ["HEIGHT", "ROW_GAP", "WAYPOINTS", "WIDTH", "Box", "Layout", "Route", "layout_graph"]
