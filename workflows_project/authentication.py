"""How a request says who sends it: a session, a token, or a name and password."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from knox import auth
from knox.crypto import hash_token
from knox.models import get_token_model
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request


class TokenExpired(AuthenticationFailed):
    """The time of a token is over."""

    default_code = "token_expired"
    default_detail = "The token has expired; get another one."


class TokenAuthentication(auth.TokenAuthentication):
    """``Authorization: Token …``, judged by one statement that writes nothing.

    Knox reads all the tokens of the user with each request, and deletes those that have expired;
    here they go when the user gets another one.
    """

    def authenticate_credentials(self, token: bytes) -> tuple[Any, Any]:
        """Return the user and the row of the token.

        Raises:
            TokenExpired: its time is over.
            AuthenticationFailed: nobody has it, or its user may not log in any more.
        """
        # It is looked for by its hash: how long that takes tells nothing about the token.
        digest = hash_token(token.decode("latin-1"))
        row = get_token_model().objects.select_related("user").filter(digest=digest).first()
        if row is None:
            raise AuthenticationFailed("Nobody has this token.")
        if row.expiry is not None and row.expiry <= timezone.now():
            raise TokenExpired
        user, held = self.validate_user(row)
        return user, held


class BasicAuthentication(authentication.BasicAuthentication):
    """Name and password with each request; a request without either is told of both ways."""

    def authenticate_header(self, request: Request) -> str:
        """What ``WWW-Authenticate`` says: every view asks the first of its classes alone."""
        return (
            f'{super().authenticate_header(request)}, Token realm="{self.www_authenticate_realm}"'
        )
