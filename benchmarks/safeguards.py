"""Cost of each type of safeguard, measured on databases without it.

    python -m benchmarks.safeguards
    python -m benchmarks.safeguards --turns 40 --json

The work is that of ``adapter.py``: a start up to a form, and a submit with a call. One process does
the work on each copy in turn, in alternating order. The result compares the CPU time of the server,
and of server and client, with the complete database. There is no claim.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import adapter, databases

SHIPPED = "shipped"
TABLES = ("executions_execution", "executions_closure", "executions_step", "executions_entity")
_OF = "IN (" + ", ".join(f"'{table}'::regclass" for table in TABLES) + ")"
_CONSTRAINTS = (
    "SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname)"
    f" FROM pg_constraint WHERE contype = '{{kind}}' AND conrelid {_OF}"
)
_INDEXES = (
    "SELECT format('DROP INDEX %%s', indexrelid::regclass) FROM pg_index"
    f" WHERE indrelid {_OF} AND {{which}}"
)
DROPPED = {
    "foreign keys": _CONSTRAINTS.format(kind="f"),
    "checks": _CONSTRAINTS.format(kind="c"),
    "triggers": (
        "SELECT format('DROP TRIGGER %%I ON %%s', tgname, tgrelid::regclass) FROM pg_trigger"
        f" WHERE NOT tgisinternal AND tgrelid {_OF}"
    ),
    "partial indexes": _INDEXES.format(which="indpred IS NOT NULL AND NOT indisunique"),
    "indexes of lists": _INDEXES.format(
        which="indexrelid::regclass::text LIKE 'executions\\_by\\_%%'"
    ),
}
"""Queries that return the statements to drop a type of safeguard."""
ALL = "all"


class Copy:
    """A copy of the database, with its measured CPU times in milliseconds."""

    def __init__(self, name: str, connection: Any) -> None:
        self.name = name
        self.connection = connection
        self.server: list[float] = []
        self.client: list[float] = []

    def drop(self, names: list[str]) -> None:
        """Drop these types of safeguards."""
        with self.connection.cursor() as cursor:
            for name in names:
                cursor.execute(DROPPED[name], ())
                for (statement,) in cursor.fetchall():
                    cursor.execute(statement)

    def begin(self) -> None:
        """Connect, and warm up."""
        databases.use(self.connection)
        self.work = adapter.ThroughServices()
        self.work.open()
        pid = self.connection.connection.info.backend_pid
        self.schedstat = Path(f"/proc/{pid}/schedstat")
        self._run_units(40)

    def _run_units(self, number: int) -> None:
        for index in range(number):
            self.work.w2(self.work.w1(index), index)

    def _server_cpu(self) -> float:
        return int(self.schedstat.read_text().split()[0]) / 1e6

    def turn(self, number: int) -> None:
        """Run units, and store the milliseconds of CPU time per unit."""
        databases.use(self.connection)
        server, client = self._server_cpu(), time.process_time()
        self._run_units(number)
        self.client.append((time.process_time() - client) * 1e3 / number)
        self.server.append((self._server_cpu() - server) / number)


def measure(server: databases.Server, turns: int, units: int) -> Iterator[dict[str, Any]]:
    """Yield the result of each copy, starting with the complete one."""
    server.create(SHIPPED)
    databases.django(server.url(SHIPPED))
    adapter.ThroughServices().setup()
    from django.db import connection

    connection.close()
    without = {SHIPPED: [], **{name: [name] for name in DROPPED}, ALL: list(DROPPED)}
    for name in list(without)[1:]:
        server.create(name, template=SHIPPED)
    copies = [Copy(name, databases.connect(name)) for name in without]
    for copy in copies:
        copy.drop(without[copy.name])
        copy.begin()
    for turn in range(turns):
        for copy in copies if turn % 2 else reversed(copies):
            copy.turn(units)
        print(f"turn {turn + 1} of {turns}", end="\r", file=sys.stderr)
    first = copies[0]
    for copy in copies:
        of_server = [one / other for one, other in zip(copy.server, first.server, strict=True)]
        both = [
            (one + more) / (other + others)
            for one, more, other, others in zip(
                copy.server, copy.client, first.server, first.client, strict=True
            )
        ]
        yield {
            "without": "" if copy is first else copy.name,
            "server_ratio": statistics.median(of_server),
            "server_quartiles": statistics.quantiles(of_server, n=4)[::2],
            "ratio": statistics.median(both),
            "quartiles": statistics.quantiles(both, n=4)[::2],
        }
        copy.connection.close()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=24)
    parser.add_argument("--units", type=int, default=60, help="units per turn and copy")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with databases.served("postgresql") as server:
        rows = list(measure(server, options.turns, options.units))
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'without':20}{'server':>8}  {'quartiles':14}{'total':>8}  quartiles")
    for row in rows:
        print(f"{row['without'] or 'nothing':20}", end="")
        for ratio, quartiles in (("server_ratio", "server_quartiles"), ("ratio", "quartiles")):
            low, high = row[quartiles]
            print(f"{row[ratio]:8.2f}  {low:.2f} – {high:.2f}   ", end="")
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
