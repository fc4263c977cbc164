"""Sessions as Django keeps them in the database, each read by a statement that is prepared."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import db
from django.utils import timezone

from workflows import instances
from workflows.jsontext import unstorable


class SessionStore(db.SessionStore):
    """Every request reads one: to put the query together took longer than to answer it."""

    def _get_session_from_db(self) -> Any:
        key = self.session_key
        row = (
            None
            if key is None or unstorable(key)
            else instances.loaded(self.model, "session_key", key)
        )
        if row is None or row.expire_date <= timezone.now():
            self._session_key = None
            return None
        return row
