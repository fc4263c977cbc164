"""Secrets: values that drawings name and nobody reads back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import connections, models
from django.db.models import Value
from django.dispatch import Signal
from django.utils import timezone

from workflows.db import locks
from workflows.db.cuid import LENGTH, new_cuid
from workflows.models.unique_name import Named, NamedQuerySet, unique_name_key

NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"


_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


class SecretUnreadable(LookupError):
    """A secret cannot be kept or read; the message says why, and never holds a value."""


def refuse_hosts(value: object) -> None:
    """Raises ``ValidationError`` on ``hosts`` unless it is a list of host names."""
    names = value if isinstance(value, list) else [None]
    for name in names:
        if not isinstance(name, str) or not _HOST.fullmatch(name):
            shown = name if isinstance(name, str) else value
            detail = (
                f"{shown!r} is not a host. Write names such as api.example.com, or "
                "api.example.com:8443 for one port, without https://."
            )
            raise ValidationError({"hosts": detail})


class SecretNotForHost(LookupError):
    """A secret is bound to other hosts than the one it was to be sent to."""

    incident_code = "secret_not_for_host"


secrets_written = Signal()
"""Secrets were written: ``written`` has each with what it had before, as ``Audited._written``."""


class SecretQuerySet(NamedQuerySet):
    """Secrets; those that are to be deleted are locked before anything is judged."""

    def _lock_for_deletion(self) -> None:
        lock_for_deletion(list(self.values_list("pk", flat=True)), self.db)


def lock_for_deletion(ids: Iterable[int], using: str) -> None:
    """Lock secrets that are to go: whoever saves a graph that names one waits, or is waited for."""
    locks.limit_wait(using)
    locks.lock_rows(Secret._base_manager.using(using).all(), ids, locks.Strength.UPDATE)


class Secret(Named):
    """A value under a name, encrypted with the first of ``SECRETS_KEY``; any of them reads it.

    What the audit log tells of a change is the name, and how often the value has been set.
    """

    cuid = models.CharField(max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    name = models.CharField(
        max_length=64,
        unique=True,
        validators=[
            RegexValidator(
                f"^{NAME}\\Z", "Letters, digits, '_', '.' and '-', beginning with a letter or '_'."
            )
        ],
        help_text="A drawing names it: {{secret:NAME}}.",
    )
    hosts = models.JSONField(
        default=list,
        blank=True,
        db_default=Value([], models.JSONField()),
        help_text="The hosts that calls may send it to; empty for every host.",
    )
    # Not editable: the audit log tells of what is.
    encrypted = models.TextField(editable=False)
    previous = models.TextField(editable=False, blank=True, default="", db_default="")
    previous_until = models.DateTimeField(editable=False, null=True, blank=True)
    times_set = models.PositiveIntegerField(default=0)

    objects: ClassVar[Any] = SecretQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [unique_name_key()]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Raises ``ValidationError`` for what is no list of hosts."""
        super().clean()
        refuse_hosts(self.hosts)

    @classmethod
    def _written(cls, rows: Iterable[tuple[Any, dict[str, Any] | None]], database: str) -> None:
        secrets_written.send(sender=cls, written=rows, using=database)

    def _lock_for_deletion(self, database: str) -> None:
        lock_for_deletion([self.pk] if self.pk else [], database)

    def keep(self, value: str) -> None:
        """Encrypt the value; saving is the caller's.

        A value that is replaced is accepted beside the new one for ``SECRET_OVERLAP_SECONDS``.

        Raises:
            SecretUnreadable: there is no key.
        """
        encrypted = cipher().encrypt(value.encode()).decode()
        if self.encrypted and not self._is(value):
            overlap = timedelta(seconds=settings.SECRET_OVERLAP_SECONDS)
            self.previous = self.encrypted if overlap else ""
            self.previous_until = timezone.now() + overlap if overlap else None
        self.encrypted = encrypted
        self.times_set += 1

    def _is(self, value: str) -> bool:
        try:
            return self.reveal() == value
        except SecretUnreadable:
            return False

    @property
    def accepts_previous(self) -> bool:
        """Whether the value that was replaced is still accepted."""
        return self.previous_until is not None and self.previous_until > timezone.now()

    def reveal(self) -> str:
        """Return the value. Raises ``SecretUnreadable``."""
        return self._decrypted(self.encrypted)

    def accepted(self) -> list[str]:
        """Return the values that a delivery may be signed with. Raises ``SecretUnreadable``."""
        values = [self.reveal()]
        if self.accepts_previous:
            try:
                values.append(self._decrypted(self.previous))
            except SecretUnreadable:
                # The key that it was encrypted with is gone; the value in use is not concerned.
                return values
        return values

    def _decrypted(self, encrypted: str) -> str:
        try:
            return cipher().decrypt(encrypted.encode()).decode()
        except InvalidToken:
            raise SecretUnreadable(
                f"The secret “{self.name}” was encrypted with a key that SECRETS_KEY does not have."
            ) from None

    @classmethod
    def named(cls, name: str) -> Secret:
        """Return the secret with this name. Raises ``SecretUnreadable``."""
        row: Secret | None = cls._base_manager.filter(name=name).first()
        if row is None:
            raise SecretUnreadable(f"There is no secret named “{name}”.")
        return row

    @classmethod
    def value_of(cls, name: str) -> str:
        """Return the value under this name. Raises ``SecretUnreadable``."""
        return cls.named(name).reveal()

    @classmethod
    def value_for(cls, name: str, url: str) -> str:
        """Return the value under this name, to be sent to the host of this address.

        Raises:
            SecretUnreadable: there is no such secret, or no key for it.
            SecretNotForHost: the secret is bound to other hosts.
        """
        row = cls.named(name)
        hosts = {str(host).lower() for host in row.hosts}
        if hosts and not hosts & _names_of_host(url):
            raise SecretNotForHost(
                f"The secret “{name}” is not sent to {urlsplit(url).hostname}: it is bound to "
                f"{', '.join(sorted(hosts))}."
            )
        return row.reveal()

    @classmethod
    def existing(cls, names: Iterable[str]) -> set[str]:
        """Return those of these names that are of secrets; these stay until the transaction ends.

        Outside a transaction nothing is locked.
        """
        rows = cls._base_manager.filter(name__in=set(names))
        if connections[rows.db].in_atomic_block:
            ids = list(rows.values_list("pk", flat=True))
            locks.lock_rows(cls._base_manager.all(), ids, locks.Strength.KEY_SHARE)
        return set(rows.values_list("name", flat=True))


def _names_of_host(url: str) -> set[str]:
    """The ways to name the host of an address: alone, or with its port."""
    target = urlsplit(url)
    host = (target.hostname or "").rstrip(".")
    shown = f"[{host}]" if ":" in host else host
    return {host, shown, f"{shown}:{target.port or (80 if target.scheme == 'http' else 443)}"}


def cipher() -> MultiFernet:
    """What encrypts with the first of ``SECRETS_KEY``, and reads what any of them has encrypted.

    Raises ``SecretUnreadable`` without a key.
    """
    keys = settings.SECRETS_KEY
    if not keys:
        raise SecretUnreadable("Secrets need the setting SECRETS_KEY, which is not set.")
    return MultiFernet([Fernet(key) for key in keys])
