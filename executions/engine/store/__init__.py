"""The database access of the engine, with one class per database.

``store`` is the one of the database in use.
"""

from __future__ import annotations

from executions.engine.store.base import (
    ENTITY_COLUMNS,
    IS_OPEN,
    Basis,
    Changes,
    StartBasis,
    Store,
    StoredExecution,
    TreeBasis,
)
from executions.engine.store.postgresql import PostgreSQLStore
from executions.engine.store.sqlite import SQLiteStore
from workflows.db.prepared import ON_POSTGRESQL

__all__ = [
    "ENTITY_COLUMNS",
    "IS_OPEN",
    "Basis",
    "Changes",
    "PostgreSQLStore",
    "SQLiteStore",
    "StartBasis",
    "Store",
    "StoredExecution",
    "TreeBasis",
    "store",
]

store: Store = PostgreSQLStore() if ON_POSTGRESQL else SQLiteStore()
