"""Checks of an installation for ``manage.py doctor``: those of ``/readyz``, and more."""

from __future__ import annotations

import smtplib
from typing import Any

from django.conf import settings
from django.core import checks, mail
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from kombu.connection import Connection

from executions.models import Secret, SigningSecret
from executions.models.secret import SecretUnreadable
from workflows_project.ops import readiness, static_files
from workflows_project.ops.readiness import Check, Fault

BROKER_SECONDS = 3


def check_configuration() -> Fault | None:
    """Return a fault if a system check that needs no database reports a problem."""
    found = checks.run_checks()
    if not found:
        return None
    texts = [f"{row.msg} ({row.id})" for row in found]
    return Fault(" ".join(texts), "Correct the settings: docs/reference/settings.md.")


def check_static_files() -> Fault | None:
    """Return a fault if the static files are not collected."""
    if static_files.are_collected():
        return None
    return Fault("The static files are not collected.", "Run: manage.py collectstatic")


def check_secrets_key() -> Fault | None:
    """Return a fault if the newest secrets cannot be decrypted."""
    newest: tuple[Any, ...] = (
        Secret._base_manager.order_by("pk").last(),
        SigningSecret._base_manager.order_by("pk").last(),
    )
    for row in newest:
        try:
            if isinstance(row, Secret):
                row.reveal()
            elif row is not None:
                row.key()
        except SecretUnreadable as error:
            return Fault(str(error), "Set SECRETS_KEY to the key that encrypted the secrets.")
    return None


def check_file_storage() -> Fault | None:
    """Return a fault if files cannot be stored and deleted."""
    try:
        key = default_storage.save("check", ContentFile(b"check"))
        default_storage.delete(key)
    except Exception as error:
        # Each storage has errors of its own.
        return Fault(
            f"Files cannot be stored ({type(error).__name__}: {error}).",
            "Check MEDIA_ROOT and its owner, or S3_BUCKET and its credentials.",
        )
    return None


def check_mail() -> Fault | None:
    """Return a fault if the mail server cannot be reached, or rejects the account."""
    connection = mail.get_connection()
    try:
        connection.open()
        connection.close()
    except (OSError, smtplib.SMTPException) as error:
        server = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
        return Fault(
            f"The mail server {server} cannot be used ({error}).",
            "Check EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER and EMAIL_HOST_PASSWORD.",
        )
    return None


def check_broker() -> Fault | None:
    """Return a fault if there should be a broker that cannot be reached."""
    if not settings.CELERY_BROKER_URL:
        return None
    timeouts = {"socket_connect_timeout": BROKER_SECONDS, "socket_timeout": BROKER_SECONDS}
    try:
        with Connection(settings.CELERY_BROKER_URL, transport_options=timeouts) as broker:
            broker.default_channel.client.ping()
    except Exception as error:
        # The classes depend on the transport. The URL may contain a password.
        return Fault(
            f"The broker cannot be reached ({type(error).__name__}).",
            "Start Redis, or check CELERY_BROKER_URL.",
        )
    return None


CHECKS: tuple[Check, ...] = (
    Check("configuration", check_configuration, needs_database=False),
    *readiness.CHECKS,
    Check("secrets_key", check_secrets_key),
    Check("static_files", check_static_files, needs_database=False),
    Check("file_storage", check_file_storage, needs_database=False),
    Check("broker", check_broker, needs_database=False),
    Check("mail", check_mail, needs_database=False),
)
"""The checks of ``manage.py doctor``, in order."""
