"""Rows of a list in a submitted form: their number, their order, and adding or removing one.

A row has a number for life, which its inputs carry in their names. ``#rows`` of a list is the
number of its rows, with the removed ones; ``#remove`` and ``#position`` belong to one row. So a
page without scripts and the script of the rows edit the same inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.db.json_values import below

ROW_STEP = "row"
"""The name of the buttons. Their value is an action and the name of a list or a row."""
_MOST_ROWS = 10_000


def count_rows(posted: Mapping[str, Any], name: str) -> int:
    """Return the number of rows of a list, with the removed ones."""
    number = str(posted.get(f"{name}#rows", ""))
    return min(int(number), _MOST_ROWS) if number.isdecimal() and len(number) < 6 else 0


def removed_rows(posted: Mapping[str, Any], name: str) -> list[int]:
    """Return the numbers of the removed rows of a list."""
    rows = range(count_rows(posted, name))
    return [row for row in rows if posted.get(f"{below(name, row)}#remove")]


def ordered_rows(posted: Mapping[str, Any], name: str) -> list[int]:
    """Return the numbers of the rows of a list in their order, without the removed ones."""
    removed = set(removed_rows(posted, name))
    rows = [row for row in range(count_rows(posted, name)) if row not in removed]
    return sorted(rows, key=lambda row: _position(posted, name, row))


def _position(posted: Mapping[str, Any], name: str, row: int) -> int:
    text = str(posted.get(f"{below(name, row)}#position", ""))
    return int(text) if text.isdecimal() and len(text) < 6 else row


def change_rows(posted: Mapping[str, Any], step: str) -> dict[str, Any]:
    """Return the submitted inputs after a button of a list was pressed.

    Args:
        step: the value of the button: ``add`` and a list, or ``remove``, ``up`` or ``down`` and a
            row. Others change nothing.
    """
    changed = {key: posted[key] for key in posted}
    action, _, name = step.partition(" ")
    if action == "add":
        changed[f"{name}#rows"] = str(min(count_rows(posted, name) + 1, _MOST_ROWS))
    elif action == "remove":
        changed[f"{name}#remove"] = "1"
    elif action in ("up", "down"):
        changed |= _moved(posted, name, -1 if action == "up" else 1)
    return changed


def _moved(posted: Mapping[str, Any], name: str, by: int) -> dict[str, str]:
    """Return the positions of all rows of a list after one of them was moved."""
    list_name, _, number = name.rpartition("/")
    rows = ordered_rows(posted, list_name)
    place = next((index for index, row in enumerate(rows) if str(row) == number), None)
    if place is not None and 0 <= place + by < len(rows):
        rows[place], rows[place + by] = rows[place + by], rows[place]
    return {f"{below(list_name, row)}#position": str(position) for position, row in enumerate(rows)}
