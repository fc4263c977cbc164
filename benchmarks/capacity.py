"""Capacity of one PostgreSQL server, calculated from the cost of a start and a submit.

    python -m benchmarks.capacity                          measure, then calculate
    python -m benchmarks.capacity --cores 16 --wal 200     for another server
    python -m benchmarks.capacity --pooled                 without prepared statements
    python -m benchmarks.capacity --json

A unit is one execution with a form and a call: one start and one submit (``benchmarks.adapter``).
The benchmark measures the CPU time of the backend and of the client, the bytes of WAL, and the
bytes on disk of a waiting and of an ended execution, with steps, child and all indexes. The
capacity follows from these numbers:

    units per second = the minimum of
        cores x use / backend seconds of a unit
        WAL bandwidth x use / WAL bytes of a unit

Seconds depend on the machine, bytes do not.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import databases

UNITS = 1_500
COPIES = 20_000
MILLION = 1_000_000
DAY = 86_400
TABLES = ("execution", "step", "job")


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one start or submit: seconds of CPU time, and bytes of WAL."""

    backend: float
    client: float
    wal: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """The capacity of a server with a number of cores."""

    by_cpu: float
    by_wal: float
    units_per_second: float
    client_cores: float
    gigabytes_per_million_ended: float
    gigabytes_per_million_waiting: float
    gigabytes_per_year: float


def measure(engine: Any, connection: Any) -> tuple[Cost, Cost]:
    """Return the cost of a start and of a submit, each averaged over ``UNITS``."""
    handles = [engine.w1(number) for number in range(200)]
    for number, handle in enumerate(handles):
        engine.w2(handle, number)
    started = []

    def start(number: int) -> None:
        started.append(engine.w1(200 + number))

    return (
        _cost(connection, start),
        _cost(connection, lambda number: engine.w2(started[number], number)),
    )


def _cost(connection: Any, act: Any) -> Cost:
    from benchmarks.starts import backend_cpu

    wal, backend, client = _wal(connection), backend_cpu(connection), time.process_time()
    for number in range(UNITS):
        act(number)
    return Cost(
        (backend_cpu(connection) - backend) / UNITS,
        (time.process_time() - client) / UNITS,
        (_wal(connection) - wal) / UNITS,
    )


def _wal(connection: Any) -> int:
    return int(_query(connection, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"))


def _query(connection: Any, sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def size(connection: Any) -> int:
    """Return the bytes of the tables of executions with their indexes, after VACUUM FULL."""
    names = ", ".join(f"executions_{name}" for name in TABLES)
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM FULL {names}")
    total = " + ".join(f"pg_total_relation_size('executions_{name}')" for name in TABLES)
    return int(_query(connection, f"SELECT {total}"))


def sizes(engine: Any, connection: Any) -> tuple[float, float]:
    """Return the bytes of one waiting and of one ended execution."""
    ended = size(connection)
    units = _query(connection, "SELECT count(*) FROM executions_execution WHERE root_id IS NULL")
    engine.fill(COPIES)
    return (size(connection) - ended) / COPIES, ended / units


def calculate(
    start: Cost, submit: Cost, waiting: float, ended: float, options: argparse.Namespace
) -> Capacity:
    """Calculate the capacity as described in the docstring of the module."""
    backend, wal = start.backend + submit.backend, start.wal + submit.wal
    by_cpu = options.cores * options.use / backend
    by_wal = options.wal * 1e6 * options.use / wal
    units = min(by_cpu, by_wal)
    return Capacity(
        by_cpu,
        by_wal,
        units,
        units * (start.client + submit.client),
        ended * MILLION / 1e9,
        waiting * MILLION / 1e9,
        options.per_day * 365 * ended / 1e9,
    )


def main() -> int:
    """Measure, calculate, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=8, help="cores of the database server")
    parser.add_argument(
        "--wal", type=float, default=100, help="MB per second that its disk can write"
    )
    parser.add_argument("--use", type=float, default=0.5, help="the fraction of both that is used")
    parser.add_argument(
        "--per-day", type=float, default=100_000, help="units per day, for the disk space of a year"
    )
    parser.add_argument(
        "--pooled", action="store_true", help="as behind a pooler in transaction mode"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with databases.served("postgresql", "autovacuum = off") as server:
        server.create("capacity")
        from benchmarks.adapter import ThroughServices

        databases.django(server.url("capacity"))
        from django.db import connection

        engine = ThroughServices()
        engine.setup()
        engine.open()
        connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"] = options.pooled
        start, submit = measure(engine, connection)
        waiting, ended = sizes(engine, connection)
        engine.close()
    capacity = calculate(start, submit, waiting, ended, options)
    figures = {
        "start": asdict(start),
        "submit": asdict(submit),
        "bytes_waiting": waiting,
        "bytes_ended": ended,
        **asdict(capacity),
    }
    if options.json:
        print(json.dumps(figures, indent=2))
        return 0
    for name, cost in (("start", start), ("submit", submit)):
        print(
            f"{name:8} backend {cost.backend * 1e3:.2f} ms, client {cost.client * 1e3:.2f} ms,"
            f" WAL {cost.wal / 1e3:.1f} kB"
        )
    print(f"on disk  waiting {waiting / 1e3:.1f} kB, ended {ended / 1e3:.1f} kB each")
    print(
        f"\nWith {options.cores} cores and {options.wal:g} MB of WAL per second,"
        f" {options.use:.0%} of both used:"
    )
    for name, value in asdict(capacity).items():
        print(f"{name.replace('_', ' '):32} {value:10,.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
