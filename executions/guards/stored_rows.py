"""Helpers of the rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def stored_row(row: Any) -> Any:
    """Return the row as it is stored; None if it is not."""
    return row._meta.concrete_model._base_manager.using(row._state.db).filter(pk=row.pk).first()


def field_names(attributes: Iterable[str]) -> set[str]:
    """Return the names of fields, given the names of fields or their columns."""
    return {name.removesuffix("_id") for name in attributes}
