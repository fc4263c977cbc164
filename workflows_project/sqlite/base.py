"""The backend of SQLite. Django requires the module name ``base``."""

from __future__ import annotations

import os
import sqlite3
from typing import Any, ClassVar

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to SQLite that detects when its file was replaced.

    Connections stay open between requests. Without the check, a connection would continue to
    write to a file that was moved, deleted or replaced by a backup.
    """

    creates_file: ClassVar[bool] = True
    _file: tuple[int, int] | None = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Open the file.

        Raises:
            sqlite3.OperationalError: the file is missing, and ``creates_file`` is off.
        """
        if not self.creates_file and not self.is_in_memory_db() and self._find_file() is None:
            raise sqlite3.OperationalError("unable to open database file")
        connection = super().get_new_connection(conn_params)
        self._file = self._find_file()
        return connection

    def is_usable(self) -> bool:
        """Return True if the path still leads to the opened file. Called once per request."""
        return self.is_in_memory_db() or (
            self._file is not None and self._file == self._find_file()
        )

    def _find_file(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.settings_dict["NAME"])
        except OSError:
            return None
        return found.st_dev, found.st_ino


def require_file() -> None:
    """Prevent this process from creating database files. Servers call this."""
    DatabaseWrapper.creates_file = False
