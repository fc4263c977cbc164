"""Subscriptions: who is told of what, at which address, and the secrets that sign it."""

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
    "execution.waiting": "An execution waits for somebody or something",
    "execution.completed": "An execution has completed",
    "execution.failed": "An execution has failed",
    "execution.cancelled": "An execution has been cancelled",
    "change.applied": "A workflow has another finding type or record type",
    "change.refused": "A change of finding type or record type was refused",
}
"""What can be told of, each with a sentence."""

TEST = "webhook.test"
"""What is told when somebody asks for it, whatever the subscription names."""

PREFIX = "whsec_"


class Subscription(Audited):
    """Somebody who is told of events by POSTs to ``url``. The database picks the active ones when
    an event comes about (``executions.event_triggers``).
    """

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        DISABLED = "disabled", "Disabled"

    cuid = models.CharField(max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    url = models.CharField(max_length=2_000, help_text="Where the events are posted to.")
    description = models.TextField(blank=True)
    events = models.JSONField(default=list, help_text="Which events are told, by their names.")
    workflow = models.ForeignKey(
        Workflow,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Only what happens to this workflow; empty for all.",
    )
    entity_name_type = models.ForeignKey(
        FindingType,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="finding type",
        help_text="Only what happens to this finding type; empty for all.",
    )
    state = models.CharField(max_length=32, choices=State.choices, default=State.ACTIVE)
    # How it fares; not editable: the audit log tells of what is.
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
            # Whoever starts or ends an execution asks whether there is any.
            models.Index(
                fields=["state"], condition=Q(state="active"), name="executions_subscription_on"
            )
        ]

    def __str__(self) -> str:
        return self.url

    def clean(self) -> None:
        """Raises ``guards.UnfitSubscription``, ``guards.UrlRefused``."""
        super().clean()
        guards.refuse_subscription(self, EVENTS)

    def _write(self, database: str, *args: Any, **kwargs: Any) -> None:
        guards.refuse_subscription(self, EVENTS)
        names = kwargs.get("update_fields")
        if self.state == self.State.ACTIVE and (names is None or "state" in names):
            # Whoever makes it active has seen to it.
            self.given_up_in_a_row, self.disabled_because = 0, ""
            if names is not None:
                kwargs["update_fields"] = {*names, "given_up_in_a_row", "disabled_because"}
        super()._write(database, *args, **kwargs)

    def signing_keys(self, now: datetime | None = None) -> list[bytes]:
        """The keys that sign now, the newest first. Raises ``SecretUnreadable``."""
        current = self.secrets.in_use(now or timezone.now()).order_by("-pk")
        return [secret.key() for secret in current]


class SigningSecretQuerySet(models.QuerySet["SigningSecret"]):
    """Secrets, by whether they sign still."""

    def in_use(self, now: datetime) -> SigningSecretQuerySet:
        """Only those whose time is not over."""
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=now))


class SigningSecret(models.Model):
    """A secret of a subscription, encrypted; one that was replaced signs beside the new one until
    ``ends_at``.
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

    def keep(self, key: bytes) -> str:
        """Encrypt a key; it as a text, as whoever verifies needs it.

        Raises ``SecretUnreadable`` without a key of the settings.
        """
        text = PREFIX + base64.b64encode(key).decode()
        self.encrypted = cipher().encrypt(text.encode()).decode()
        return text

    def key(self) -> bytes:
        """The bytes that sign. Raises ``SecretUnreadable``."""
        try:
            text = cipher().decrypt(self.encrypted.encode()).decode()
        except InvalidToken:
            raise SecretUnreadable(
                "The signing secret was encrypted with a key that SECRETS_KEY does not have."
            ) from None
        return base64.b64decode(text.removeprefix(PREFIX))


def ordered(events: Iterable[str]) -> list[str]:
    """These events in the order of ``EVENTS``, each once."""
    wanted = set(events)
    return [name for name in EVENTS if name in wanted]
