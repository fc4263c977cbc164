"""Records as a command line names them: by cuid, or by title where that is unique."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import CommandError
from django.db.models import Q

from workflows.db.json_values import quoted, unstorable
from workflows.models import FindingType, RecordType, Workflow


def _one(model: Any, field: str, text: str) -> Any:
    """The record with this cuid or, where only one has it, this title or name.

    Raises:
        CommandError: there is none, or more than one.
    """
    noun = model._meta.verbose_name
    found = (
        []
        if unstorable(text)
        else list(model.objects.filter(Q(cuid=text) | Q(**{field: text})).order_by("pk")[:20])
    )
    exact = [row for row in found if row.cuid == text] or found
    if not exact:
        raise CommandError(f"No {noun} has the cuid or {field} {quoted(text)}.")
    if len(exact) > 1:
        cuids = ", ".join(row.cuid for row in exact)
        raise CommandError(
            f"Several have the {field} {quoted(text)}; name one by its cuid: {cuids}."
        )
    return exact[0]


def workflow_named(text: str) -> Workflow:
    """The workflow with this cuid or title. Raises ``CommandError``."""
    row: Workflow = _one(Workflow, "title", text)
    return row


def type_named(text: str) -> FindingType | RecordType:
    """The finding type, else the record type, with this cuid or name. Raises ``CommandError``."""
    finding: FindingType | None = None
    if not unstorable(text):
        named = Q(cuid=text) | Q(name=text)
        finding = FindingType.objects.filter(named).first()
        record: RecordType | None = RecordType.objects.filter(named).first()
        if finding and record:
            raise CommandError(
                f"A finding type ({finding.cuid}) and a record type ({record.cuid}) have the name "
                f"{quoted(text)}; name one by its cuid."
            )
        if record:
            return record
    if finding is None:
        raise CommandError(f"No finding type or record type has the cuid or name {quoted(text)}.")
    return finding


def finding_type_named(text: str) -> FindingType:
    """The finding type with this cuid or name. Raises ``CommandError``."""
    row: FindingType = _one(FindingType, "name", text)
    return row


def by_cuid(model: Any, text: str) -> Any:
    """The record with this cuid. Raises ``CommandError``."""
    row = None if unstorable(text) else model._base_manager.filter(cuid=text).first()
    if row is None:
        raise CommandError(f"No {model._meta.verbose_name} has the cuid {quoted(text)}.")
    return row


def user_named(text: str | None) -> Any:
    """The user with this name; None where none was named. Raises ``CommandError``."""
    if text is None:
        return None
    user = None
    if not unstorable(text):
        user = get_user_model()._default_manager.filter(username=text).first()
    if user is None:
        raise CommandError(f"No user has the name {quoted(text)}.")
    return user
