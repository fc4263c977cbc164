"""The database backend (``ENGINE``): Django looks for it in a module of this name."""

from __future__ import annotations

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to PostgreSQL."""

    def is_usable(self) -> bool:
        """Whether the connection lives.

        Asked once in each request, where a statement more is a good part of all that it costs. A
        server that ends a connection says so: where there is nothing to be read, there was nothing
        said.
        """
        if self.connection is None or self.connection.closed:
            return False
        said = select.poll()
        said.register(self.connection.fileno(), select.POLLIN)
        return not said.poll(0) or super().is_usable()
