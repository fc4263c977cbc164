"""Write-once triggers: small database triggers for rules that no key can express.

Apps declare their triggers when they are loaded; ``install`` brings the database up to date after
every migration, because SQLite drops the triggers of a table that it remakes.

A trigger's name is reported like a constraint's, so that ``guards.database_errors`` finds the
refusal behind it. The names in the database (``…_sealed``, ``…_attached``, ``…_kept``) are part of
released schemas and do not change.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from workflows.db.trigger_sql import (
    TRIGGER_SQL,
    CustomTrigger,
    DeletionTrigger,
    RejectionTrigger,
    Trigger,
    WriteOnceTrigger,
)

__all__ = [
    "CustomTrigger",
    "find_missing",
    "forbid_deletion",
    "install",
    "protect_columns",
    "protect_rows",
    "register",
    "reject",
    "remove",
    "restore",
]

_UNSEALED_TABLE = "workflows_unsealed"
_triggers: dict[str, Trigger] = {}


def register(trigger: Trigger) -> None:
    """Declare a trigger; one of the same name is replaced."""
    _triggers[trigger.name] = trigger


def protect_columns(
    name: str,
    table: str,
    columns: tuple[str, ...],
    condition: str = "",
    needs: tuple[str, ...] = (),
) -> None:
    """Declare that these columns are written once, where ``condition`` holds.

    The condition is SQL over ``OLD`` and ``NEW``. The trigger is installed only while the tables
    that it ``needs`` exist.
    """
    register(WriteOnceTrigger(name, table, columns, condition, needs))


def protect_rows(name: str, table: str, parent_column: str, parent_table: str) -> None:
    """Declare that a row is deleted only together with its parent."""
    register(DeletionTrigger(name, table, parent_column, parent_table))


def forbid_deletion(name: str, table: str) -> None:
    """Declare that no row of this table is deleted."""
    register(DeletionTrigger(name, table))


def reject(name: str, table: str, event: str, *, sqlite: str, postgresql: str) -> None:
    """Declare that ``event`` (INSERT or UPDATE) is rejected where the condition holds."""
    register(RejectionTrigger(name, table, event, sqlite, postgresql))


def install(connection: BaseDatabaseWrapper, *, is_complete: bool = True) -> list[str]:
    """Create the triggers whose tables and columns exist, replace changed ones, and drop
    undeclared ones.

    Each trigger is replaced in a transaction of its own, so that it is never absent and only one
    table is locked at a time. A trigger that has not changed locks nothing.

    Args:
        is_complete: raise the error if a trigger cannot be created; otherwise leave it out. After
            a failed migration, columns may still be missing.

    Returns:
        The names of the triggers that could not be created.
    """
    failed = []
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        if _UNSEALED_TABLE not in tables:
            return []
        for statement in TRIGGER_SQL.preparation:
            cursor.execute(statement)
        installed = TRIGGER_SQL.read_installed(cursor)
        wanted: dict[str, str] = {}
        for trigger in _triggers.values():
            if not {trigger.table, *trigger.needs} <= tables:
                continue
            definitions = TRIGGER_SQL.definitions(trigger)
            is_installed = definitions.items() <= installed.items()
            # An installed trigger keeps its columns in place.
            if is_installed or _has_columns(connection, trigger):
                wanted.update(definitions)
                if not is_installed and not _replace(connection, trigger, is_complete):
                    failed.append(trigger.name)
        for name in sorted(installed.keys() - wanted.keys()):
            if is_complete and _is_ours(name):
                for statement in TRIGGER_SQL.drop_undeclared(cursor, name):
                    cursor.execute(statement)
    return failed


def restore(connection: BaseDatabaseWrapper, names: Iterable[str]) -> None:
    """Create these triggers again, inside a transaction, as far as their columns exist."""
    for name in names:
        if name in _triggers:
            _replace(connection, _triggers[name], is_complete=False)


def _replace(connection: BaseDatabaseWrapper, trigger: Trigger, is_complete: bool) -> bool:
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            for statement in TRIGGER_SQL.create(trigger):
                cursor.execute(statement)
    except DatabaseError:
        if is_complete:
            raise
        return False
    return True


def _is_ours(name: str) -> bool:
    # Only names that begin like the declared ones: operators may have triggers of their own.
    return any(name.startswith(f"{row.name.split('_')[0]}_") for row in _triggers.values())


def _has_columns(connection: BaseDatabaseWrapper, trigger: Trigger) -> bool:
    if not isinstance(trigger, WriteOnceTrigger):
        return True
    with connection.cursor() as cursor:
        # The table description of Django also parses the SQL of the table on SQLite: 20 ms.
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(trigger.table)} LIMIT 0")
        return set(trigger.columns) <= {column[0] for column in cursor.description}


def remove(connection: BaseDatabaseWrapper) -> None:
    """Drop every trigger, for migrations that change what triggers protect.

    Those that an earlier release has installed and no code declares any more are dropped too.
    """
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        statements = [
            statement
            for trigger in _triggers.values()
            for statement in TRIGGER_SQL.drop(trigger, tables)
        ]
        for name in filter(_is_ours, TRIGGER_SQL.read_installed(cursor)):
            statements += TRIGGER_SQL.drop_undeclared(cursor, name)
        for statement in [*statements, *TRIGGER_SQL.cleanup]:
            cursor.execute(statement)


def find_missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of declared triggers that are not in the database."""
    wanted = {row.name for row in _triggers.values() if TRIGGER_SQL.is_supported(row)}
    with connection.cursor() as cursor:
        return sorted(wanted - TRIGGER_SQL.read_installed(cursor).keys())
