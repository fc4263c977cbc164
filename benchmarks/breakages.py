"""The faults of ``benchmarks.faults``: how each begins and ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.installation import CONNECTIONS, Database, Installation
from benchmarks.processes import until

BROKEN = 4.0

Step = Callable[[Installation], Any]


@dataclass(frozen=True)
class Fault:
    """A fault: how it begins and ends, and what it needs."""

    title: str
    begin: Step
    end: Step
    seconds: float = BROKEN
    needs: str = ""


def _nothing(installation: Installation) -> None:
    """Break nothing."""


_blocking: list[Any] = []


def _use_all_connections(installation: Installation) -> None:
    """Take every connection as fast as others are ended."""
    import psycopg2

    end = time.monotonic() + 3
    while time.monotonic() < end:
        _terminate_others(installation.database)
        with suppress(psycopg2.Error):
            while len(_blocking) < CONNECTIONS:
                connection = installation.database.connect()
                _blocking.append(connection)
        if len(_blocking) >= CONNECTIONS - 3:
            return


def _terminate_others(database: Database) -> None:
    pids = [connection.get_backend_pid() for connection in _blocking]
    own = ",".join(map(str, pids)) or "0"
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE usename = 'holdfast' AND pid NOT IN ({own})"
    )


def _release_connections(installation: Installation) -> None:
    while _blocking:
        _blocking.pop().close()


def _set_read_only(value: str) -> Step:
    def change(installation: Installation) -> None:
        installation.database.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        installation.database.execute("SELECT pg_reload_conf()")

    return change


def _lock_table(installation: Installation) -> None:
    connection = installation.database.connect()
    _blocking.append(connection)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE executions_execution IN ACCESS EXCLUSIVE MODE")


def _fill_disk(installation: Installation) -> None:
    with (installation.database.data / "filler").open("wb") as filler, suppress(OSError):
        while True:
            filler.write(b"\0" * 65536)
            filler.flush()


def _empty_disk(installation: Installation) -> None:
    (installation.database.data / "filler").unlink()
    installation.database.start()


def _kill_server_process(installation: Installation) -> None:
    """Kill one process of gunicorn, which replaces it."""
    master = installation.web._process
    assert master is not None
    children = Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)


def _move_clocks(installation: Installation) -> None:
    """Set the clock of one worker ahead, and those of the others behind."""
    installation.worker.set_clock("+5m")
    for process in (installation.calls, installation.timers):
        process.set_clock("-5m")


def _correct_clocks(installation: Installation) -> None:
    """Correct the clocks, after the jobs of this time were done in time."""
    until(lambda: installation.database.count_late_jobs() == 0, "jobs with the wrong clocks")
    for process in (installation.worker, installation.calls, installation.timers):
        process.set_clock()


def _lose_primary(installation: Installation) -> None:
    installation.database.add_standby()
    installation.database.control("stop", "-m", "immediate")


FAULTS: dict[str, Fault] = {
    "nothing": Fault("Nothing", _nothing, _nothing),
    "restart": Fault(
        "PostgreSQL restarted",
        lambda it: it.database.control("restart", "-m", "fast"),
        _nothing,
        seconds=0,
    ),
    "down": Fault(
        "PostgreSQL killed",
        lambda it: it.database.control("stop", "-m", "immediate"),
        lambda it: it.database.start(),
    ),
    "read-only": Fault("PostgreSQL read-only", _set_read_only("on"), _set_read_only("off")),
    "connections": Fault(
        "PostgreSQL out of connections", _use_all_connections, _release_connections
    ),
    "lock": Fault(
        "A table locked by another session", _lock_table, _release_connections, seconds=8
    ),
    "disk": Fault("Disk of PostgreSQL full", _fill_disk, _empty_disk, needs="disk"),
    "pooler": Fault(
        "pgbouncer restarted",
        lambda it: it.pooler.stop(),
        lambda it: it.pooler.start(),
        seconds=2,
        needs="pooler",
    ),
    "redis": Fault("Redis down", lambda it: it.redis.kill(), lambda it: it.redis.start()),
    "worker": Fault(
        "All workers killed",
        lambda it: [each.stop(signal.SIGKILL) for each in (it.worker, it.calls, it.timers)],
        lambda it: [each.start() for each in (it.worker, it.calls, it.timers)],
    ),
    "process": Fault(
        "A process of the web server killed", _kill_server_process, _nothing, seconds=1
    ),
    "web": Fault("Web server restarted", lambda it: it.web.stop(), lambda it: it.web.start()),
    "clock": Fault(
        "Clocks of workers five minutes ahead and behind",
        _move_clocks,
        _correct_clocks,
        seconds=15,
    ),
    "standby": Fault(
        "PostgreSQL lost, standby promoted",
        _lose_primary,
        lambda it: it.database.promote_standby(),
        needs="direct",
    ),
}
