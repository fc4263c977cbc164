"""The migrations that a database does not have."""

from __future__ import annotations

from functools import cache

from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

MIGRATE = "Run: manage.py migrate"


@cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    # The files do not change while the process runs.
    return frozenset(MigrationLoader(None, ignore_no_migrations=True).graph.nodes)


def find_unapplied(using: str = "default") -> list[str]:
    """Return the migrations of this release that the database does not have.

    A database may have more migrations: those of the next release, during an upgrade.
    """
    applied = MigrationRecorder(connections[using]).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in _known_migrations() - applied.keys())


def describe_unapplied(using: str = "default") -> str:
    """Return a sentence about migrations that are not applied, empty if all are."""
    unapplied = find_unapplied(using)
    if not unapplied:
        return ""
    noun = "migration is" if len(unapplied) == 1 else "migrations are"
    return f"{len(unapplied)} {noun} not applied ({unapplied[0]} …)."
