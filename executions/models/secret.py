"""Secrets: values that graphs use by name and that cannot be read back."""

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
from django.utils.translation import gettext

from workflows.db import locks
from workflows.db.cuid import LENGTH, new_cuid
from workflows.models.unique_name import NamedModel, NamedQuerySet, unique_name_key

NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"


_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


class SecretUnreadable(LookupError):
    """A secret cannot be stored or read. The message never contains a value."""


def refuse_hosts(value: object) -> None:
    """Raise ``ValidationError`` on ``hosts`` unless it is a list of host names."""
    try:
        for name in value if isinstance(value, list) else [value]:
            refuse_host(name)
    except ValidationError as error:
        raise ValidationError({"hosts": error.messages}) from None


def refuse_host(name: object) -> None:
    """Raise ``ValidationError`` unless the value is a host name."""
    if not isinstance(name, str) or not _HOST.fullmatch(name):
        detail = gettext(
            "%(name)s is not a host. Write names such as api.example.com, or api.example.com:8443"
            " for one port, without https://."
        )
        raise ValidationError(detail % {"name": repr(name)})


class SecretNotForHost(LookupError):
    """A secret is not allowed to be sent to this host."""

    incident_code = "secret_not_for_host"


secrets_written = Signal()
"""Sent after secrets were written: ``written`` has pairs as in ``Audited._after_write``."""


class SecretQuerySet(NamedQuerySet):
    """Secrets. A deletion locks them before it checks their uses."""

    def _lock_for_deletion(self) -> None:
        lock_for_deletion(list(self.values_list("pk", flat=True)))


def lock_for_deletion(ids: Iterable[int]) -> None:
    """Lock secrets for their deletion, against saves of graphs that use them."""
    locks.limit_wait()
    locks.lock_rows(Secret._base_manager.all(), ids, locks.Strength.UPDATE)


class Secret(NamedModel):
    """A named value, encrypted with the first key of ``SECRETS_KEY``; any key decrypts it.

    The audit log has the name, and how often the value was set.
    """

    cuid = models.CharField("ID", max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    name = models.CharField(
        max_length=64,
        unique=True,
        validators=[
            RegexValidator(
                f"^{NAME}\\Z",
                "Use letters, digits, '_', '.' and '-', starting with a letter or '_'.",
            )
        ],
        help_text="Use it in a graph as {{secret:NAME}}.",
    )
    hosts = models.JSONField(
        default=list,
        blank=True,
        db_default=Value([], models.JSONField()),
        help_text="The hosts that it may be sent to; empty for any host.",
    )
    # Not editable, which keeps them out of the audit log.
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
        """Raise ``ValidationError`` unless the hosts are a list of host names."""
        super().clean()
        refuse_hosts(self.hosts)

    @classmethod
    def _after_write(cls, rows: Iterable[tuple[Any, dict[str, Any] | None]]) -> None:
        secrets_written.send(sender=cls, written=rows)

    def _lock_for_deletion(self) -> None:
        lock_for_deletion([self.pk] if self.pk else [])

    def set_value(self, value: str) -> None:
        """Encrypt a new value. The caller saves.

        The previous value is still accepted for ``SECRET_OVERLAP_SECONDS``.

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
        """True while the previous value is still accepted."""
        return self.previous_until is not None and self.previous_until > timezone.now()

    def reveal(self) -> str:
        """Return the value. Raise ``SecretUnreadable``."""
        return self._decrypted(self.encrypted)

    def accepted(self) -> list[str]:
        """Return the values that may sign a delivery. Raise ``SecretUnreadable``."""
        values = [self.reveal()]
        if self.accepts_previous:
            try:
                values.append(self._decrypted(self.previous))
            except SecretUnreadable:
                # The key of the previous value is gone. The current value still works.
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
        """Return the secret with this name. Raise ``SecretUnreadable``."""
        row: Secret | None = cls._base_manager.filter(name=name).first()
        if row is None:
            raise SecretUnreadable(f"There is no secret named “{name}”.")
        return row

    @classmethod
    def value_of(cls, name: str) -> str:
        """Return the value of the secret with this name. Raise ``SecretUnreadable``."""
        return cls.named(name).reveal()

    @classmethod
    def value_for(cls, name: str, url: str) -> str:
        """Return the value of a secret that will be sent to the host of ``url``.

        Raises:
            SecretUnreadable: there is no such secret, or no key for it.
            SecretNotForHost: the secret must not be sent to this host.
        """
        row = cls.named(name)
        hosts = {str(host).lower() for host in row.hosts}
        if hosts and not hosts & _names_of_host(url):
            raise SecretNotForHost(
                f"The secret “{name}” may not be sent to {urlsplit(url).hostname}, only to "
                f"{', '.join(sorted(hosts))}."
            )
        return row.reveal()

    @classmethod
    def existing(cls, names: Iterable[str]) -> set[str]:
        """Return the names among these that are names of secrets.

        Inside a transaction, lock these secrets against deletion.
        """
        rows = cls._base_manager.filter(name__in=set(names))
        if connections[rows.db].in_atomic_block:
            ids = list(rows.values_list("pk", flat=True))
            locks.lock_rows(cls._base_manager.all(), ids, locks.Strength.KEY_SHARE)
        return set(rows.values_list("name", flat=True))


def _names_of_host(url: str) -> set[str]:
    """Return the names of the host of a URL: alone and with its port."""
    target = urlsplit(url)
    host = (target.hostname or "").rstrip(".")
    label = f"[{host}]" if ":" in host else host
    return {host, label, f"{label}:{target.port or (80 if target.scheme == 'http' else 443)}"}


def cipher() -> MultiFernet:
    """Return the cipher: it encrypts with the first key of ``SECRETS_KEY``, and decrypts with all.

    Raise ``SecretUnreadable`` without a key.
    """
    keys = settings.SECRETS_KEY
    if not keys:
        raise SecretUnreadable("Set SECRETS_KEY to use secrets.")
    return MultiFernet([Fernet(key) for key in keys])
