"""Tables of the project: failed logins, and what is known about API tokens."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

NAME_LENGTH = 150


class FailedLogins(models.Model):
    """The recent failed logins of an account, or from an address."""

    class Scope(models.TextChoices):
        """An account, or an address."""

        ACCOUNT = "account", _("Account")
        ADDRESS = "address", _("Address")

    scope = models.CharField(_("scope"), max_length=8, choices=Scope.choices)
    # Not a foreign key: wrong names are counted too, so that nobody learns which accounts exist.
    name = models.CharField(_("account or address"), max_length=NAME_LENGTH)
    failures = models.PositiveIntegerField(_("failures"), default=0)
    first_at = models.DateTimeField(_("first failure"))
    last_at = models.DateTimeField(_("last failure"), db_index=True)

    objects = models.Manager()

    class Meta:
        verbose_name = _("failed logins")
        verbose_name_plural = _("failed logins")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["scope", "name"], name="holdfast_failedlogins_of_one")
        ]

    def __str__(self) -> str:
        return self.name


class TokenDetails(models.Model):
    """The name, the scopes and the last use of a token."""

    # Without a key in the database: the previous release deletes tokens and does not know this.
    token = models.OneToOneField(
        "knox.AuthToken",
        models.CASCADE,
        primary_key=True,
        related_name="details",
        db_constraint=False,
    )
    name = models.CharField(_("name"), max_length=100, blank=True)
    scopes = models.CharField(
        _("scopes"), max_length=400, blank=True, help_text=_("Separated by spaces. Empty: all.")
    )
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)

    objects: ClassVar[models.Manager[TokenDetails]] = models.Manager()

    class Meta:
        verbose_name = _("token details")
        verbose_name_plural = _("token details")

    def __str__(self) -> str:
        return self.name or str(self.pk)[:16]
