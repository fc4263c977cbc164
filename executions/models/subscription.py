"""Outgoing webhooks: their events, their address and their signing secrets."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

from cryptography.fernet import InvalidToken
from django.db import models
from django.db.models import Q
from django.utils import timezone

from executions import guards
from executions.models.secret import SecretUnreadable, cipher
from workflows.audit.audited_model import Audited, AuditedManager
from workflows.db.cuid import LENGTH, new_cuid
from workflows.models import FindingType, Workflow

EVENTS: dict[str, str] = {
    "execution.started": "An execution has started",
    "execution.waiting": "An execution is waiting",
    "execution.completed": "An execution has completed",
    "execution.failed": "An execution has failed",
    "execution.cancelled": "An execution has been cancelled",
    "execution.claimed": "A user has claimed a step",
    "execution.unclaimed": "A step is no longer claimed",
    "execution.reassigned": "A step has been assigned to others",
    "execution.postponed": "The date or the deadline of a step has moved",
    "execution.skipped": "An operator has skipped a step",
    "execution.commented": "A user has commented on an execution",
    "execution.comment_withdrawn": "A comment was withdrawn",
    "execution.submitted": "A form was submitted by one of its actions",
    "execution.moved": "A live execution was moved to another version",
    "change.applied": "The finding type or record type of a workflow has changed",
    "change.refused": "A change of finding type or record type was refused",
}
"""The events, each with a description."""

TEST = "webhook.test"
"""The test event, which can be sent to any webhook on request."""

PREFIX = "whsec_"


class Subscription(Audited):
    """An outgoing webhook: events are sent to ``url`` as POSTs.

    Database triggers select the active ones for each event (``executions.event_triggers``).
    """

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        DISABLED = "disabled", "Disabled"

    cuid = models.CharField("ID", max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    url = models.CharField(max_length=2_000, help_text="The address that receives the events.")
    description = models.TextField(blank=True)
    events = models.JSONField(default=list, help_text="The names of the events to send.")
    workflow = models.ForeignKey(
        Workflow,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Send only events of this workflow; empty for all.",
    )
    entity_name_type = models.ForeignKey(
        FindingType,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="finding type",
        help_text="Send only events of this finding type; empty for all.",
    )
    state = models.CharField(max_length=32, choices=State.choices, default=State.ACTIVE)
    # Not editable, which keeps them out of the audit log.
    given_up_in_a_row = models.PositiveIntegerField(default=0, editable=False)
    disabled_because = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[AuditedManager] = AuditedManager()

    class Meta:
        ordering: ClassVar = ["-pk"]
        verbose_name = "webhook"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state__in=["active", "disabled"]),
                name="executions_subscription_state",
            ),
        ]
        indexes: ClassVar = [
            # Every start and end of an execution looks for active ones.
            models.Index(
                fields=["state"], condition=Q(state="active"), name="executions_subscription_on"
            )
        ]

    def __str__(self) -> str:
        return self.url

    def clean(self) -> None:
        """Raise ``guards.InvalidSubscription`` or ``guards.UrlRefused``."""
        super().clean()
        guards.refuse_subscription(self, EVENTS)

    def _write(self, *args: Any, **kwargs: Any) -> None:
        guards.refuse_subscription(self, EVENTS)
        names = kwargs.get("update_fields")
        if self.state == self.State.ACTIVE and (names is None or "state" in names):
            # Activating a webhook resets its failures.
            self.given_up_in_a_row, self.disabled_because = 0, ""
            if names is not None:
                kwargs["update_fields"] = {*names, "given_up_in_a_row", "disabled_because"}
        super()._write(*args, **kwargs)

    def signing_keys(self, now: datetime | None = None) -> list[bytes]:
        """Return the current signing keys, newest first. Raise ``SecretUnreadable``."""
        current = self.secrets.in_use(now or timezone.now()).order_by("-pk")
        return [secret.key() for secret in current]


class SigningSecretQuerySet(models.QuerySet["SigningSecret"]):
    """Signing secrets, with a filter for current ones."""

    def in_use(self, now: datetime) -> SigningSecretQuerySet:
        """Return only the secrets that still sign."""
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=now))


class SigningSecret(models.Model):
    """An encrypted signing secret of a webhook.

    A replaced secret signs together with the new one until ``ends_at``.
    """

    subscription = models.ForeignKey(Subscription, models.CASCADE, related_name="secrets")
    encrypted = models.TextField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    ends_at = models.DateTimeField(null=True, blank=True)

    objects = SigningSecretQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"secret of {self.created_at:%Y-%m-%d}"

    def set_key(self, key: bytes) -> str:
        """Encrypt a signing key. Return it as the text that receivers verify with.

        Raise ``SecretUnreadable`` without SECRETS_KEY.
        """
        text = PREFIX + base64.b64encode(key).decode()
        self.encrypted = cipher().encrypt(text.encode()).decode()
        return text

    def key(self) -> bytes:
        """Return the decrypted signing key. Raise ``SecretUnreadable``."""
        try:
            text = cipher().decrypt(self.encrypted.encode()).decode()
        except InvalidToken:
            raise SecretUnreadable(
                "The signing secret was encrypted with a key that SECRETS_KEY does not have."
            ) from None
        return base64.b64decode(text.removeprefix(PREFIX))


def ordered(events: Iterable[str]) -> list[str]:
    """Return these events in the order of ``EVENTS``, without duplicates."""
    wanted = set(events)
    return [name for name in EVENTS if name in wanted]
