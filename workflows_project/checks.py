"""System checks of the settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from workflows.db.prepared import UNPREPARED, shares_sessions
from workflows_project import environment


@register
def check_environment(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Report invalid environment variables."""
    return [Error(problem, id="workflows_project.E001") for problem in environment.problems]


@register(Tags.database)
def check_pooler(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Report prepared statements behind a pooler in transaction mode."""
    return [
        Error(
            f"The database “{alias}” is behind a pooler in transaction mode, which breaks prepared "
            "statements.",
            hint=f"Add ?{UNPREPARED}=True to DATABASE_URL, or use session mode.",
            id="workflows_project.E002",
        )
        for alias in databases or ()
        if not connections[alias].settings_dict.get(UNPREPARED) and shares_sessions(alias)
    ]
