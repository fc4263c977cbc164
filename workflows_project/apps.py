"""The project as an app: system checks and additional authentication classes."""

from typing import Any

from django.apps import AppConfig, apps
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string


class AdminConfig(DjangoAdminConfig):
    """Django's admin with the site of the project."""

    default = False
    default_site = "workflows_project.site.Site"


class ProjectConfig(AppConfig):
    name = "workflows_project"
    label = "holdfast"

    def ready(self) -> None:
        from django.conf import settings

        from workflows_project import checks  # noqa: F401
        from workflows_project.api import readable_requests
        from workflows_project.auth import login_limits
        from workflows_project.auth.token_revocation import register_token_trigger
        from workflows_project.ops import metrics, tracing

        apps.get_app_config("knox").verbose_name = "API tokens"
        readable_requests.use_utf_8()
        register_token_trigger()
        login_limits.connect()
        self._add_authentication_classes()
        tracing.start()
        if metrics.is_enabled():
            from workflows.audit.log import refused
            from workflows_project.ops.request_metrics import count_refusal

            refused.connect(count_refusal)
        if settings.CELERY_BROKER_URL:
            from workflows_project import celery  # noqa: F401

    def _add_authentication_classes(self) -> None:
        """Use the configured classes that can be imported. The others are reported as problems."""
        from django.conf import settings
        from rest_framework.authentication import BaseAuthentication

        added = settings.API_AUTHENTICATION_CLASSES
        classes: list[str] = _usable("API_AUTHENTICATION_CLASSES", added, BaseAuthentication)
        settings.REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"].extend(classes)  # type: ignore[attr-defined]
        settings.AUTHENTICATION_BACKENDS = _usable(
            "AUTHENTICATION_BACKENDS", settings.AUTHENTICATION_BACKENDS, object
        )


def _usable(setting: str, paths: list[str], base: type[Any]) -> list[str]:
    """Return the dotted paths of subclasses of ``base``. Report the others as problems."""
    from workflows_project import environment

    found = []
    for path in paths:
        try:
            cls = import_string(path)
        except (ImportError, ImproperlyConfigured) as error:
            problem = f"{setting}: {path!r} cannot be imported: {error}."
            environment.problems.append(problem)
            continue
        if isinstance(cls, type) and issubclass(cls, base):
            found.append(path)
        else:
            environment.problems.append(f"{setting}: {path!r} is not a {base.__name__}.")
    return found
