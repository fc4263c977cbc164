"""System checks of the settings."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, register

from workflows_project import environment


@register
def environment_is_understood(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Every value of the environment that could not be used is an error."""
    return [Error(problem, id="workflows_project.E001") for problem in environment.problems]
