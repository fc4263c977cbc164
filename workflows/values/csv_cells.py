"""CSV (RFC 4180): safe cells, and responses that stream any number of rows."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import Any

from django.http import StreamingHttpResponse

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Prefixes that some spreadsheets treat as the start of a formula (OWASP)."""
BOM = "\ufeff"
_INVISIBLE = ("Cc", "Cf", "Zl", "Zp", "Zs")


class _Echo:
    """A file whose ``write`` returns the text."""

    def write(self, text: str) -> str:
        return text


def build_response(
    name: str, rows: Iterable[Iterable[Any]], *, for_spreadsheets: bool = False
) -> StreamingHttpResponse:
    """Return a response that streams these rows as a file to download.

    Args:
        name: The name of the file, without ``.csv``.
        rows: The first row has the names of the columns.
        for_spreadsheets: Start with a byte order mark, by which spreadsheets detect UTF-8. Other
            programs would read it as part of the first column name.
    """
    lines = _lines(rows)
    answer = StreamingHttpResponse(
        chain([BOM], lines) if for_spreadsheets else lines, content_type="text/csv; charset=utf-8"
    )
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


def _lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    for row in rows:
        yield writer.writerow([format_cell(value) for value in row])


def format_cell(value: Any) -> Any:
    """Return a value as a cell: nested values as JSON, formulas escaped with an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and _is_formula(value) else value


def _is_formula(text: str) -> bool:
    for char in text:
        if char in FORMULAS:
            return True
        # Spreadsheets skip white space and invisible characters before a formula.
        if unicodedata.category(char) not in _INVISIBLE:
            return False
    return False
