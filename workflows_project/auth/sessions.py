"""Sessions as Django keeps them in the database, each read by a statement that is prepared."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import UpdateError
from django.utils import timezone

from workflows.db import raw_rows
from workflows.db.faults import find_fault
from workflows.db.json_values import unstorable


class SessionStore(db.SessionStore):
    """Every request reads one: to put the query together took longer than to answer it."""

    def _get_session_from_db(self) -> Any:
        key = self.session_key
        row = (
            None
            if key is None or unstorable(key)
            else raw_rows.loaded(self.model, "session_key", key)
        )
        if row is None or row.expire_date <= timezone.now():
            self._session_key = None
            return None
        return row

    def save(self, must_create: bool = False) -> None:
        """Write the session.

        Raises:
            UpdateError: the session has been deleted meanwhile. Django raises it for every error
                of the database, and answers 400; a fault of the database is raised as it is.
        """
        try:
            super().save(must_create)
        except UpdateError as error:
            cause = error.__context__
            if cause is not None and find_fault(cause) is not None:
                raise cause from None
            raise
