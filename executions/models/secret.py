"""Secrets: values that drawings name and nobody reads back."""

from __future__ import annotations

from typing import ClassVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models

from workflows.cuid import LENGTH, new_cuid
from workflows.models.named import Named, NamedManager, unique_name_key

NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"


class SecretUnreadable(LookupError):
    """A secret cannot be kept or read; the message says why, and never holds a value."""


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
    # Not editable: the audit log tells of what is.
    encrypted = models.TextField(editable=False)
    times_set = models.PositiveIntegerField(default=0)

    objects: ClassVar[NamedManager] = NamedManager()

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [unique_name_key()]

    def __str__(self) -> str:
        return self.name

    def keep(self, value: str) -> None:
        """Encrypt the value; saving is the caller's. Raises ``SecretUnreadable`` without a key."""
        self.encrypted = cipher().encrypt(value.encode()).decode()
        self.times_set += 1

    def reveal(self) -> str:
        """Return the value. Raises ``SecretUnreadable``."""
        try:
            return cipher().decrypt(self.encrypted.encode()).decode()
        except InvalidToken:
            raise SecretUnreadable(
                f"The secret “{self.name}” was encrypted with a key that SECRETS_KEY does not have."
            ) from None

    @classmethod
    def value_of(cls, name: str) -> str:
        """The value under this name. Raises ``SecretUnreadable``."""
        row = cls._base_manager.filter(name=name).first()
        if row is None:
            raise SecretUnreadable(f"There is no secret named “{name}”.")
        value: str = row.reveal()
        return value


def cipher() -> MultiFernet:
    """What encrypts with the first of ``SECRETS_KEY``, and reads what any of them has encrypted.

    Raises ``SecretUnreadable`` without a key.
    """
    keys = settings.SECRETS_KEY
    if not keys:
        raise SecretUnreadable("Secrets need the setting SECRETS_KEY, which is not set.")
    return MultiFernet([Fernet(key) for key in keys])
