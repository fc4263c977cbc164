"""Secrets: the guards of secrets in use, and the revocation of a replaced value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from executions.engine.secret_uses import users_of_secret
from executions.models import Secret
from executions.models.secret import lock_for_deletion
from workflows import guards
from workflows.audit.log import Action, make_attempt, record, recording_refusals
from workflows.db import locks
from workflows.guards.database_errors import translate_database_errors
from workflows.refusals import Remedy


def refuse_secret_deletion(secret: Secret) -> None:
    """Lock the secret, and raise ``guards.InUse`` when a live version uses it."""
    lock_for_deletion([secret.pk])
    # The stored name counts: the instance may have an unsaved one.
    stored = Secret._base_manager.filter(pk=secret.pk).values_list("name", flat=True).first()
    if stored is not None:
        _refuse(stored, "delete", "")


def refuse_secret_renaming(written: Iterable[tuple[Secret, dict[str, Any] | None]]) -> None:
    """Raise ``guards.InUse`` when one of these secrets was renamed while it is in use.

    The caller has written the rows in the open transaction, and so holds their locks.

    Args:
        written: the secrets, each with its values before the write.
    """
    for secret, before in written:
        name = (before or {}).get("name", secret.name)
        if name != secret.name:
            _refuse(name, "rename", "/name")


def _refuse(name: str, edit: str, pointer: str) -> None:
    executions, workflows = users_of_secret(name)
    guards.refuse_in_use(
        f"the secret “{name}”",
        executions,
        workflows,
        edit=edit,
        pointer=pointer,
        remedies=[
            Remedy("set_value", "Set a new value instead, and keep the name."),
            Remedy(
                "remove_uses",
                "Save the workflows without the secret, and finish or cancel the executions.",
            ),
        ],
    )


def revoke_previous_value(secret: Secret, *, by: Any = None) -> bool:
    """Stop accepting the replaced value of a secret. Return False when there is none."""
    attempt = make_attempt(secret, Action.CHANGED, after={"previous_value": "revoked"}, by=by)
    with recording_refusals(lambda: [attempt]):
        return _revoke(secret, attempt)


@translate_database_errors
@locks.retrying
def _revoke(secret: Secret, attempt: Any) -> bool:
    with transaction.atomic():
        rows = Secret._base_manager.filter(pk=secret.pk, previous_until__gt=timezone.now())
        if not rows.update(previous="", previous_until=None):
            return False
        record([attempt])
        return True


def purge_previous_values() -> int:
    """Delete the replaced values that have expired, and return their number."""
    rows = Secret._base_manager.filter(previous_until__lte=timezone.now())
    return rows.update(previous="", previous_until=None)
