"""The backend of PostgreSQL. Django requires the module name ``base``."""

from __future__ import annotations

import select

from django.db.backends.postgresql import base

from workflows_project.postgresql.schema import DatabaseSchemaEditor


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to PostgreSQL."""

    SchemaEditorClass = DatabaseSchemaEditor

    def is_usable(self) -> bool:
        """Return True if the connection is open.

        Django calls this once per request, and a statement would be a large part of its cost. A
        server sends data when it closes a connection, so a connection without unread data is open.
        """
        if self.connection is None or self.connection.closed:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0) or super().is_usable()
