"""Kill -9 in the middle of the moves of many trees: the next run finishes, none is moved twice.

    python -m benchmarks.kill_moves
    python -m benchmarks.kill_moves --trees 500 --database sqlite

A tree is a caller that waits for a child, which waits at a form. Two corrected graphs are saved.
The trees are moved to the first ones by a bulk operation, whose worker is killed with -9 again and
again after some more moves, and to the second ones by ``manage.py move_executions``, which is
killed in the same way. Exits with 1 unless each execution of each tree was moved exactly once by
both, has one audit entry for each move, and all invariants hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import Any

from benchmarks import databases
from benchmarks.moves import Trees
from benchmarks.processes import ROOT

LEASE_SECONDS = 2
PATIENCE = 300.0


def _run(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a command of ``manage.py``."""
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_until_moved(wanted: int, kills: int, *command: str) -> int:
    """Run the command until there are this many moves; return the number of kills.

    Raises:
        TimeoutError: the moves are not made in time.
    """
    from executions.models import Move

    killed, end = 0, time.monotonic() + PATIENCE
    process = _run(*command)
    target = 0
    try:
        while (moved := Move.objects.count()) < wanted:
            if time.monotonic() > end:
                raise TimeoutError(f"{moved} of {wanted} moves after {PATIENCE:g} seconds.")
            target = target or moved + random.randrange(2, 2 + wanted // (2 * kills))
            if moved >= target and killed < kills:
                os.killpg(process.pid, signal.SIGKILL)
                killed += 1
            if process.poll() is not None:
                process = _run(*command)
                target = 0
            time.sleep(0.002)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)
    return killed


def measure(trees: int, kills: int) -> dict[str, Any]:
    """Move the trees twice, and return the numbers and the failures."""
    from executions import integrity
    from executions.models import BulkKind, Execution, Move
    from executions.services import bulk
    from executions.services.moving_many import roots_of_workflow
    from workflows.models import AuditEntry

    rows = Trees()
    rows.start(trees)
    number = Execution.objects.live().count()
    rows.save()
    operation = bulk.create_operation(BulkKind.MOVE, roots_of_workflow(rows.caller))
    bulk.confirm(operation, why="benchmark", options={"mapping": {}})
    killed = kill_until_moved(number, kills, "work")
    # The worker that made the last move has also closed the operation, or the next round does.
    subprocess.run([sys.executable, "manage.py", "run_due"], cwd=ROOT, check=True, timeout=PATIENCE)
    progress = bulk.progress(operation)
    rows.save()
    command = ("move_executions", rows.caller.cuid)
    killed_commands = kill_until_moved(2 * number, kills, *command)
    again = subprocess.run([sys.executable, "manage.py", *command, "--json"], cwd=ROOT, stdout=-1)
    latest = [rows.caller.latest_version.pk, rows.callee.latest_version.pk]
    moves = Counter(Move.objects.values_list("execution", flat=True))
    entries = Counter(AuditEntry.objects.filter(action="moved", refused=False).values_list("cuid"))
    return {
        "trees": trees,
        "executions": number,
        "workers killed": killed,
        "commands killed": killed_commands,
        "failures": {
            "trees without a result": trees - progress.done,
            "moved by the run after the last": len(json.loads(again.stdout)["moved"]),
            "executions not on the latest version": number
            - Execution.objects.live().filter(version__in=latest).count(),
            "executions not moved exactly twice": sum(
                moves[pk] != 2 for pk in Execution.objects.values_list("pk", flat=True)
            ),
            "executions without exactly two audit entries": number
            - sum(times == 2 for times in entries.values()),
            "violations": len(integrity.find_violations()),
        },
    }


def main() -> int:
    """Run and print. Return 1 if a tree was lost or moved twice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--kills", type=int, default=8, help="kills of each kind (8)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ.update(JOB_LEASE_SECONDS=str(LEASE_SECONDS))
    with databases.served(options.database) as server:
        server.create("moves")
        databases.django(server.url("moves"))
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", verbosity=0)
        try:
            result = measure(options.trees, options.kills)
        finally:
            connection.close()
    failures = result.pop("failures")
    if options.json:
        print(json.dumps({**result, **failures}, indent=2))
    else:
        print("\n".join(f"{name:46} {value}" for name, value in {**result, **failures}.items()))
    return 1 if any(failures.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
