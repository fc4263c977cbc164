"""Querysets of write-once rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, TypeVar

from django.db import models

Row = TypeVar("Row", bound=models.Model)


class WriteOnceQuerySet(models.QuerySet[Row], ABC):
    """A queryset whose bulk statements refuse to change write-once fields.

    The database's triggers reject them too, but cannot say what to do instead.
    """

    @abstractmethod
    def refuse_writing(self, names: Iterable[str]) -> None:
        """Raise the guard's refusal if one of these fields is write-once."""

    def update(self, **kwargs: Any) -> int:
        """Update rows. ``bulk_update`` and the asynchronous methods call this one."""
        self.refuse_writing(kwargs)
        return super().update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(
        self,
        objs: Iterable[Row],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Any = None,
        unique_fields: Any = None,
    ) -> list[Row]:
        """Create rows; a conflict may update only fields that are not write-once."""
        self.refuse_writing(update_fields or ())
        return super().bulk_create(
            objs, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
        )
