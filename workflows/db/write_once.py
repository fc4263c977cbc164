"""What is written once is sealed in the database: small triggers, for what no key can say.

A seal is declared beside its model's app and installed after every migration, on both
vendors: SQLite drops the triggers of a table that it remakes. It is named like a constraint,
so that one table says which refusal stands behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

_registered: dict[str, Seal] = {}
_attached: dict[str, Attached] = {}
_refused: dict[str, Refused] = {}
_told: dict[str, Told] = {}

# Where SQLite notes that a row went without its parent. The key of a note points at nothing, so
# no transaction commits while one stands there; the deletion of the parent takes it away.
_DETACHED = "holdfast_detached"


@dataclass(frozen=True, slots=True)
class Seal:
    """These columns of a table are written once, where ``condition`` holds of the old row."""

    name: str
    table: str
    columns: tuple[str, ...]
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Attached:
    """A row of this table is not deleted while its parent stays; never, where it has none.

    Judged at commit on both vendors: SQLite's ``flush`` deletes tables in random order. What
    has no parent is kept on PostgreSQL alone, for ``flush`` empties its table too; there
    ``pre_delete`` refuses, and the integrity check finds the rest.
    """

    name: str
    table: str
    parent_column: str
    parent_table: str


@dataclass(frozen=True, slots=True)
class Refused:
    """``event`` on this table is refused where the condition of the vendor holds of ``NEW``."""

    name: str
    table: str
    event: str
    sqlite: str
    postgresql: str


@dataclass(frozen=True, slots=True)
class Told:
    """What is written into this table has more written, beside it, by the database itself.

    The statements make the trigger of this name. It is there only while the tables are that it
    writes to and reads.
    """

    name: str
    table: str
    needs: tuple[str, ...]
    sqlite: tuple[str, ...]
    postgresql: tuple[str, ...]


def seal(name: str, table: str, columns: tuple[str, ...], condition: str = "") -> None:
    """Declare that these columns are written once."""
    _registered[name] = Seal(name, table, columns, condition)


def attach(name: str, table: str, parent_column: str, parent_table: str) -> None:
    """Declare that a row goes only with its parent."""
    _attached[name] = Attached(name, table, parent_column, parent_table)


def refuse(name: str, table: str, event: str, *, sqlite: str, postgresql: str) -> None:
    """Declare that ``event`` (INSERT or UPDATE) is refused where the condition holds."""
    _refused[name] = Refused(name, table, event, sqlite, postgresql)


def tell(told: Told) -> None:
    """Declare what the database writes by itself; no seal, but installed along with them."""
    _told[told.name] = told


def keep(name: str, table: str) -> None:
    """Declare that no row of this table is deleted."""
    _attached[name] = Attached(name, table, "", "")


def install(connection: BaseDatabaseWrapper) -> None:
    """Install every seal whose table is there; what is there already is replaced."""
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        if "workflows_unsealed" not in tables:
            return
        statements: list[str] = []
        if connection.vendor == "postgresql":
            statements += _POSTGRESQL_FUNCTIONS
        else:
            statements += _SQLITE_DETACHED
        for declared in _all():
            if {declared.table, *getattr(declared, "needs", ())} <= tables:
                statements += _written(declared, connection.vendor)
        for statement in statements:
            cursor.execute(statement)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Take every seal away: PostgreSQL alters no column that a trigger looks at."""
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for row in _all():
            if row.table in tables:
                on = f" ON {row.table}" if connection.vendor == "postgresql" else ""
                cursor.execute(f"DROP TRIGGER IF EXISTS {row.name}{on}")
        if connection.vendor == "sqlite":
            for attached in _attached.values():
                cursor.execute(f"DROP TRIGGER IF EXISTS {attached.name}_parent")
            cursor.execute(f"DROP TABLE IF EXISTS {_DETACHED}")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """The names of the seals that are not in the database."""
    wanted = {row.name for row in _all()}
    if connection.vendor == "postgresql":
        sql = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
    else:
        wanted -= {row.name for row in _attached.values() if not row.parent_table}
        sql = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return sorted(wanted - {row[0] for row in cursor.fetchall()})


def _all() -> list[Seal | Attached | Refused | Told]:
    return [*_registered.values(), *_attached.values(), *_refused.values(), *_told.values()]


def _written(row: Seal | Attached | Refused | Told, vendor: str) -> list[str]:
    postgresql = vendor == "postgresql"
    if isinstance(row, Told):
        if postgresql:
            return list(row.postgresql)
        return [f"DROP TRIGGER IF EXISTS {row.name}", *row.sqlite]
    if isinstance(row, Seal):
        return _postgresql(row) if postgresql else _sqlite(row)
    if isinstance(row, Refused):
        return _postgresql_refused(row) if postgresql else _sqlite_refused(row)
    return _postgresql_attached(row) if postgresql else _sqlite_attached(row)


