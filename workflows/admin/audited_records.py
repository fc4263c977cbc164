"""Links from audit entries to the records they describe."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from workflows.admin.base.formatting import admin_url
from workflows.models import FindingType, PendingChange, RecordType, Workflow


def _change_page(row: Any) -> str:
    return admin_url(row, "change", row.pk)


@dataclass(frozen=True, slots=True)
class RecordModel:
    """An audited model: how to name its rows and where their pages are.

    Args:
        label: returns the name of a row.
        columns: the columns that ``label`` and ``page`` need; all if empty.
        related: the relations that ``label`` needs.
        page: returns the URL of the page of a row.
    """

    model: type[Model]
    label: Callable[[Any], str] = str
    columns: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    page: Callable[[Any], str] = _change_page

    def find(self, cuids: Iterable[str]) -> dict[str, RecordLink]:
        """Return links to the rows with these cuids that still exist, by cuid."""
        rows: Any = self.model._base_manager.filter(cuid__in=set(cuids))
        rows = rows.select_related(*self.related) if self.related else rows
        rows = rows.only("cuid", *self.columns) if self.columns else rows
        return {row.cuid: RecordLink(self.label(row), self.page(row)) for row in rows}


@dataclass(frozen=True, slots=True)
class RecordLink:
    """The name and the page URL of a record that still exists."""

    name: str
    url: str


RECORD_MODELS: dict[str, RecordModel] = {
    str(source.model._meta.verbose_name): source
    for source in (
        RecordModel(Workflow, columns=("title",)),
        RecordModel(FindingType, columns=("name",)),
        RecordModel(RecordType, columns=("name",)),
        RecordModel(
            PendingChange,
            lambda row: str(row.context_type),
            related=("entity_name_type", "primary_record_type"),
        ),
    )
}
"""The audited models by the ``kind`` of their audit entries. Other apps add theirs."""


def find_records(entries: Iterable[Any]) -> dict[tuple[str, str], RecordLink]:
    """Return links to the records of audit entries, by kind and cuid. One query per kind."""
    wanted: dict[str, set[str]] = {}
    for entry in entries:
        if entry.kind in RECORD_MODELS:
            wanted.setdefault(entry.kind, set()).add(entry.cuid)
    return {
        (kind, cuid): record
        for kind, cuids in wanted.items()
        for cuid, record in RECORD_MODELS[kind].find(cuids).items()
    }


def find_by_cuid(cuids: Iterable[str]) -> dict[str, RecordLink]:
    """Return links to the records of any audited model that have one of these cuids."""
    wanted = set(cuids)
    if not wanted:
        return {}
    return {
        cuid: record
        for source in RECORD_MODELS.values()
        for cuid, record in source.find(wanted).items()
    }
