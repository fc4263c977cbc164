"""Login with OpenID Connect, by the optional package mozilla-django-oidc."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.exceptions import SuspiciousOperation
from django.db.models import QuerySet
from django.utils.translation import gettext
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from workflows_project.auth.issuing import is_in_service

MAX_NAME: int = User._meta.get_field("username").max_length or 0


class SingleSignOn(OIDCAuthenticationBackend):
    """Users of an identity provider, by the claim that has their name.

    Accounts with a password of their own and service accounts are never taken over: otherwise a
    user of the provider could choose the name of a local administrator or of a program.
    """

    def verify_claims(self, claims: dict[str, Any]) -> bool:
        """Return True if the claims have a user name that fits an account."""
        # A shortened name could be that of another user.
        return 0 < len(self._name(claims)) <= MAX_NAME

    def filter_users_by_claims(self, claims: dict[str, Any]) -> QuerySet[User]:
        """Return the account with this name.

        Raises:
            SuspiciousOperation: the account has a password of its own, or is a service account.
        """
        found = User.objects.filter(username=self._name(claims))
        if any(user.has_usable_password() for user in found):
            text = gettext("The account %(name)s has a password of its own.")
            raise SuspiciousOperation(text % {"name": self._name(claims)})
        if any(map(is_in_service, found)):
            text = gettext("The account %(name)s is a service account.")
            raise SuspiciousOperation(text % {"name": self._name(claims)})
        return found

    def create_user(self, claims: dict[str, Any]) -> User:
        """Create an account without a password."""
        return self.update_user(User.objects.create_user(self._name(claims)), claims)

    def update_user(self, user: User, claims: dict[str, Any]) -> User:
        """Take the mail address and, if a claim has them, the groups of the user."""
        user.email = str(claims.get("email") or "")
        if settings.OIDC_GROUPS_CLAIM:
            given = claims.get(settings.OIDC_GROUPS_CLAIM)
            names = given if isinstance(given, list) else []
            groups = Group.objects.filter(name__in=[str(name) for name in names])
            user.groups.set(groups)
            user.is_staff = bool(groups)
        # An administrator may deactivate the account at the same time.
        user.save(update_fields=["email", "is_staff"])
        return user

    def _name(self, claims: dict[str, Any]) -> str:
        # As it is stored: otherwise the account would not be found at the next login.
        return str(User.normalize_username(str(claims.get(settings.OIDC_USERNAME_CLAIM) or "")))
