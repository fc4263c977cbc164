"""Write-once triggers: small database triggers for rules that no key can express.

Apps declare their triggers when they are loaded; ``install`` creates them after every migration,
because SQLite drops the triggers of a table that it remakes.

A trigger's name is reported like a constraint's, so that ``guards.database_errors`` finds the
refusal behind it. The names in the database (``…_sealed``, ``…_attached``, ``…_kept``) are part of
released schemas and do not change.
"""

from __future__ import annotations

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


def install(connection: BaseDatabaseWrapper) -> None:
    """Create every trigger whose tables and columns exist; replace those that are there already.

    Between two migrations, tables and columns of later ones are missing.
    """
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        if _UNSEALED_TABLE not in tables:
            return
        statements = list(TRIGGER_SQL.preparation)
        for trigger in _triggers.values():
            if {trigger.table, *trigger.needs} <= tables and _has_columns(connection, trigger):
                statements += TRIGGER_SQL.create(trigger)
        for statement in statements:
            cursor.execute(statement)


def _has_columns(connection: BaseDatabaseWrapper, trigger: Trigger) -> bool:
    if not isinstance(trigger, WriteOnceTrigger):
        return True
    with connection.cursor() as cursor:
        found = connection.introspection.get_table_description(cursor, trigger.table)
    return set(trigger.columns) <= {column.name for column in found}


def remove(connection: BaseDatabaseWrapper) -> None:
    """Drop every trigger: PostgreSQL alters no column that a trigger depends on."""
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        statements = [
            statement
            for trigger in _triggers.values()
            for statement in TRIGGER_SQL.drop(trigger, tables)
        ]
        for statement in [*statements, *TRIGGER_SQL.cleanup]:
            cursor.execute(statement)


def find_missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of declared triggers that are not in the database."""
    wanted = {row.name for row in _triggers.values() if TRIGGER_SQL.is_supported(row)}
    with connection.cursor() as cursor:
        cursor.execute(TRIGGER_SQL.names)
        return sorted(wanted - {row[0] for row in cursor.fetchall()})
