"""Case-insensitive text search that works the same on both databases, in every script.

Letters that differ only in case are equal, and so are composed and decomposed letters (``Ü`` as one
character, or as ``U`` and a diaeresis). A letter whose capitals are several letters equals only
itself, and ``ß`` equals its capital ``ẞ``; neither equals ``ss``. Accents are significant.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

from django.db.backends.signals import connection_created
from django.db.models import CharField, TextField, lookups

from workflows.db.vendor import DATABASE

_SHARP_S, _CAPITAL_SHARP_S = "ß", "ẞ"


def fold(text: str) -> str:
    """Return a text in the form used for comparison: composed, in PostgreSQL's capitals."""
    if text.isascii():
        return text.upper()
    # Capitals first, as in the SQL for PostgreSQL.
    return unicodedata.normalize("NFC", "".join(map(_capital, text)))


def _capital(char: str) -> str:
    if char == _CAPITAL_SHARP_S:
        return _SHARP_S
    # If the capital has several letters, the database uses the title-case letter.
    capital = char.upper() if len(char.upper()) == 1 else char.title()
    return capital if len(capital) == 1 else char


def like(pattern: object, text: object, escape: str = "") -> bool | None:
    """Return True if a text matches a pattern of SQL's LIKE, in any case of any script."""
    if pattern is None or text is None:
        return None
    compiled: Any = _compile(str(pattern), escape)
    candidate = fold(str(text))
    if isinstance(compiled, str):
        return compiled in candidate
    return compiled.fullmatch(candidate) is not None


@lru_cache(maxsize=256)
def _compile(pattern: str, escape: str) -> str | re.Pattern[str]:
    """Return the text of a ``%text%`` pattern, or a regular expression for any other pattern."""
    parts: list[str | None] = []
    chars = iter(pattern)
    for char in chars:
        if char == escape:
            parts.append(next(chars, ""))
        else:
            parts.append({"%": None, "_": ""}.get(char, char))
    inner = parts[1:-1]
    if len(parts) > 1 and parts[0] is None and parts[-1] is None and all(inner):
        return fold("".join(filter(None, inner)))
    return re.compile(_expression(parts), re.DOTALL)


def _expression(parts: list[str | None]) -> str:
    wild = {None: ".*", "": "."}
    whole, letters = "", ""
    for part in [*parts, ""]:
        if part:
            letters += part
        else:
            whole, letters = whole + re.escape(fold(letters)) + wild[part], ""
    return whole.removesuffix(".")


class _FoldingLookup(lookups.PatternLookup):
    """A case-insensitive lookup in which composed and decomposed letters are equal."""

    def process_lhs(self, compiler: Any, connection: Any, lhs: Any = None) -> Any:
        """Compose the letters on PostgreSQL; on SQLite ``like`` does."""
        sql, params = super().process_lhs(compiler, connection, lhs)
        has_sharp_s = _SHARP_S in fold(str(self.rhs))
        replace = {_CAPITAL_SHARP_S: _SHARP_S} if has_sharp_s else {}
        return DATABASE.compose_letters(sql, replace), params

    def process_rhs(self, qn: Any, connection: Any) -> Any:
        """Fold the search text."""
        sql, params = super().process_rhs(qn, connection)
        if self.rhs_is_direct_value() and params:
            params = [fold(str(params[0])), *params[1:]]
        return sql, params


class IContains(_FoldingLookup, lookups.IContains):
    """``icontains``."""


def install() -> None:
    """Register the lookup, and replace SQLite's LIKE, which folds only ASCII."""
    for field in (CharField, TextField):
        field.register_lookup(IContains)
    connection_created.connect(_replace_like, dispatch_uid="text_search")


def _replace_like(connection: Any, **_: Any) -> None:
    for arity in (2, 3):
        DATABASE.define_function(connection, "like", arity, like)
