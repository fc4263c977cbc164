"""The front door as an app: its system checks, and the ways to log in that were added."""

from typing import Any

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string


class AdminConfig(DjangoAdminConfig):
    """Django's admin, at the project's own site."""

    default = False
    default_site = "workflows_project.site.Site"


class ProjectConfig(AppConfig):
    name = "workflows_project"
    label = "holdfast"

    def ready(self) -> None:
        from django.conf import settings

        from workflows_project import checks  # noqa: F401
        from workflows_project.api import readable_requests
        from workflows_project.auth.token_revocation import end_with_passwords

        readable_requests.use_utf_8()
        end_with_passwords()
        self._look_at_added_classes()
        if settings.CELERY_BROKER_URL:
            from workflows_project import celery  # noqa: F401

    def _look_at_added_classes(self) -> None:
        """Leave out what cannot be used: whoever imports it first would end in a traceback."""
        from django.conf import settings
        from rest_framework.authentication import BaseAuthentication

        added = settings.API_AUTHENTICATION_CLASSES
        classes: list[str] = _usable("API_AUTHENTICATION_CLASSES", added, BaseAuthentication)
        settings.REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"].extend(classes)  # type: ignore[attr-defined]
        settings.AUTHENTICATION_BACKENDS = _usable(
            "AUTHENTICATION_BACKENDS", settings.AUTHENTICATION_BACKENDS, object
        )


def _usable(setting: str, paths: list[str], base: type[Any]) -> list[str]:
    """Those of these dotted paths that name a class of this kind; the others are problems."""
    from workflows_project import environment

    found = []
    for path in paths:
        try:
            kind = import_string(path)
        except (ImportError, ImproperlyConfigured) as error:
            said = f"{setting} names {path!r}, which cannot be imported: {error}."
            environment.problems.append(said)
            continue
        if isinstance(kind, type) and issubclass(kind, base):
            found.append(path)
        else:
            environment.problems.append(f"{setting} names {path!r}, which is no {base.__name__}.")
    return found
