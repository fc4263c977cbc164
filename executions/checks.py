"""System checks of executions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from executions.models import Secret, SigningSecret


@register(Tags.database)
def check_secrets_key(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Report stored secrets that cannot be decrypted because SECRETS_KEY is not set."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if settings.SECRETS_KEY:
            continue
        # The tables do not exist before the first migration.
        tables = connection.introspection.table_names()
        models = [model for model in (Secret, SigningSecret) if model._meta.db_table in tables]
        if number := sum(model._base_manager.using(alias).count() for model in models):
            noun = "secret is" if number == 1 else "secrets are"
            found.append(
                Error(
                    f"SECRETS_KEY is not set, but {number} {noun} stored that it encrypts.",
                    id="executions.E001",
                )
            )
    return found
