"""The workflow manager: the frozen graph of one version, and how it is walked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from executions.engine.nodes import behaviour
from executions.engine.nodes.behaviour import Behaviour
from workflows.graph import Edge, Graph, Node, parse
from workflows.models import Context, Version
from workflows.refusals import Refusal

CACHED_GRAPHS = 1_000

_graphs: dict[tuple[int, str], Graph] = {}


def graph_of(version: Version) -> Graph:
    """The parsed graph of a version; a version is immutable, so it is parsed once.

    The checksum stands in the key because SQLite gives the id of a row that was rolled back
    to another one.
    """
    key = (version.pk, version.checksum)
    graph = _graphs.get(key)
    if graph is None:
        graph = parse(version.source)
        if len(_graphs) >= CACHED_GRAPHS:
            # A list is taken at once, whatever other threads do to the rest.
            for oldest in list(_graphs)[:1]:
                _graphs.pop(oldest, None)
        _graphs[key] = graph
    return graph


def graphs_of(versions: QuerySet[Version]) -> dict[int, Graph]:
    """The graphs of these versions by their ids; only what is not known yet is read and parsed.

    A damaged version is left out: it is a finding of check_integrity.
    """
    known: dict[int, Graph] = {}
    unknown = []
    for key in versions.order_by().values_list("pk", "checksum"):
        graph = _graphs.get(key)
        if graph is None:
            unknown.append(key[0])
        else:
            known[key[0]] = graph
    for version in Version.objects.filter(pk__in=unknown) if unknown else ():
        try:
            known[version.pk] = graph_of(version)
        except Refusal:
            continue
    return known


class WorkflowManager:
    """Answers for one version what its graph says. No live record is read for it.

    Raises:
        graph.WorkflowValidationError: the frozen source is damaged.
    """

    def __init__(self, version: Version) -> None:
        self.version = version
        self.graph = graph_of(version)

    @property
    def workflow(self) -> Any:
        """The workflow, for its title; nothing is decided by it."""
        return self.version.workflow

    @property
    def context(self) -> Context:
        """The entity context that was frozen with the graph."""
        return self.version.context

    def validate_source(self) -> Graph:
        """Judge the frozen source by its own frozen context (``Version.validate_source``)."""
        return self.version.validate_source()

    def node(self, node_id: str) -> Node:
        """The node with this id. Raises ``KeyError`` when the graph has none."""
        return self.graph.node(node_id)

    def behaviour(self, node: Node) -> Behaviour:
        """What a node of this type does."""
        return behaviour(node.type)

    def branches(self, node_id: str) -> Sequence[Edge]:
        """The edges by which a fork is left, all at once."""
        return self.graph.forks[node_id]

    def exit(self, node_id: str, handle: str | None = None) -> Edge:
        """The edge that is taken by leaving this node by ``handle``."""
        return self.graph.exit(node_id, handle)
