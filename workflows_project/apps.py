"""The front door as an app: its system checks."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    name = "workflows_project"
    label = "holdfast"

    def ready(self) -> None:
        from django.conf import settings

        from workflows_project import checks  # noqa: F401

        if settings.CELERY_BROKER_URL:
            from workflows_project import celery  # noqa: F401
