"""Text search: parts of texts in any case, in every script, the same on both databases.

Letters are equal that differ in case only, and so are composed and decomposed letters (``Ü`` as one
character, or as ``U`` and a diaeresis). A letter whose capitals are several letters equals itself
alone, and ``ß`` its capital ``ẞ``: neither is ``ss``. Accents count.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

from django.db.backends.signals import connection_created
from django.db.models import CharField, TextField, lookups

_SHARP_S, _CAPITAL_SHARP_S = "ß", "ẞ"


def folded(text: str) -> str:
    """Return a text in the form that is compared: composed, in capitals as PostgreSQL has them."""
    if text.isascii():
        return text.upper()
    # Capitals first, as in the statements for PostgreSQL.
    return unicodedata.normalize("NFC", "".join(map(_capital, text)))


def _capital(char: str) -> str:
    if char == _CAPITAL_SHARP_S:
        return _SHARP_S
    # Where capitals are several letters, the database has the one that begins a word.
    capital = char.upper() if len(char.upper()) == 1 else char.title()
    return capital if len(capital) == 1 else char


def like(pattern: object, text: object, escape: str = "") -> bool | None:
    """Return whether a text is like a pattern, as SQL's LIKE does, in any case of any script."""
    if pattern is None or text is None:
        return None
    found: Any = _compiled(str(pattern), escape)
    shown = folded(str(text))
    return found in shown if isinstance(found, str) else found.fullmatch(shown) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str, escape: str) -> str | re.Pattern[str]:
    """The text that ``%text%`` asks for, or else a regular expression."""
    parts: list[str | None] = []
    chars = iter(pattern)
    for char in chars:
        if char == escape:
            parts.append(next(chars, ""))
        else:
            parts.append({"%": None, "_": ""}.get(char, char))
    inner = parts[1:-1]
    if len(parts) > 1 and parts[0] is None and parts[-1] is None and all(inner):
        return folded("".join(filter(None, inner)))
    return re.compile(_expression(parts), re.DOTALL)


def _expression(parts: list[str | None]) -> str:
    wild = {None: ".*", "": "."}
    whole, letters = "", ""
    for part in [*parts, ""]:
        if part:
            letters += part
        else:
            whole, letters = whole + re.escape(folded(letters)) + wild[part], ""
    return whole.removesuffix(".")


class _Folded(lookups.PatternLookup):
    """A lookup in any case that takes composed and decomposed letters for equal."""

    def process_lhs(self, compiler: Any, connection: Any, lhs: Any = None) -> Any:
        """Compose what PostgreSQL has in capitals; SQLite does it in ``like``."""
        sql, params = super().process_lhs(compiler, connection, lhs)
        if connection.vendor == "postgresql":
            sql = f"NORMALIZE({sql}, NFC)"
            if _SHARP_S in folded(str(self.rhs)):
                sql = f"REPLACE({sql}, '{_CAPITAL_SHARP_S}', '{_SHARP_S}')"
        return sql, params

    def process_rhs(self, qn: Any, connection: Any) -> Any:
        """Fold what is looked for."""
        sql, params = super().process_rhs(qn, connection)
        if self.rhs_is_direct_value() and params:
            params = [folded(str(params[0])), *params[1:]]
        return sql, params


class IContains(_Folded, lookups.IContains):
    """``icontains``."""


def install() -> None:
    """Make the lookups known, and SQLite's LIKE one that knows more than ASCII."""
    for field in (CharField, TextField):
        field.register_lookup(IContains)
    connection_created.connect(_replace_like, dispatch_uid="text_search")


def _replace_like(connection: Any, **_: Any) -> None:
    if connection.vendor == "sqlite":
        for count in (2, 3):
            connection.connection.create_function("like", count, like, deterministic=True)
