"""The rows of nodes, and the edges that lead back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence


def find_back_edges(ids: Sequence[str], edges: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the edges that close a cycle in a depth-first walk from the nodes without a source."""
    following: dict[str, list[str]] = defaultdict(list)
    for source, target in dict.fromkeys(edges):
        following[source].append(target)
    entered = {target for source, target in edges if source != target}
    found: set[tuple[str, str]] = set()
    done: set[str] = set()
    on_path: set[str] = set()
    for root in [*(key for key in ids if key not in entered), *ids]:
        if root in done:
            continue
        stack = [(root, iter(following[root]))]
        on_path.add(root)
        while stack:
            key, targets = stack[-1]
            for target in targets:
                if target in on_path:
                    found.add((key, target))
                elif target not in done:
                    stack.append((target, iter(following[target])))
                    on_path.add(target)
                    break
            else:
                on_path.discard(key)
                done.add(key)
                stack.pop()
    return found


def rank_nodes(
    ids: Sequence[str], edges: Sequence[tuple[str, str]], back: set[tuple[str, str]]
) -> dict[str, int]:
    """Return the row of each node: below all of its sources, without edges that lead back."""
    forward = [edge for edge in dict.fromkeys(edges) if edge not in back]
    following: dict[str, list[str]] = defaultdict(list)
    waits: dict[str, int] = dict.fromkeys(ids, 0)
    for source, target in forward:
        following[source].append(target)
        waits[target] += 1
    ranks = dict.fromkeys(ids, 0)
    ready = [key for key in ids if not waits[key]]
    for key in ready:
        for target in following[key]:
            ranks[target] = max(ranks[target], ranks[key] + 1)
            waits[target] -= 1
            if not waits[target]:
                ready.append(target)
    return ranks
