"""Time of a move of a tree as a ratio to a cancel of the same tree.

    python -m benchmarks.moves
    python -m benchmarks.moves --database sqlite --trees 100 --json

A tree is a caller that waits for a child, which waits at a form. Moves go to a version with another
label, and the child goes to another version too. Moves and cancels of equal trees alternate.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from benchmarks import databases

FORM = {"id": "form", "type": "user_action", "data": {"fields": [{"name": "n", "type": "number"}]}}


def _line(*nodes: dict[str, Any]) -> dict[str, Any]:
    row = [{"id": "start", "type": "start"}, *nodes, {"id": "end", "type": "end"}]
    edges = [{"source": a["id"], "target": b["id"]} for a, b in pairwise(row)]
    return {"nodes": row, "edges": edges}


class Trees:
    """A caller and a callee, and trees of executions on them."""

    def __init__(self) -> None:
        from executions.models import Finding
        from workflows.models import FindingType, Workflow

        kind = FindingType.objects.create(name="Moves")
        rows = {"entity_name_type": kind, "state": "active"}
        self.callee = Workflow.objects.create(title="Callee", **rows)
        self.caller = Workflow.objects.create(title="Caller", **rows)
        self.finding = Finding.objects.create(title="Finding", entity_name_type=kind)
        self.number = 0
        self.save()

    def save(self) -> None:
        """Save both graphs again, so that the trees can be moved to them."""
        from workflows.editing import save_graph

        self.number += 1
        form = {**FORM, "data": {**FORM["data"], "label": f"Form {self.number}"}}
        call = {"id": "call", "type": "run_workflow", "data": {"workflow": self.callee.cuid}}
        for workflow, node in ((self.callee, form), (self.caller, call)):
            data = {**node["data"], "label": f"Node {self.number}"}
            number = workflow.latest_version.number
            save_graph(workflow, _line({**node, "data": data}), based_on=number)

    def start(self, number: int) -> list[Any]:
        """Start this many trees."""
        from executions.services import start

        return [start(self.caller, self.finding) for _ in range(number)]


def _seconds(act: Callable[[], Any]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def measure(trees: int) -> dict[str, Any]:
    """Return the median times in milliseconds, and the ratio."""
    from executions.services import cancel, move

    rows = Trees()
    moves, cancels = [], []
    for turn in range(2):
        started = rows.start(trees)
        rows.save()
        for execution in started:
            moved = _seconds(lambda row=execution: move(row, why="benchmark"))
            cancelled = _seconds(lambda row=execution: cancel(row))
            # The first turn warms up.
            if turn:
                moves.append(moved)
                cancels.append(cancelled)
    ratios = [one / other for one, other in zip(moves, cancels, strict=True)]
    return {
        "trees": trees,
        "move_ms": statistics.median(moves) * 1e3,
        "cancel_ms": statistics.median(cancels) * 1e3,
        "ratio": statistics.median(ratios),
        "quartiles": statistics.quantiles(ratios, n=4)[::2],
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--trees", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with databases.served(options.database) as server:
        server.create("moves")
        databases.django(server.url("moves"))
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        result = measure(options.trees)
        from django.db import connection

        connection.close()
    if options.json:
        print(json.dumps(result, indent=2))
        return 0
    low, high = result["quartiles"]
    print(f"move    {result['move_ms']:8.2f} ms")
    print(f"cancel  {result['cancel_ms']:8.2f} ms")
    print(f"ratio   {result['ratio']:8.2f}    ({low:.2f} – {high:.2f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
