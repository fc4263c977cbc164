"""Sessions in the database, read by a prepared statement."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import UpdateError
from django.utils import timezone

from workflows.db import raw_rows
from workflows.db.faults import find_fault
from workflows.db.json_values import storage_problem


class SessionStore(db.SessionStore):
    """Django's session store without the cost of building a query for each request."""

    def _get_session_from_db(self) -> Any:
        key = self.session_key
        row = (
            None
            if key is None or storage_problem(key)
            else raw_rows.load_row(self.model, "session_key", key)
        )
        if row is None or row.expire_date <= timezone.now():
            self._session_key = None
            return None
        return row

    def save(self, must_create: bool = False) -> None:
        """Write the session.

        Raises:
            UpdateError: the session has been deleted meanwhile. Django also raises it for
                database faults, and returns 400. This method raises the fault itself.
        """
        try:
            super().save(must_create)
        except UpdateError as error:
            cause = error.__context__
            if cause is not None and find_fault(cause) is not None:
                raise cause from None
            raise
