"""What a purge of half a million executions costs those who start others meanwhile.

    python -m benchmarks.purge                           a million executions, PostgreSQL
    python -m benchmarks.purge --database sqlite --json

Starts of one workflow are made one after the other by one process: alone, then while
``manage.py purge_executions`` deletes half of what has ended, then alone again. Compared are the
medians of what one start takes; the slowest hundredth stands beside them.

Exit 1 when a start is refused, or takes more than twice as long at the median.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import databases
from benchmarks.population import STARTS, Population, workflow_id

LIMIT = 2.0
ALONE = 10.0
ROOT = Path(__file__).resolve().parent.parent


def started(until: Callable[[], bool]) -> list[float]:
    """Start until told otherwise; what each start took, in milliseconds."""
    from executions.models import Finding
    from executions.services import start
    from workflows.models import Workflow

    workflow = Workflow.objects.get(pk=workflow_id(STARTS, 0))
    finding = Finding.objects.filter(entity_name_type=workflow.entity_name_type_id).first()
    assert finding is not None
    took = []
    while not until():
        before = time.perf_counter()
        start(workflow, finding)
        took.append((time.perf_counter() - before) * 1000)
    return took


def for_seconds(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


class HalfGone:
    """Whether the purge has taken half of what there was; asked every few seconds."""

    def __init__(self, process: subprocess.Popen[str], highest: int) -> None:
        self.process = process
        self.middle = highest // 2
        self.next = time.monotonic()

    def __call__(self) -> bool:
        if self.process.poll() is not None:
            return True
        if time.monotonic() < self.next:
            return False
        self.next = time.monotonic() + 2
        from executions.models import Execution

        # It goes by their ids, and the live ones are the newest.
        first = Execution.objects.order_by("pk").values_list("pk", flat=True).first()
        return first is None or first > self.middle


def described(took: list[float]) -> dict[str, Any]:
    hundredths = statistics.quantiles(took, n=100)
    return {
        "starts": len(took),
        "median_ms": round(statistics.median(took), 2),
        "p99_ms": round(hundredths[98], 2),
        "slowest_ms": round(max(took), 1),
    }


def main() -> int:
    """Fill, start and purge, print; 1 when the claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=databases.VENDORS, default="postgresql")
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with databases.served(options.database, "synchronous_commit = off") as server:
        server.create("large")
        databases.django(server.url("large"))
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", verbosity=0)
        Population(1000, options.executions, 250).fill()
        started(for_seconds(1))
        told = {"alone": described(started(for_seconds(ALONE)))}
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "purge_executions", "--older-than", "0h"],
            env={**os.environ, "DEBUG": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        beside = started(HalfGone(process, options.executions))
        seconds = time.monotonic() - began
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        print(out.strip(), err.strip(), file=sys.stderr)
        told["beside"] = described(beside)
        told["alone again"] = described(started(for_seconds(ALONE)))
        connection.close()
    alone = statistics.mean(told[name]["median_ms"] for name in ("alone", "alone again"))
    ratio = told["beside"]["median_ms"] / alone
    told["purge"] = {"seconds": round(seconds), "ratio": round(ratio, 2)}
    if options.json:
        print(json.dumps(told, indent=2))
    else:
        for name, row in told.items():
            print(f"{name:12}", ", ".join(f"{key} {value}" for key, value in row.items()))
    return 1 if ratio > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
