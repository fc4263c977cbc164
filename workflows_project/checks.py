"""System checks of the settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from workflows.db.prepared import UNPREPARED, shares_sessions
from workflows_project import environment


@register
def environment_is_understood(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Every value of the environment that could not be used is an error."""
    return [Error(problem, id="workflows_project.E001") for problem in environment.problems]


@register(Tags.database)
def pooler_is_known(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Behind a pooler that gives a session to each transaction, nothing may be prepared."""
    return [
        Error(
            f"The database “{alias}” is behind a pooler that gives each transaction another "
            "session, so that prepared statements are lost.",
            hint=f"Add ?{UNPREPARED}=True to DATABASE_URL, or pool by the session.",
            id="workflows_project.E002",
        )
        for alias in databases or ()
        if not connections[alias].settings_dict.get(UNPREPARED) and shares_sessions(alias)
    ]
