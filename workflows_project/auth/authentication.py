"""How a request says who sends it: a session, a token, or a name and password."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.contrib.auth import backends, get_user_model
from django.utils import timezone
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
    """Django's own, which reads the user of each request by a statement that is prepared."""

    def get_user(self, user_id: Any) -> Any:
        """The user with this id, if they may still log in; None else."""
        model = get_user_model()
        user = raw_rows.loaded(model, model._meta.pk.name, user_id)
        return user if user is not None and self.user_can_authenticate(user) else None


class TokenExpired(AuthenticationFailed):
    """The time of a token is over."""

    default_code = "token_expired"
    default_detail = "The token has expired; get another one."


@cache
def _of_a_token() -> tuple[Columns, Columns, Statement]:
    token, user = Columns(get_token_model()), Columns(get_user_model())
    tokens, users = token.model._meta.db_table, user.model._meta
    sql = (
        f"SELECT {token.of('t')}, {user.of('u')} FROM {tokens} t"
        f" JOIN {users.db_table} u ON u.{users.pk.column} = t.user_id WHERE t.digest = $1"
    )
    return token, user, Statement(sql, ("text",))


class TokenAuthentication(auth.TokenAuthentication):
    """``Authorization: Token …``, judged by one prepared statement that writes nothing.

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
        token_columns, user_columns, statement = _of_a_token()
        rows = statement.execute([digest])
        if not rows:
            raise AuthenticationFailed("Nobody has this token.")
        row = token_columns.loaded(rows[0][: len(token_columns)])
        row.user = user_columns.loaded(rows[0][len(token_columns) :])
        if row.expiry is not None and row.expiry <= timezone.now():
            raise TokenExpired
        validated: tuple[Any, Any] = self.validate_user(row)
        return validated


class BasicAuthentication(authentication.BasicAuthentication):
    """Name and password with each request; a request without either is told of both ways."""

    def authenticate_header(self, request: Request) -> str:
        """What ``WWW-Authenticate`` says: every view asks the first of its classes alone."""
        return (
            f'{super().authenticate_header(request)}, Token realm="{self.www_authenticate_realm}"'
        )