_POSTGRESQL_FUNCTIONS = [
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
            RAISE EXCEPTION 'a row of % goes only with its parent', TG_TABLE_NAME
                USING ERRCODE = '23514', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
        END IF;
        RETURN NULL;
    END $$
    """,
]


def _postgresql(row: Seal) -> list[str]:
    old = ", ".join(f"OLD.{column}" for column in row.columns)
    new = ", ".join(f"NEW.{column}" for column in row.columns)
    condition = f"ROW({old}) IS DISTINCT FROM ROW({new})"
    if row.condition:
        condition += f" AND {row.condition}"
    return [
        # AFTER: a BEFORE trigger makes PostgreSQL count every generated column as updated, and
        # an update of a mere title would lock out all who share the row's key.
        # OF: a statement that names none of the columns does not even look at the condition.
        f"CREATE OR REPLACE TRIGGER {row.name} AFTER UPDATE OF {', '.join(row.columns)}"
        f" ON {row.table} FOR EACH ROW"
        f" WHEN ({condition}) EXECUTE FUNCTION holdfast_sealed()"
    ]


def _postgresql_attached(row: Attached) -> list[str]:
    # Judged at commit: Django deletes children before their parent.
    return [
        f"DROP TRIGGER IF EXISTS {row.name} ON {row.table}",
        f"CREATE CONSTRAINT TRIGGER {row.name} AFTER DELETE ON {row.table}"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
        f" EXECUTE FUNCTION holdfast_attached('{row.parent_table}', '{row.parent_column}')",
    ]


def _sqlite(row: Seal) -> list[str]:
    changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in row.columns)
    condition = f"({changed})" + (f" AND {row.condition}" if row.condition else "")
    return [
        f"DROP TRIGGER IF EXISTS {row.name}",
        f"CREATE TRIGGER {row.name} BEFORE UPDATE ON {row.table} FOR EACH ROW"
        f" WHEN {condition} AND NOT EXISTS (SELECT 1 FROM workflows_unsealed u"
        f" WHERE u.table_name = '{row.table}' AND u.row_id = OLD.id)"
        f" BEGIN SELECT RAISE(ABORT, '{row.name}'); END",
    ]


def _postgresql_refused(row: Refused) -> list[str]:
    return [
        f"""
        CREATE OR REPLACE FUNCTION {row.name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF {row.postgresql} AND NOT EXISTS (SELECT 1 FROM workflows_unsealed u
                    WHERE u.table_name = TG_TABLE_NAME AND u.row_id = NEW.id) THEN
                RAISE EXCEPTION 'refused by %', TG_NAME
                    USING ERRCODE = '23514', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        END $$
        """,
        f"CREATE OR REPLACE TRIGGER {row.name} AFTER {row.event} ON {row.table} FOR EACH ROW"
        f" EXECUTE FUNCTION {row.name}()",
    ]


def _sqlite_refused(row: Refused) -> list[str]:
    return [
        f"DROP TRIGGER IF EXISTS {row.name}",
        f"CREATE TRIGGER {row.name} AFTER {row.event} ON {row.table} FOR EACH ROW"
        f" WHEN {row.sqlite} AND NOT EXISTS (SELECT 1 FROM workflows_unsealed u"
        f" WHERE u.table_name = '{row.table}' AND u.row_id = NEW.id)"
        f" BEGIN SELECT RAISE(ABORT, '{row.name}'); END",
    ]


_SQLITE_DETACHED = [
    f"CREATE TABLE IF NOT EXISTS {_DETACHED} (id INTEGER PRIMARY KEY, parent_table TEXT NOT NULL,"
    " parent_id INTEGER NOT NULL, nowhere INTEGER NOT NULL DEFAULT -1"
    f" REFERENCES {_DETACHED} (id) DEFERRABLE INITIALLY DEFERRED)"
]


def _sqlite_attached(row: Attached) -> list[str]:
    if not row.parent_table:
        return []
    return [
        f"DROP TRIGGER IF EXISTS {row.name}",
        f"CREATE TRIGGER {row.name} AFTER DELETE ON {row.table} FOR EACH ROW"
        f" WHEN EXISTS (SELECT 1 FROM {row.parent_table} WHERE id = OLD.{row.parent_column})"
        " AND NOT EXISTS (SELECT 1 FROM workflows_unsealed u"
        f" WHERE u.table_name = '{row.table}' AND u.row_id = OLD.id)"
        f" BEGIN INSERT INTO {_DETACHED} (parent_table, parent_id)"
        f" VALUES ('{row.parent_table}', OLD.{row.parent_column}); END",
        f"DROP TRIGGER IF EXISTS {row.name}_parent",
        f"CREATE TRIGGER {row.name}_parent AFTER DELETE ON {row.parent_table} FOR EACH ROW"
        f" BEGIN DELETE FROM {_DETACHED}"
        f" WHERE parent_table = '{row.parent_table}' AND parent_id = OLD.id; END",
    ]
