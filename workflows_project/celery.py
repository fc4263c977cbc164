"""The Celery app, for ``celery -A workflows_project worker`` and ``beat``.

Imported by Celery, and by the project if ``CELERY_BROKER_URL`` is set.
"""

from __future__ import annotations

import os
import ssl
from typing import Any

import django
from celery import Celery
from celery.signals import import_modules
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from kombu.entity import Queue

from executions import wakeups
from workflows_project import environment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workflows_project.settings")

WAKE_UPS = "holdfast"
TIMERS = "holdfast.timers"
SWEEPS = "holdfast.sweep"

app = Celery("workflows_project")
app.set_default()
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL,
    # Retry without limit.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        # Publishing fails at once if the broker is unavailable. Workers wait for it.
        "max_retries": 0,
        "socket_connect_timeout": 1,
        "socket_timeout": 2,
        # Longer than the processing of a message.
        "visibility_timeout": 600,
    },
    accept_content=["json"],
    task_serializer="json",
    task_ignore_result=True,
    # Otherwise LOG_FORMAT and LOG_LEVEL would not apply to workers.
    worker_hijack_root_logger=False,
    task_publish_retry=False,
    # A worker takes a message only for a free process, so that work is distributed.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    # A lost broker connection does not interrupt HTTP calls.
    worker_cancel_long_running_tasks_on_connection_loss=False,
    # Queues are polled in turn, so that many wake-ups do not delay a sweep.
    task_queues=[Queue(WAKE_UPS), Queue(TIMERS), Queue(SWEEPS)],
    task_default_queue=WAKE_UPS,
    task_routes={
        wakeups.SWEEP: {"queue": SWEEPS},
        wakeups.SERVE_TIMERS: {"queue": TIMERS},
    },
    beat_schedule={
        "sweep": {
            "task": wakeups.SWEEP,
            "schedule": settings.SWEEP_SECONDS,
            "options": {"expires": max(settings.SWEEP_SECONDS, wakeups.EXPIRES)},
        }
    },
)
if settings.CELERY_BROKER_URL.startswith("rediss:"):
    # By default, kombu accepts any certificate.
    app.conf.broker_use_ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
app.autodiscover_tasks(["executions.worker"], related_name="celery_tasks")


@import_modules.connect
def _refuse_to_serve(**kwargs: Any) -> None:
    """Stop with an error if a setting is invalid. Workers and beat run no system checks."""
    try:
        environment.refuse_to_serve()
        environment.refuse_without_broker(settings.CELERY_BROKER_URL)
        django.setup()
        # Reads the settings when it is imported.
        from workflows_project.ops import readiness

        readiness.refuse_unmigrated()
    except ImproperlyConfigured as error:
        # Celery prints a traceback for other exceptions.
        raise SystemExit(str(error)) from None
