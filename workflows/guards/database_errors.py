"""What the database refuses, told as the refusal that stands before it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, IntegrityError
from django.db.models import ProtectedError
from django.utils.translation import gettext_lazy as _

from workflows.guards import (
    ActiveExecutions,
    AuditLogImmutable,
    ContextShape,
    Draining,
    HasCallers,
    IncompatibleEntityTypes,
    InvalidState,
    InvalidTrigger,
    TriggerTaken,
    TypeInUse,
    VersionInUse,
    WriteOnce,
)
from workflows.refusals import Refusal

P = ParamSpec("P")
R = TypeVar("R")


class NotUnique(Refusal):
    message = _("A record with the same name or number is there already.")
    code = "not_unique"


class Stranding(Refusal):
    message = _(
        "Refused by the database: the change would set a live record apart from what is running."
    )
    code = "database_refused"


# The keys, checks and seals of the schema, and the refusal that stands before each of them;
# the app of what is running adds its own.
KEYS: dict[str, type[Refusal]] = {
    "workflows_version_workflow_fk": ActiveExecutions,
    "workflows_reference_callee_fk": IncompatibleEntityTypes,
    "workflows_reference_version_fk": VersionInUse,
    "workflows_version_sealed": VersionInUse,
    "workflows_reference_sealed": VersionInUse,
    "workflows_reference_attached": VersionInUse,
    "workflows_reference_drawn": VersionInUse,
    "workflows_workflow_sealed": WriteOnce,
    "workflows_workflow_called": HasCallers,
    "workflows_workflow_state": InvalidState,
    "workflows_workflow_trigger": InvalidTrigger,
    "workflows_workflow_created": TriggerTaken,
    "workflows_workflow_shape": ContextShape,
    "workflows_version_shape": ContextShape,
    "workflows_pendingchange_shape": ContextShape,
    "workflows_pending_once": Draining,
    "workflows_auditentry_sealed": AuditLogImmutable,
    "workflows_auditentry_kept": AuditLogImmutable,
}

# SQLite tells the columns of a unique index, not its name.
UNIQUE_ON_SQLITE = {
    "UNIQUE constraint failed: workflows_workflow.context_key": "workflows_workflow_created"
}


# What keeps a row from being deleted, by how the names of its keys begin: Django's own, which
# hold also what has ended, begin like those of the schema.
DELETION_KEYS: dict[str, type[Refusal]] = {
    "workflows_reference_callee_": HasCallers,
    "workflows_workflow_entity_name_type_": TypeInUse,
    "workflows_workflow_primary_record_type_": TypeInUse,
    "workflows_version_entity_name_type_": TypeInUse,
    "workflows_version_primary_record_type_": TypeInUse,
    "workflows_pendingchange_entity_name_type_": TypeInUse,
    "workflows_pendingchange_primary_record_type_": TypeInUse,
}


def translate_database_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Let what a key of the schema refuses come out of ``function`` as the refusal before it."""

    @functools.wraps(function)
    def refusing(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except DatabaseError as error:
            refusal = find_refusal(error)
            if refusal is None:
                raise
            raise refusal from error

    return refusing


def translate_deletion_errors(function: Callable[P, R]) -> Callable[P, R]:
    """``translated`` for a deletion: the same keys stand behind other refusals there."""

    @functools.wraps(function)
    def refusing(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except DatabaseError as error:
            name = _constraint_of(error)
            kinds = (kind for start, kind in DELETION_KEYS.items() if name.startswith(start))
            kind = next(kinds, None)
            refusal = kind() if kind is not None else find_refusal(error)
            if refusal is None:
                raise
            raise refusal from error

    return refusing


def _constraint_of(error: DatabaseError) -> str:
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None) or ""


def find_refusal(error: DatabaseError) -> Refusal | None:
    """The refusal that a key of the schema stands behind; None for any other error.

    SQLite does not name a foreign key that fails, so there it is ``Stranding``; whoever can
    ask the guard first gives the better sentence.
    """
    if isinstance(error, ProtectedError):
        return Stranding("Cannot delete this: other records still need it.")
    if not isinstance(error, IntegrityError):
        return None
    name = _constraint_of(error)
    if not name:
        told = UNIQUE_ON_SQLITE.get(str(error), str(error))
        name = next((key for key in KEYS if key in told), "")
    if name in KEYS:
        return KEYS[name]()
    state = getattr(error.__cause__, "pgcode", "")
    if state == "23505" or "UNIQUE constraint failed" in str(error):
        return NotUnique()
    if state == "23503" or "FOREIGN KEY constraint failed" in str(error):
        return Stranding()
    return None
