"""The records that the audit log tells of: of which model each kind is, and where its page is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from workflows.admin.base.formatting import admin_url
from workflows.models import FindingType, PendingChange, RecordType, Workflow


def _page(row: Any) -> str:
    return admin_url(row, "change", row.pk)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record: its model, the field that names it, the address of its page."""

    model: type[Model]
    name: str = "cuid"
    page: Callable[[Any], str] = _page
    needs: tuple[str, ...] = ()

    def found(self, cuids: Iterable[str]) -> dict[str, Record]:
        """Those of these records that still exist, by cuid."""
        rows: Any = self.model._base_manager.filter(cuid__in=set(cuids))
        return {
            row.cuid: Record(str(getattr(row, self.name)), self.page(row))
            for row in rows.only("cuid", self.name, *self.needs)
        }


@dataclass(frozen=True, slots=True)
class Record:
    """A record that still exists: its name, and the address of its page."""

    name: str
    url: str


# The app of what is running adds its own.
KINDS: dict[str, Kind] = {
    str(kind.model._meta.verbose_name): kind
    for kind in (
        Kind(Workflow, "title"),
        Kind(FindingType, "name"),
        Kind(RecordType, "name"),
        Kind(PendingChange),
    )
}


def records_of(entries: Iterable[Any]) -> dict[tuple[str, str], Record]:
    """The records of these entries that still exist, by kind and cuid: one query a kind."""
    wanted: dict[str, set[str]] = {}
    for entry in entries:
        if entry.kind in KINDS:
            wanted.setdefault(entry.kind, set()).add(entry.cuid)
    return {
        (kind, cuid): record
        for kind, cuids in wanted.items()
        for cuid, record in KINDS[kind].found(cuids).items()
    }


def named(cuids: Iterable[str]) -> dict[str, Record]:
    """The records of any kind that have one of these cuids."""
    wanted = set(cuids)
    if not wanted:
        return {}
    return {cuid: record for kind in KINDS.values() for cuid, record in kind.found(wanted).items()}
