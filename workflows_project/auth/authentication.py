"""Authentication of requests: sessions, tokens, or name and password."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.contrib.auth import backends, get_user_model
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from knox import auth
from knox.crypto import hash_token
from knox.models import get_token_model
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from workflows.db import raw_rows
from workflows.db.prepared import Statement
from workflows.db.raw_rows import Columns


class ModelBackend(backends.ModelBackend):
    """Django's backend, with a prepared statement that reads the user of each request."""

    def get_user(self, user_id: Any) -> Any:
        """Return the user with this id, or None if they do not exist or cannot log in."""
        model = get_user_model()
        user = raw_rows.load_row(model, model._meta.pk.name, user_id)
        return user if user is not None and self.user_can_authenticate(user) else None


class TokenExpired(AuthenticationFailed):
    """The token has expired."""

    default_code = "token_expired"
    default_detail = _("The token has expired. Create another one.")


@cache
def _token_statement() -> tuple[Columns, Columns, Statement]:
    token, user = Columns(get_token_model()), Columns(get_user_model())
    tokens, users = token.model._meta.db_table, user.model._meta
    sql = (
        f"SELECT {token.select_list('t')}, {user.select_list('u')} FROM {tokens} t"
        f" JOIN {users.db_table} u ON u.{users.pk.column} = t.user_id WHERE t.digest = $1"
    )
    return token, user, Statement(sql, ("text",))


class TokenAuthentication(auth.TokenAuthentication):
    """``Authorization: Token …``, checked by one prepared statement.

    Knox reads all tokens of the user with each request, and deletes expired ones. Here expired
    tokens are deleted when the user creates another one.
    """

    def authenticate_credentials(self, token: bytes) -> tuple[Any, Any]:
        """Return the user and the row of the token.

        Raises:
            TokenExpired: the token has expired.
            AuthenticationFailed: the token does not exist, or its user cannot log in.
        """
        # Lookup by hash: its duration reveals nothing about the token.
        digest = hash_token(token.decode("latin-1"))
        token_columns, user_columns, statement = _token_statement()
        rows = statement.execute([digest])
        if not rows:
            raise AuthenticationFailed(_("Invalid token."))
        row = token_columns.load(rows[0][: len(token_columns)])
        row.user = user_columns.load(rows[0][len(token_columns) :])
        if row.expiry is not None and row.expiry <= timezone.now():
            raise TokenExpired
        validated: tuple[Any, Any] = self.validate_user(row)
        return validated


class BasicAuthentication(authentication.BasicAuthentication):
    """HTTP Basic authentication."""

    def authenticate_header(self, request: Request) -> str:
        """Return the ``WWW-Authenticate`` header with both schemes.

        REST framework only uses the header of the first authentication class.
        """
        return (
            f'{super().authenticate_header(request)}, Token realm="{self.www_authenticate_realm}"'
        )
