"""The SQL of write-once triggers, for SQLite and for PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from workflows.db.vendor import DATABASE


@dataclass(frozen=True, slots=True)
class WriteOnceTrigger:
    """These columns of a table are written once, where ``condition`` holds for the old row."""

    name: str
    table: str
    columns: tuple[str, ...]
    condition: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeletionTrigger:
    """A row is not deleted while its parent exists; never, if the table has no parent.

    Both databases check it at commit: SQLite's ``flush`` deletes tables in random order. A table
    without a parent is protected on PostgreSQL alone, because ``flush`` empties it too; on SQLite
    ``pre_delete`` refuses the deletion and the integrity check finds the rest.
    """

    name: str
    table: str
    parent_column: str = ""
    parent_table: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RejectionTrigger:
    """``event`` on this table is rejected where the condition holds for the ``NEW`` row."""

    name: str
    table: str
    event: str
    sqlite: str
    postgresql: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CustomTrigger:
    """A trigger of this name, made by these statements; it writes rows and rejects nothing.

    It is installed only while the tables that it ``needs`` exist.
    """

    name: str
    table: str
    needs: tuple[str, ...]
    sqlite: tuple[str, ...]
    postgresql: tuple[str, ...]


Trigger = WriteOnceTrigger | DeletionTrigger | RejectionTrigger | CustomTrigger


class TriggerSQL(Protocol):
    """The statements of one database."""

    preparation: Sequence[str]
    """Statements to run before triggers are created."""
    cleanup: Sequence[str]
    """Statements to run after all triggers are dropped."""

    def read_installed(self, cursor: Any) -> dict[str, str]:
        """Return the triggers that are enabled: the definition of each name."""

    def definitions(self, trigger: Trigger) -> dict[str, str]:
        """Return what ``read_installed`` returns for this trigger once it is installed."""

    def drop_undeclared(self, cursor: Any, name: str) -> list[str]:
        """Return the statements that drop an installed trigger which no code declares any more."""

    def create(self, trigger: Trigger) -> list[str]:
        """Return the statements that create or replace a trigger."""

    def drop(self, trigger: Trigger, tables: set[str]) -> list[str]:
        """Return the statements that drop a trigger; ``tables`` are the ones that exist."""

    def is_supported(self, trigger: Trigger) -> bool:
        """Return True if the database has this trigger at all."""


class PostgreSQLTriggers:
    """Triggers that call functions; functions raise a check violation named like the trigger."""

    preparation: Sequence[str] = (
        """
        CREATE OR REPLACE FUNCTION holdfast_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (SELECT 1 FROM workflows_unsealed u
                       WHERE u.table_name = TG_TABLE_NAME AND u.row_id = OLD.id) THEN
                RETURN NEW;
            END IF;
            RAISE EXCEPTION '% is written once', TG_TABLE_NAME
                USING ERRCODE = '23514', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
        END $$
        """,
        """
        CREATE OR REPLACE FUNCTION holdfast_attached() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE parent_stays boolean := true;
        BEGIN
            IF TG_ARGV[0] <> '' THEN
                EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I WHERE id = ($1).%I)',
                               TG_ARGV[0], TG_ARGV[1])
                    INTO parent_stays USING OLD;
            END IF;
            IF parent_stays AND NOT EXISTS (SELECT 1 FROM workflows_unsealed u
                    WHERE u.table_name = TG_TABLE_NAME AND u.row_id = OLD.id) THEN
                RAISE EXCEPTION 'a row of % is deleted only with its parent', TG_TABLE_NAME
                    USING ERRCODE = '23514', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        END $$
        """,
    )
    cleanup: Sequence[str] = ()
    # The functions that triggers of this module share.
    _SHARED = ("holdfast_sealed", "holdfast_attached")

    def read_installed(self, cursor: Any) -> dict[str, str]:
        cursor.execute(
            "SELECT tgname, coalesce(obj_description(oid, 'pg_trigger'), '') FROM pg_trigger"
            " WHERE NOT tgisinternal AND tgenabled <> 'D'"
        )
        return dict(cursor.fetchall())

    def definitions(self, trigger: Trigger) -> dict[str, str]:
        return {trigger.name: self._fingerprint(self._create(trigger))}

    def _fingerprint(self, statements: list[str]) -> str:
        digest = hashlib.sha256("\n".join(statements).encode()).hexdigest()
        return f"holdfast:{digest[:32]}"

    def drop_undeclared(self, cursor: Any, name: str) -> list[str]:
        cursor.execute(
            "SELECT t.tgrelid::regclass::text, p.proname, obj_description(t.oid, 'pg_trigger')"
            " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
            " WHERE t.tgname = %s AND NOT t.tgisinternal",
            [name],
        )
        statements = []
        for table, function, comment in cursor.fetchall():
            is_own = function == name
            if is_own or function in self._SHARED or (comment or "").startswith("holdfast:"):
                statements.append(f"DROP TRIGGER IF EXISTS {name} ON {table}")
            if is_own:
                statements.append(f"DROP FUNCTION IF EXISTS {name}()")
        return statements

    def create(self, trigger: Trigger) -> list[str]:
        statements = self._create(trigger)
        # A later migration reads from the comment whether the trigger has changed.
        comment = self._fingerprint(statements)
        return [
            *statements,
            f"COMMENT ON TRIGGER {trigger.name} ON {trigger.table} IS '{comment}'",
        ]

    def _create(self, trigger: Trigger) -> list[str]:
        match trigger:
            case WriteOnceTrigger():
                return [self._write_once(trigger)]
            case DeletionTrigger():
                return self._deletion(trigger)
            case RejectionTrigger():
                return self._rejection(trigger)
            case CustomTrigger():
                return list(trigger.postgresql)

    def _write_once(self, trigger: WriteOnceTrigger) -> str:
        old = ", ".join(f"OLD.{column}" for column in trigger.columns)
        new = ", ".join(f"NEW.{column}" for column in trigger.columns)
        condition = f"ROW({old}) IS DISTINCT FROM ROW({new})"
        if trigger.condition:
            condition += f" AND {trigger.condition}"
        # AFTER: a BEFORE trigger makes PostgreSQL count every generated column as updated, so that
        # an update of a mere title would lock out everybody who shares the row's key.
        # OF: a statement that names none of the columns does not even evaluate the condition.
        return (
            f"CREATE OR REPLACE TRIGGER {trigger.name} AFTER UPDATE OF"
            f" {', '.join(trigger.columns)} ON {trigger.table} FOR EACH ROW"
            f" WHEN ({condition}) EXECUTE FUNCTION holdfast_sealed()"
        )

    def _deletion(self, trigger: DeletionTrigger) -> list[str]:
        # Checked at commit: Django deletes children before their parent.
        return [
            f"DROP TRIGGER IF EXISTS {trigger.name} ON {trigger.table}",
            f"CREATE CONSTRAINT TRIGGER {trigger.name} AFTER DELETE ON {trigger.table}"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION"
            f" holdfast_attached('{trigger.parent_table}', '{trigger.parent_column}')",
        ]

    def _rejection(self, trigger: RejectionTrigger) -> list[str]:
        return [
            f"""
            CREATE OR REPLACE FUNCTION {trigger.name}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF {trigger.postgresql} AND NOT EXISTS (SELECT 1 FROM workflows_unsealed u
                        WHERE u.table_name = TG_TABLE_NAME AND u.row_id = NEW.id) THEN
                    RAISE EXCEPTION 'rejected by %', TG_NAME
                        USING ERRCODE = '23514', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
                END IF;
                RETURN NULL;
            END $$
            """,
            f"CREATE OR REPLACE TRIGGER {trigger.name} AFTER {trigger.event} ON {trigger.table}"
            f" FOR EACH ROW EXECUTE FUNCTION {trigger.name}()",
        ]

    def drop(self, trigger: Trigger, tables: set[str]) -> list[str]:
        if trigger.table not in tables:
            return []
        return [f"DROP TRIGGER IF EXISTS {trigger.name} ON {trigger.table}"]

    def is_supported(self, trigger: Trigger) -> bool:
        return True


class SQLiteTriggers:
    """Triggers that abort the statement with their name."""

    # A note that a row was deleted without its parent. Its key points nowhere, so no transaction
    # commits while the note exists; the deletion of the parent deletes it.
    _DETACHED = "holdfast_detached"
    preparation: Sequence[str] = (
        f"CREATE TABLE IF NOT EXISTS {_DETACHED} (id INTEGER PRIMARY KEY,"
        " parent_table TEXT NOT NULL, parent_id INTEGER NOT NULL,"
        " nowhere INTEGER NOT NULL DEFAULT -1"
        f" REFERENCES {_DETACHED} (id) DEFERRABLE INITIALLY DEFERRED)",
    )
    cleanup: Sequence[str] = (f"DROP TABLE IF EXISTS {_DETACHED}",)

    def read_installed(self, cursor: Any) -> dict[str, str]:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        return dict(cursor.fetchall())

    def definitions(self, trigger: Trigger) -> dict[str, str]:
        statements = (one.strip() for one in self.create(trigger))
        return {
            statement.split(maxsplit=3)[2]: statement
            for statement in statements
            if statement.startswith("CREATE TRIGGER")
        }

    def drop_undeclared(self, cursor: Any, name: str) -> list[str]:
        return [f"DROP TRIGGER IF EXISTS {name}"]

    def create(self, trigger: Trigger) -> list[str]:
        drop = f"DROP TRIGGER IF EXISTS {trigger.name}"
        match trigger:
            case WriteOnceTrigger():
                return [drop, self._write_once(trigger)]
            case DeletionTrigger():
                return self._deletion(trigger) if trigger.parent_table else []
            case RejectionTrigger():
                return [drop, self._rejection(trigger)]
            case CustomTrigger():
                return [drop, *trigger.sqlite]

    def _write_once(self, trigger: WriteOnceTrigger) -> str:
        changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in trigger.columns)
        condition = f"({changed})" + (f" AND {trigger.condition}" if trigger.condition else "")
        return (
            f"CREATE TRIGGER {trigger.name} BEFORE UPDATE ON {trigger.table} FOR EACH ROW"
            f" WHEN {condition} AND {self._is_protected(trigger, 'OLD')}"
            f" BEGIN SELECT RAISE(ABORT, '{trigger.name}'); END"
        )

    def _deletion(self, trigger: DeletionTrigger) -> list[str]:
        name, parent = trigger.name, trigger.parent_table
        return [
            f"DROP TRIGGER IF EXISTS {name}",
            f"CREATE TRIGGER {name} AFTER DELETE ON {trigger.table} FOR EACH ROW"
            f" WHEN EXISTS (SELECT 1 FROM {parent} WHERE id = OLD.{trigger.parent_column})"
            f" AND {self._is_protected(trigger, 'OLD')}"
            f" BEGIN INSERT INTO {self._DETACHED} (parent_table, parent_id)"
            f" VALUES ('{parent}', OLD.{trigger.parent_column}); END",
            f"DROP TRIGGER IF EXISTS {name}_parent",
            f"CREATE TRIGGER {name}_parent AFTER DELETE ON {parent} FOR EACH ROW"
            f" BEGIN DELETE FROM {self._DETACHED}"
            f" WHERE parent_table = '{parent}' AND parent_id = OLD.id; END",
        ]

    def _rejection(self, trigger: RejectionTrigger) -> str:
        return (
            f"CREATE TRIGGER {trigger.name} AFTER {trigger.event} ON {trigger.table} FOR EACH ROW"
            f" WHEN {trigger.sqlite} AND {self._is_protected(trigger, 'NEW')}"
            f" BEGIN SELECT RAISE(ABORT, '{trigger.name}'); END"
        )

    def _is_protected(self, trigger: Trigger, row: str) -> str:
        return (
            "NOT EXISTS (SELECT 1 FROM workflows_unsealed u"
            f" WHERE u.table_name = '{trigger.table}' AND u.row_id = {row}.id)"
        )

    def drop(self, trigger: Trigger, tables: set[str]) -> list[str]:
        statements = []
        if trigger.table in tables:
            statements.append(f"DROP TRIGGER IF EXISTS {trigger.name}")
        if isinstance(trigger, DeletionTrigger):
            statements.append(f"DROP TRIGGER IF EXISTS {trigger.name}_parent")
        return statements

    def is_supported(self, trigger: Trigger) -> bool:
        return not isinstance(trigger, DeletionTrigger) or bool(trigger.parent_table)


TRIGGER_SQL: TriggerSQL = PostgreSQLTriggers() if DATABASE.is_postgresql else SQLiteTriggers()
