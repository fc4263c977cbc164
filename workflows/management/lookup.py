"""Lookup of records for commands: by cuid, or by title or name if unique."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import CommandError
from django.db.models import Q

from workflows.db.json_values import quoted, storage_problem
from workflows.models import FindingType, RecordType, Workflow


def _find_one(model: Any, field: str, text: str) -> Any:
    """Return the record with this cuid or, if unique, this title or name.

    Raises:
        CommandError: there is none, or more than one.
    """
    noun = model._meta.verbose_name
    found = (
        []
        if storage_problem(text)
        else list(model.objects.filter(Q(cuid=text) | Q(**{field: text})).order_by("pk")[:20])
    )
    exact = [row for row in found if row.cuid == text] or found
    if not exact:
        raise CommandError(f"No {noun} has the cuid or {field} {quoted(text)}.")
    if len(exact) > 1:
        cuids = ", ".join(row.cuid for row in exact)
        raise CommandError(f"Several records have the {field} {quoted(text)}. Use a cuid: {cuids}.")
    return exact[0]


def find_workflow(text: str) -> Workflow:
    """Return the workflow with this cuid or title. Raises ``CommandError``."""
    row: Workflow = _find_one(Workflow, "title", text)
    return row


def find_type(text: str) -> FindingType | RecordType:
    """Return the finding or record type with this cuid or name. Raises ``CommandError``."""
    finding: FindingType | None = None
    if not storage_problem(text):
        named = Q(cuid=text) | Q(name=text)
        finding = FindingType.objects.filter(named).first()
        record: RecordType | None = RecordType.objects.filter(named).first()
        if finding and record:
            raise CommandError(
                f"A finding type ({finding.cuid}) and a record type ({record.cuid}) have the name "
                f"{quoted(text)}. Use a cuid."
            )
        if record:
            return record
    if finding is None:
        raise CommandError(f"No finding type or record type has the cuid or name {quoted(text)}.")
    return finding


def find_finding_type(text: str) -> FindingType:
    """Return the finding type with this cuid or name. Raises ``CommandError``."""
    row: FindingType = _find_one(FindingType, "name", text)
    return row


def find_by_cuid(model: Any, text: str) -> Any:
    """Return the record with this cuid. Raises ``CommandError``."""
    row = None if storage_problem(text) else model._base_manager.filter(cuid=text).first()
    if row is None:
        raise CommandError(f"No {model._meta.verbose_name} has the cuid {quoted(text)}.")
    return row


def find_user(text: str | None) -> Any:
    """Return the user with this name, or None if no name is given. Raises ``CommandError``."""
    if text is None:
        return None
    user = None
    if not storage_problem(text):
        user = get_user_model()._default_manager.filter(username=text).first()
    if user is None:
        raise CommandError(f"No user has the name {quoted(text)}.")
    return user
