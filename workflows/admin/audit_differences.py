"""What an audit entry tells of before and after, for people: records by name, not by cuid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.utils.html import format_html, format_html_join

from workflows.admin.audited_records import KINDS, Record, named
from workflows.admin.base.formatting import NOTHING, preformatted
from workflows.db.cuid import LENGTH
from workflows.models import AuditEntry


@dataclass(frozen=True, slots=True)
class Difference:
    """One field: how it is called, what it was, what it is, or would have been."""

    name: str
    before: str
    after: str


def differences(entry: AuditEntry) -> list[Difference]:
    """The fields that an entry tells of."""
    known = named({cuid for side in (entry.before, entry.after) for cuid in _cuids(side)})
    return [
        Difference(
            label(entry.kind, name),
            _shown(entry.before, name, known),
            _shown(entry.after, name, known),
        )
        for name in dict.fromkeys([*entry.before, *entry.after])
    ]


def label(kind: str, name: str) -> str:
    """What people call this field of this kind of record."""
    if kind in KINDS:
        try:
            field: Any = KINDS[kind].model._meta.get_field(name)
            return str(field.verbose_name)
        except (FieldDoesNotExist, AttributeError):
            pass
    return name.replace("_", " ")


def _cuids(values: Mapping[str, Any]) -> Iterator[str]:
    for value in values.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and len(one) == LENGTH:
                yield one


def _shown(values: Mapping[str, Any], name: str, known: dict[str, Record]) -> str:
    if name not in values:
        return NOTHING
    value = values[name]
    is_flat = isinstance(value, list) and not any(isinstance(one, (dict, list)) for one in value)
    if is_flat and value:
        return format_html_join(", ", "{}", ((_one(one, known),) for one in value))
    if isinstance(value, (dict, list)):
        return preformatted(value)
    return _one(value, known)


def _one(value: Any, known: dict[str, Record]) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value == "":
        return format_html('<span class="quiet">{}</span>', "empty")
    record = known.get(value) if isinstance(value, str) else None
    if record is not None:
        return format_html('<a href="{}">{}</a>', record.url, record.name)
    return str(value)
