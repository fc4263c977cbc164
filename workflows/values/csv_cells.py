"""Cells of CSV (RFC 4180), and rows of them sent as they are read, whatever their number."""

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
"""What OWASP names: a text that begins so is a formula to some spreadsheet."""
BOM = "\ufeff"
_UNSEEN = ("Cc", "Cf", "Zl", "Zp", "Zs")


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def response(
    name: str, rows: Iterable[Iterable[Any]], *, for_spreadsheets: bool = False
) -> StreamingHttpResponse:
    """Return these rows as a file to keep.

    Args:
        name: the file's, without ``.csv``.
        rows: the first of them are the names of the columns.
        for_spreadsheets: begin with a byte order mark, by which they know UTF-8; programs that
            read the file would take it for a part of the first name.
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
        yield writer.writerow([cell(value) for value in row])


def cell(value: Any) -> Any:
    """A value as a cell: JSON where it is nested, and no formula to a program that opens it."""
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
        # Spreadsheets leave out white space, and what is not seen, before they look for a formula.
        if unicodedata.category(char) not in _UNSEEN:
            return False
    return False
