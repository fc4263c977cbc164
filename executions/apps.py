"""The app of what is running."""

from django.apps import AppConfig


class ExecutionsConfig(AppConfig):
    name = "executions"

    def ready(self) -> None:
        from executions import signals  # noqa: F401
        from executions.engine import nodes  # noqa: F401
