"""The database backend (``ENGINE``): Django looks for it in a module of this name."""

from __future__ import annotations

import os
import sqlite3
from typing import Any, ClassVar

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to SQLite that notices when its file is gone.

    A connection stays open between requests. When the file is moved, deleted or replaced by a
    backup, the connection would go on to write to a file that nobody opens again.
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
        """Return True if the file is still the one that was opened. Asked once in each request."""
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
    """Let this process open database files, and create none. Servers call this."""
    DatabaseWrapper.creates_file = False
