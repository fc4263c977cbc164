"""Secrets that are in use stay under their names; a value that was replaced can be revoked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from executions.engine.secret_uses import users_of_secret
from executions.models import Secret
from executions.models.secret import lock_for_deletion
from workflows import guards
from workflows.audit.log import Action, attempting, record, told
from workflows.db import locks
from workflows.guards.database_errors import translated
from workflows.refusals import Remedy

DB = "default"


def refuse_secret_deletion(secret: Secret) -> None:
    """Raises ``guards.InUse`` when something live uses the secret; takes the secret's lock."""
    lock_for_deletion([secret.pk], secret._state.db or DB)
    # By the name that is stored: the instance may have been given another one.
    stored = Secret._base_manager.filter(pk=secret.pk).values_list("name", flat=True).first()
    if stored is not None:
        _refuse(stored, "delete", "")


def refuse_secret_renaming(written: Iterable[tuple[Secret, dict[str, Any] | None]]) -> None:
    """Raises ``guards.InUse`` when one of these secrets had another name that is in use.

    Asked after the write, inside its transaction: the write holds the lock of each.
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
            Remedy("set_value", "To change its value, set a new one: the name stays."),
            Remedy(
                "remove_uses",
                "Save the workflows without it, and finish, cancel or move on the executions.",
            ),
        ],
    )


def revoke_previous_value(secret: Secret, *, by: Any = None) -> bool:
    """Accept the value that was replaced no longer. False where none was accepted."""
    attempt = told(secret, Action.CHANGED, after={"previous_value": "revoked"}, by=by)
    with attempting(lambda: [attempt], using=DB):
        return _revoke(secret, attempt)


@translated
@locks.retrying
def _revoke(secret: Secret, attempt: Any) -> bool:
    with transaction.atomic():
        rows = Secret._base_manager.filter(pk=secret.pk, previous_until__gt=timezone.now())
        if not rows.update(previous="", previous_until=None):
            return False
        record([attempt], using=DB)
        return True


def forget_previous_values() -> int:
    """Delete the replaced values that are not accepted any more; how many there were."""
    rows = Secret._base_manager.filter(previous_until__lte=timezone.now())
    return rows.update(previous="", previous_until=None)
