"""System checks of what is running."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from executions.models import Secret, SigningSecret


@register(Tags.database)
def secrets_have_a_key(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Secrets that are stored need the key that reads them."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if settings.SECRETS_KEY:
            continue
        # Before the first migration there is no table to ask.
        tables = connection.introspection.table_names()
        kept = [model for model in (Secret, SigningSecret) if model._meta.db_table in tables]
        if number := sum(model._base_manager.using(alias).count() for model in kept):
            noun = "secret is" if number == 1 else "secrets are"
            found.append(
                Error(
                    f"SECRETS_KEY is not set, but {number} {noun} stored that only it can read.",
                    id="executions.E001",
                )
            )
    return found
