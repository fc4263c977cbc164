"""Creation of tokens, for the API and the admin."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from knox.models import get_token_model
from knox.settings import knox_settings
from rest_framework.exceptions import AuthenticationFailed

from workflows_project.auth import token_use
from workflows_project.models import TokenDetails

MANAGE_ACCOUNTS = "auth.change_user"
"""The permission to create tokens of service accounts."""
DEFAULT: Any = object()
"""The expiry after ``TOKEN_HOURS``."""

_PASSWORD_CHANGED = _("The password has changed. Log in again.")


def service_accounts() -> QuerySet[Any]:
    """Return the active accounts without a password that nobody has logged in with.

    People who log in at an identity provider have no password either, and nobody else may create
    tokens for them.
    """
    accounts = get_user_model()._default_manager.filter(is_active=True, last_login=None)
    # Django stores an unusable password with this prefix.
    return accounts.filter(password__startswith="!")


def is_in_service(user: Any) -> bool:
    """Return True for a service account that has a token: nobody may log in with it."""
    return service_accounts().filter(pk=user.pk, auth_token_set__isnull=False).exists()


def issue_token(
    user: Any,
    *,
    name: str = "",
    scopes: Iterable[str] | None = None,
    expires: datetime | None = DEFAULT,
) -> tuple[Any, str]:
    """Create a token of an account, and delete its expired ones.

    Args:
        user: the account, with its password as it was read when it was authenticated.
        name: the name of the token.
        scopes: its scopes; None for a token without scopes, which may do everything.
        expires: the time when it expires; None for never.

    Returns:
        The row of the token, and its value.

    Raises:
        AuthenticationFailed: the password has changed since the user was read.
    """
    tokens = get_token_model().objects
    with transaction.atomic():
        require_current_password(user)
        tokens.filter(user=user, expiry__lte=timezone.now()).delete()
        row, value = tokens.create(
            user=user, expiry=knox_settings.TOKEN_TTL if expires is DEFAULT else None
        )
        if expires is not DEFAULT and expires is not None:
            # Knox takes a duration, which would end some milliseconds later.
            row.expiry = expires
            row.save(update_fields=["expiry"])
        details = TokenDetails.objects.create(
            token=row, name=name, scopes=" ".join(dict.fromkeys(scopes or ()))
        )
    token_use.set_details(row, [details.name, details.scopes, details.last_used_at])
    return row, value


def require_current_password(user: Any) -> None:
    """Raise ``AuthenticationFailed`` if the password has changed since the user logged in.

    Lock the user, so that a password change after this revokes the new token too.
    """
    rows = get_user_model()._base_manager.select_for_update(no_key=True).filter(pk=user.pk)
    if rows.values_list("password", flat=True).first() != user.password:
        raise AuthenticationFailed(_PASSWORD_CHANGED)
