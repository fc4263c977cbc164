"""Random graphs of forks, choices and loops offer the forms of their blocks.

``STRUCTURED_GRAPHS=20000 STRUCTURED_ORDERS=1000 pytest …/test_structured_graphs.py`` tries more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from random import Random

import pytest

from executions.engine import joins
from executions.models import Step, StepState
from tests.executions.engine.in_memory import Running
from tests.executions.engine.structured import Block, Blocks, Meaning, source_of
from workflows.graph import Graph, find_reachable

GRAPHS = int(os.environ.get("STRUCTURED_GRAPHS", "1000"))
MOST_FORMS = 60
MOST_ORDERS = int(os.environ.get("STRUCTURED_ORDERS", "25"))
Order = list[tuple[str, bool]]


def forked(seeds: Iterable[int], depth: int = 4) -> Iterator[tuple[int, Block]]:
    for seed in seeds:
        block = Blocks(seed).block(depth)
        if any(part.kind in ("fork", "race") for part in block.all()):
            yield seed, block


def difference(block: Block, choose: Random) -> str:
    """Submit forms in random order; return where engine and blocks differ, or nothing."""
    running, meaning = Running(source_of(block)), Meaning(block)
    submitted: Order = []
    for _ in range(MOST_FORMS):
        if running.offered != meaning.offered or running.is_completed != meaning.done:
            return f"{submitted}: {running.open_nodes} instead of {meaning.offered}"
        if meaning.done:
            break
        submitted.append((choose.choice(meaning.offered), choose.random() < 0.35))
        submit(running, meaning, *submitted[-1])
    return ""


def submit(running: Running, meaning: Meaning, name: str, answer: bool) -> None:
    running.submit(name, **({} if name.startswith("form") else {name: answer}))
    meaning.submit(name, answer=answer)


def test_random_graph_offers_the_tasks_of_its_blocks() -> None:
    found = {
        seed: wrong
        for seed, block in forked(range(GRAPHS))
        if (wrong := difference(block, Random(seed)))
    }
    assert found == {}


def every_order(block: Block) -> Iterator[Order]:
    """Yield the orders of submission in which each loop runs at most twice."""
    pending: list[Order] = [[]]
    while pending:
        order = pending.pop()
        meaning = Meaning(block)
        for name, answer in order:
            meaning.submit(name, answer=answer)
        if meaning.done:
            yield order
        for name in meaning.offered:
            answers = [False] if name.startswith("form") else [False, True]
            if name.startswith("loop") and (name, True) in order:
                answers = [False]
            pending += [[*order, (name, answer)] for answer in answers]


def test_small_graph_offers_the_tasks_of_its_blocks_in_every_order() -> None:
    tried = 0
    for seed, block in forked(range(GRAPHS, 2 * GRAPHS), depth=3):
        if len(list(block.all())) > 9:
            continue
        source = source_of(block)
        for order, _ in zip(every_order(block), range(MOST_ORDERS), strict=False):
            running, meaning = Running(source), Meaning(block)
            for name, answer in order:
                assert running.offered == meaning.offered, (seed, order)
                submit(running, meaning, name, answer)
            assert running.is_completed, (seed, order)
            tried += 1
    assert tried > GRAPHS


def plain_reachability(graph: Graph, open_steps: Sequence[Step]) -> Step | None:
    """Apply the rule of earlier releases: a join waits for every branch that can reach it."""
    waiting = [step for step in open_steps if step.type == "join"]
    others = [step for step in open_steps if step.type != "join"]
    assert all(step.state == StepState.OPEN for step in waiting)

    def reaches(step: Step, join: Step) -> bool:
        pairs = [(edge.source, edge.target) for edge in graph.edges if edge.source != join.node_id]
        return join.node_id in find_reachable([step.node_id], pairs)

    free = [join for join in waiting if not any(reaches(step, join) for step in others)]
    for join in free:
        before = [other for other in free if other is not join and reaches(other, join)]
        if all(reaches(join, other) for other in before):
            return join
    return None


def test_random_graphs_distinguish_plain_reachability_from_the_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(joins, "find_ready", plain_reachability)
    assert any(difference(block, Random(seed)) for seed, block in forked(range(400)))
