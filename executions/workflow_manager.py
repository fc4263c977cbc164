"""The workflow manager: the frozen graph and entity context of one version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from workflows.graph import Edge, Graph, Node, parse
from workflows.models import Context, Version
from workflows.refusals import Refusal

CACHED_GRAPHS = 1_000

_graphs: dict[tuple[int, str], Graph] = {}


def graph_of(version: Version) -> Graph:
    """Return the parsed graph of a version. A version is immutable, so it is parsed once.

    The checksum is part of the cache key because SQLite reuses the id of a row that was rolled
    back.
    """
    key = (version.pk, version.checksum)
    graph = _graphs.get(key)
    if graph is None:
        graph = parse(version.source)
        if len(_graphs) >= CACHED_GRAPHS:
            # Copy the keys first: other threads may change the cache at the same time.
            for oldest in list(_graphs)[:1]:
                _graphs.pop(oldest, None)
        _graphs[key] = graph
    return graph


def graphs_of(versions: QuerySet[Version]) -> dict[int, Graph]:
    """Return the graphs of these versions by their ids; read and parse only uncached ones.

    Damaged versions are left out: check_integrity reports them.
    """
    graphs: dict[int, Graph] = {}
    uncached = []
    for key in versions.order_by().values_list("pk", "checksum"):
        graph = _graphs.get(key)
        if graph is None:
            uncached.append(key[0])
        else:
            graphs[key[0]] = graph
    for version in Version.objects.filter(pk__in=uncached) if uncached else ():
        try:
            graphs[version.pk] = graph_of(version)
        except Refusal:
            continue
    return graphs


class WorkflowManager:
    """Answers questions about the graph of one version. It reads no live record.

    Raises:
        graph.WorkflowValidationError: the frozen source is damaged.
    """

    def __init__(self, version: Version) -> None:
        self.version = version
        self.graph = graph_of(version)

    @property
    def workflow(self) -> Any:
        """The workflow, for its title only: no decision depends on it."""
        return self.version.workflow

    @property
    def context(self) -> Context:
        """The entity context that was frozen with the graph."""
        return self.version.context

    def validate_source(self) -> Graph:
        """Check the frozen source against its frozen context (``Version.validate_source``)."""
        return self.version.validate_source()

    def node(self, node_id: str) -> Node:
        """Return the node with this id. Raise ``KeyError`` if the graph has none."""
        return self.graph.node(node_id)

    def branches(self, node_id: str) -> Sequence[Edge]:
        """Return all edges that leave a fork."""
        return self.graph.forks[node_id]

    def has_exit(self, node_id: str, handle: str) -> bool:
        """Return True if the node has an edge by an exit with this name."""
        return self.graph.has_exit(node_id, handle)

    def exit(self, node_id: str, handle: str | None = None) -> Edge:
        """Return the edge that leaves this node by ``handle``."""
        return self.graph.exit(node_id, handle)
