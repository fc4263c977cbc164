"""Effect of a purge of half a million executions on starts.

    python -m benchmarks.purge                           a million executions, PostgreSQL
    python -m benchmarks.purge --database sqlite --json

One process starts a workflow repeatedly: alone, then while ``manage.py purge_executions`` deletes
half of the ended executions, then alone again. The result compares the medians and the 99th
percentiles of a start.

Exits with 1 if a start is refused, or the median more than doubles.
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


def start_repeatedly(until: Callable[[], bool]) -> list[float]:
    """Start executions until the function returns True. Return the milliseconds of each."""
    from executions.models import Finding
    from executions.services import start
    from workflows.models import Workflow

    workflow = Workflow.objects.get(pk=workflow_id(STARTS, 0))
    finding = Finding.objects.filter(entity_name_type=workflow.entity_name_type_id).first()
    assert finding is not None
    durations = []
    while not until():
        before = time.perf_counter()
        start(workflow, finding)
        durations.append((time.perf_counter() - before) * 1000)
    return durations


def for_seconds(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


class HalfPurged:
    """A condition: half of the executions are deleted. Checked every two seconds."""

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

        # The purge deletes by id, and live executions are the newest.
        first = Execution.objects.order_by("pk").values_list("pk", flat=True).first()
        return first is None or first > self.middle


def summarize(durations: list[float]) -> dict[str, Any]:
    hundredths = statistics.quantiles(durations, n=100)
    return {
        "starts": len(durations),
        "median_ms": round(statistics.median(durations), 2),
        "p99_ms": round(hundredths[98], 2),
        "slowest_ms": round(max(durations), 1),
    }


def main() -> int:
    """Fill, start, purge and print. Return 1 if the claim fails."""
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
        start_repeatedly(for_seconds(1))
        result = {"alone": summarize(start_repeatedly(for_seconds(ALONE)))}
        purge_start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "purge_executions", "--older-than", "0h"],
            env={**os.environ, "DEBUG": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        beside = start_repeatedly(HalfPurged(process, options.executions))
        seconds = time.monotonic() - purge_start
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        print(out.strip(), err.strip(), file=sys.stderr)
        result["beside"] = summarize(beside)
        result["alone again"] = summarize(start_repeatedly(for_seconds(ALONE)))
        connection.close()
    alone = statistics.mean(result[name]["median_ms"] for name in ("alone", "alone again"))
    ratio = result["beside"]["median_ms"] / alone
    result["purge"] = {"seconds": round(seconds), "ratio": round(ratio, 2)}
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, row in result.items():
            print(f"{name:12}", ", ".join(f"{key} {value}" for key, value in row.items()))
    return 1 if ratio > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
