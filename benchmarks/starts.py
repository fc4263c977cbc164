"""Cost of locks and keys for starts of one busy workflow.

    python -m benchmarks.starts                              four processes, PostgreSQL
    python -m benchmarks.starts --processes 1 --json
    python -m benchmarks.starts --database sqlite

One workflow has a callee. Each process starts it on its own findings, in short slices in
alternating order: *shipped*, and *bare*, the same code on a copy of the database without composite
keys and write-once triggers, and without row locks. The result is the median, over pairs of
slices, of the ratio of starts per second, and of starts per second of CPU time (processes and
backends). Without ``--sync``, PostgreSQL does not wait for the disk at commit, which would hide the
difference.

On SQLite, which has no row locks, *bare* has no foreign keys.

Exits with 1 if the claimed ratio is below 0.9.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import databases

LIMIT = 0.9
SHIPPED, BARE = "shipped", "bare"


@dataclass(frozen=True, slots=True)
class Slice:
    """The result of one process in one slice."""

    variant: str
    starts: int
    seconds: float
    cpu: float


def build(processes: int) -> None:
    """Create a caller with a form, its callee, and a finding for each process."""
    from django.core.management import call_command

    from benchmarks.population import source
    from executions.models import Finding
    from workflows.editing import save_graph
    from workflows.models import FindingType, Workflow

    call_command("migrate", verbosity=0)
    finding_type = FindingType.objects.create(name="A")
    callee = Workflow.objects.create(title="callee", entity_name_type=finding_type, state="active")
    caller = Workflow.objects.create(title="caller", entity_name_type=finding_type, state="active")
    graph = source([])
    call = {"id": "call", "type": "run_workflow", "data": {"workflow": callee.cuid}}
    graph["nodes"].insert(2, call)
    graph["edges"] = [
        {"source": "start", "target": "form"},
        {"source": "form", "target": "call"},
        {"source": "call", "target": "end"},
    ]
    save_graph(caller, graph, based_on=1)
    for process in range(processes):
        Finding.objects.create(title=f"{process}", entity_name_type=finding_type)


def strip() -> None:
    """Drop the composite keys and the write-once triggers of the current database."""
    from django.db import connection

    from benchmarks.race import drop_keys
    from workflows.db import write_once

    write_once.remove(connection)
    drop_keys()


def unlocked() -> tuple[Any, ...]:
    """Return patches that disable row locks and the checks after locking."""
    from benchmarks.race import no_lock
    from executions.engine.store import PostgreSQLStore
    from executions.models import Entity

    write_rows = PostgreSQLStore._write_rows
    return (
        mock.patch.object(
            PostgreSQLStore, "_write_rows", lambda store, rows, _: write_rows(store, rows, None)
        ),
        mock.patch("workflows.db.locks.lock_rows", no_lock),
        mock.patch(
            "executions.services.starting.lock_entity", lambda pk: Entity._base_manager.get(pk=pk)
        ),
    )


def backend_cpu(connection: Any) -> float:
    """Return the CPU seconds of the backend. SQLite runs in the process itself."""
    if connection.vendor == "sqlite":
        return 0.0
    stat = Path(f"/proc/{connection.connection.info.backend_pid}/stat").read_text()
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def work(url: str, number: int, order: list[str], seconds: float, barrier: Any, out: Any) -> None:
    """Run the slices of one process, in step with the others."""
    databases.django(url)
    from executions.models import Finding
    from executions.services import start
    from workflows.models import Workflow

    connections = {variant: databases.connect(variant) for variant in (SHIPPED, BARE)}
    slices = []
    for variant in order:
        connection = connections[variant]
        databases.use(connection)
        workflow = Workflow.objects.get(title="caller")
        finding = Finding.objects.get(title=f"{number}")
        if variant == BARE and connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA foreign_keys = OFF")
        patches = unlocked() if variant == BARE else ()
        for patch in patches:
            patch.start()
        start(workflow, finding)
        barrier.wait()
        cpu = time.process_time() + backend_cpu(connection)
        begin = now = time.perf_counter()
        starts = 0
        while now - begin < seconds:
            start(workflow, finding)
            starts += 1
            now = time.perf_counter()
        cpu = time.process_time() + backend_cpu(connection) - cpu
        slices.append(Slice(variant, starts, now - begin, cpu))
        for patch in patches:
            patch.stop()
    out.put(slices)


def run(url: str, processes: int, pairs: int, seconds: float) -> list[dict[str, tuple[float, ...]]]:
    """Return, per pair, the starts per second and per CPU second of both variants."""
    order: list[str] = []
    for pair in range(pairs + 1):
        order += [SHIPPED, BARE] if pair % 2 else [BARE, SHIPPED]
    context = multiprocessing.get_context("spawn")
    barrier, out = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(target=work, args=(url, number, order, seconds, barrier, out))
        for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    everyone = [out.get() for _ in workers]
    for worker in workers:
        worker.join()
    together = [
        (
            slices[0].variant,
            sum(one.starts / one.seconds for one in slices),
            sum(one.starts for one in slices) / sum(one.cpu for one in slices),
        )
        for slices in zip(*everyone, strict=True)
    ]
    rates = [
        {variant: figures for variant, *figures in together[2 * pair : 2 * pair + 2]}
        for pair in range(pairs + 1)
    ]
    # The first pair warms up.
    return [{name: tuple(figures) for name, figures in pair.items()} for pair in rates[1:]]


def summary(ratios: list[float]) -> dict[str, Any]:
    low, median, high = statistics.quantiles(ratios, n=4)
    return {"median": round(median, 3), "quartiles": [round(low, 3), round(high, 3)]}


def main() -> int:
    """Build both databases, run, and print the ratios. Return 1 if the claim fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=databases.VENDORS, default="postgresql")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 4])
    parser.add_argument(
        "--pairs", type=int, default=30, help="pairs of slices, one of each variant"
    )
    parser.add_argument("--seconds", type=float, default=0.5, help="duration of a slice")
    parser.add_argument("--sync", action="store_true", help="wait for the disk at commit")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = []
    with databases.served(
        options.database, f"synchronous_commit = {'on' if options.sync else 'off'}"
    ) as server:
        server.create(SHIPPED)
        databases.django(server.url(SHIPPED))
        connection = databases.connect(SHIPPED)
        databases.use(connection)
        build(max(options.processes))
        connection.close()
        server.create(BARE, template=SHIPPED)
        connection = databases.connect(BARE)
        databases.use(connection)
        strip()
        connection.close()
        for processes in options.processes:
            pairs = run(server.url(SHIPPED), processes, options.pairs, options.seconds)
            by_time, by_cpu = (
                summary([pair[SHIPPED][index] / pair[BARE][index] for pair in pairs])
                for index in (0, 1)
            )
            results.append(
                {
                    "database": options.database,
                    "processes": processes,
                    "shipped/bare": by_time,
                    "shipped/bare, by CPU time": by_cpu,
                }
            )
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        print(f"{'processes':12}{'shipped / bare':28}by CPU time")
        for row in results:
            columns = [
                f"{ratio['median']:.2f}  ({' – '.join(f'{end:.2f}' for end in ratio['quartiles'])})"
                for ratio in (row["shipped/bare"], row["shipped/bare, by CPU time"])
            ]
            print(f"{row['processes']:<12}{columns[0]:28}{columns[1]}")
    good = all(row["shipped/bare"]["median"] >= LIMIT for row in results)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
