"""Rows that are written once, and the bulk statements that would write them anew."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, TypeVar

from django.db import models

Row = TypeVar("Row", bound=models.Model)


class WriteOnceQuerySet(models.QuerySet[Row], ABC):
    """A seal would refuse the statement too, but could not say what to do instead."""

    @abstractmethod
    def refuse_writing(self, names: Iterable[str]) -> None:
        """Raises the guard's refusal when one of these fields is written once."""

    def update(self, **kwargs: Any) -> int:
        """Update what may be; ``bulk_update`` and the asynchronous twins come through here."""
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
        """Create; in a conflict only what may be updated is."""
        self.refuse_writing(update_fields or ())
        return super().bulk_create(
            objs, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
        )
