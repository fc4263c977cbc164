"""Helpers that run a command in a process, and interrupt or kill it during a transaction."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from executions import integrity
from tests.databases import address_for_processes

SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"]
)
NAME = "holdfast_signalled"
OPEN = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"


def run_until(
    number: int, nth: int, beginning: str, *command: str, directory: Path
) -> tuple[int, str]:
    """Run a command, and send it a signal after the n-th statement with this beginning.

    Return the exit code and the text on stderr. The database has what the process committed.
    """
    with _shared_database(directory) as url:
        done = subprocess.run(
            [sys.executable, "-m", "tests.executions.commands.signalled"]
            + [str(number), str(nth), beginning, *command],
            cwd=settings.BASE_DIR,
            env={**os.environ, "DEBUG": "1", "DATABASE_URL": url},
            capture_output=True,
            text=True,
            timeout=120,
        )
    return done.returncode, done.stderr


def current_violations() -> set[tuple[str, str, str]]:
    """Return the violations of invariants in the database."""
    return {(row.invariant, row.cuid, row.detail) for row in integrity.find_violations()}


@contextmanager
def _shared_database(directory: Path) -> Iterator[str]:
    """Yield the address of the test's database for another process."""
    url = address_for_processes(directory)
    if connection.vendor == "postgresql":
        yield f"{url}?application_name={NAME}"
        _wait_for_rollback()
        return
    yield url
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as copy:
        copy.backup(connection.connection)


def _wait_for_rollback() -> None:
    """Wait until PostgreSQL has rolled back what a killed process left open."""
    end = time.monotonic() + 60
    with connection.cursor() as cursor:
        while True:
            cursor.execute(OPEN, [NAME])
            if cursor.fetchone() == (0,):
                return
            assert time.monotonic() < end, "the connection of the process stays open"
            time.sleep(0.01)
