"""Duration of the integrity check on a large database.

    python -m benchmarks.integrity                       a million executions, PostgreSQL
    python -m benchmarks.integrity --database sqlite --json

The database is the large one of ``growth``: 10,000 workflows with three versions each, and
executions of which one in twenty is live, 50,000 of them on one workflow.

Exits with 1 if the check takes more than a minute, or finds violations.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from benchmarks import databases
from benchmarks.population import Population

LIMIT = 60.0


def main() -> int:
    """Fill, check and print. Return 1 if the claim fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=databases.VENDORS, default="postgresql")
    parser.add_argument("--workflows", type=int, default=10_000)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--hot", type=int, default=50_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with databases.served(options.database, "autovacuum = off") as server:
        server.create("large")
        databases.django(server.url("large"))
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", verbosity=0)
        before = time.perf_counter()
        Population(options.workflows // 10, options.executions, 250, options.hot).fill()
        print(f"filled in {time.perf_counter() - before:.0f} s", file=sys.stderr)
        from executions.integrity import INVARIANTS, stable_snapshot

        seconds, found = {}, 0
        with stable_snapshot():
            for check in INVARIANTS:
                before = time.perf_counter()
                found += sum(1 for _ in check())
                seconds[check.__name__] = round(time.perf_counter() - before, 2)
        connection.close()
    total = round(sum(seconds.values()), 1)
    if options.json:
        print(json.dumps({"seconds": seconds, "total": total, "violations": found}, indent=2))
    else:
        for name, taken in seconds.items():
            print(f"{name:24}{taken:8.2f} s")
        print(f"{'total':24}{total:8.1f} s, {found} violations")
    return 1 if total > LIMIT or found else 0


if __name__ == "__main__":
    sys.exit(main())
