"""The Celery app: ``celery -A workflows_project worker``, and ``beat`` for the sweep.

Imported where ``CELERY_BROKER_URL`` is set, and by Celery itself.
"""

from __future__ import annotations

import os
import ssl
from typing import Any

from celery import Celery
from celery.signals import import_modules
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from kombu.entity import Queue

from executions import wakeups
from workflows_project import environment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workflows_project.settings")

WAKE_UPS = "holdfast"
SWEEPS = "holdfast.sweep"

app = Celery("workflows_project")
app.set_default()
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL,
    # However long it is away.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        # Those who publish are told at once that the broker is away; workers wait for it.
        "max_retries": 0,
        "socket_connect_timeout": 1,
        "socket_timeout": 2,
        # Longer than a worker stays with one message.
        "visibility_timeout": 600,
    },
    accept_content=["json"],
    task_serializer="json",
    task_ignore_result=True,
    task_publish_retry=False,
    # A worker takes a message when it has a process free for it, so that work spreads.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    # A broker that goes away interrupts no call.
    worker_cancel_long_running_tasks_on_connection_loss=False,
    # Redis is asked for the queues in turn: no row of wake-ups keeps a sweep waiting.
    task_queues=[Queue(WAKE_UPS), Queue(SWEEPS)],
    task_default_queue=WAKE_UPS,
    task_routes={wakeups.SWEEP: {"queue": SWEEPS}},
    beat_schedule={
        "sweep": {
            "task": wakeups.SWEEP,
            "schedule": settings.SWEEP_SECONDS,
            "options": {"expires": max(settings.SWEEP_SECONDS, wakeups.EXPIRES)},
        }
    },
)
if settings.CELERY_BROKER_URL.startswith("rediss:"):
    # Left to itself, kombu takes any certificate.
    app.conf.broker_use_ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
app.autodiscover_tasks(["executions.worker"], related_name="celery_tasks")


@import_modules.connect
def _refuse_to_serve(**kwargs: Any) -> None:
    """Workers and beat tell no system check."""
    try:
        environment.refuse_to_serve()
        environment.refuse_without_broker(settings.CELERY_BROKER_URL)
    except ImproperlyConfigured as error:
        # Celery shows the trace of every other exception.
        raise SystemExit(str(error)) from None
