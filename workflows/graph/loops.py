"""Endless loops: an execution in one would never wait and never leave."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence

from workflows.graph.graph import Edge, Node
from workflows.graph.node_types import node_types

Targets = Mapping[str, Sequence[str]]


def find_endless_loops(nodes: Sequence[Node], outgoing: Mapping[str, Sequence[Edge]]) -> list[Node]:
    """Return the nodes of all loops without a wait and without a condition that leaves them.

    The nodes keep their order. A fork belongs to such a loop if one of its branches leads back:
    the other branches leave, but each round starts them again. A join waits if a branch on its
    loop can.
    """
    types = node_types()
    targets = {node.id: [edge.target for edge in outgoing[node.id]] for node in nodes}
    loop_of = _group_by_loop(targets)
    waiting = {node.id for node in nodes if types[node.type].waits}
    loops_that_wait = {loop_of[node] for node in waiting}
    joins = {node.id for node in nodes if types[node.type].merges}
    waiting |= {join for join in joins if loop_of[join] in loops_that_wait}
    forks = {node.id for node in nodes if types[node.type].forks}
    passing = {node: targets[node] for node in targets if targets[node] and node not in waiting}
    endless = _find_closed(passing, forks)
    # Nodes that only lead to a loop are not part of it.
    inward = _reverse({node: passing[node] for node in endless})
    on_loops = _find_closed({node: inward[node] for node in endless if inward[node]}, endless)
    return [node for node in nodes if node.id in on_loops]


def _reverse(targets: Targets) -> dict[str, list[str]]:
    sources: dict[str, list[str]] = defaultdict(list)
    for node, following in targets.items():
        for target in following:
            sources[target].append(node)
    return sources


def _find_closed(targets: Targets, one_is_enough: Container[str]) -> set[str]:
    """Return the largest set of nodes whose edges stay in the set.

    All edges of a node must stay in it, or at least one where ``one_is_enough``.
    """
    left = {node: sum(target in targets for target in targets[node]) for node in targets}
    due = [
        node
        for node, count in left.items()
        if not count or (node not in one_is_enough and count < len(targets[node]))
    ]
    removed = set(due)
    sources = _reverse(targets)
    while due:
        for node in sources[due.pop()]:
            left[node] -= 1
            if node not in removed and (node not in one_is_enough or not left[node]):
                removed.add(node)
                due.append(node)
    return set(targets) - removed


def _group_by_loop(targets: Targets) -> dict[str, str]:
    """Return a loop name for each node; nodes on a common loop share it (Kosaraju)."""
    finished: list[str] = []
    seen: set[str] = set()
    for root in targets:
        stack: list[tuple[str, Iterator[str]]] = []
        if root not in seen:
            seen.add(root)
            stack.append((root, iter(targets[root])))
        while stack:
            node, following = stack[-1]
            target = next((one for one in following if one not in seen), None)
            if target is not None:
                seen.add(target)
                stack.append((target, iter(targets[target])))
            else:
                stack.pop()
                finished.append(node)
    sources = _reverse(targets)
    loop_of: dict[str, str] = {}
    for root in reversed(finished):
        pending = [root]
        while pending:
            node = pending.pop()
            if node not in loop_of:
                loop_of[node] = root
                pending += sources[node]
    return loop_of
