"""A row that a view needs, read by the statement that authenticates the request.

Each statement is a round trip to the database. The row is used only after the request has been
authorized, and only if it is still current then; without it, the view reads it itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ReadAhead:
    """A statement that returns at most one row.

    Attributes:
        sql: a SELECT whose only parameter, a text, is written ``{}``; empty to read nothing.
        names: the names of its columns.
    """

    sql: str
    names: tuple[str, ...]

    def row(self, values: Sequence[Any]) -> Mapping[str, Any] | None:
        """Return the row with these values; None for a row of a join that found none."""
        # The first column is never NULL.
        return None if values[0] is None else dict(zip(self.names, values, strict=True))
