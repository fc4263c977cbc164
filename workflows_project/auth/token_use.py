"""Names, scopes and use of tokens, stored beside the tokens of Knox."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from workflows.db.prepared import Statement
from workflows_project.models import TokenDetails

COLUMNS = ("name", "scopes", "last_used_at")
"""The columns that authentication reads."""
NOTE_SECONDS = 60
"""The use of a token is written at most once in this time."""


def table() -> str:
    """Return the table of the details."""
    return TokenDetails._meta.db_table


def set_details(row: Any, values: Sequence[Any]) -> None:
    """Set the name, the scopes and the last use of a token as attributes of its row."""
    name, scopes, last_used_at = values
    row.name = name or ""
    row.scopes = scopes.split() if scopes else None
    # A token that a program has created in Python has no details.
    row.has_details = name is not None
    row.last_used_at = _moment(last_used_at)


def read_details(row: Any) -> None:
    """Set the details of a token that was read without them."""
    found = TokenDetails.objects.filter(token=row).values_list(*COLUMNS).first()
    set_details(row, found or (None, None, None))


def note_use(row: Any) -> None:
    """Store that a token is used now, unless that was stored less than a minute ago."""
    now = timezone.now()
    if not row.has_details or (row.last_used_at and row.last_used_at > now - _INTERVAL):
        return
    try:
        _statement().execute([row.digest, now])
    except DatabaseError:
        # A request that only reads must work while the database cannot be written.
        return
    row.last_used_at = now


_INTERVAL = timedelta(seconds=NOTE_SECONDS)


@cache
def _statement() -> Statement:
    return Statement(
        f"UPDATE {table()} SET last_used_at = $2 WHERE token_id = $1", ("text", "timestamptz")
    )


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
