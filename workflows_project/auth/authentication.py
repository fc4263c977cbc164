"""Authentication of requests: sessions, tokens, or name and password."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.auth import backends, get_user_model
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from knox import auth
from knox.crypto import hash_token
from knox.models import get_token_model
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from workflows.api.base.read_ahead import ReadAhead
from workflows.db import raw_rows
from workflows.db.json_values import storage_problem
from workflows.db.prepared import Statement
from workflows.db.raw_rows import Columns
from workflows_project.api.permissions import asked_permissions
from workflows_project.auth import login_limits, permissions, scopes, token_use

SINGLE_SIGN_ON = "workflows_project.auth.single_sign_on.SingleSignOn"


def has_single_sign_on() -> bool:
    """Return True if users can log in with OpenID Connect."""
    return SINGLE_SIGN_ON in settings.AUTHENTICATION_BACKENDS


class ModelBackend(backends.ModelBackend):
    """Django's backend, with prepared statements for the user of a request and its permissions."""

    def authenticate(
        self, request: Any, username: Any = None, password: Any = None, **kwargs: Any
    ) -> Any:
        """Return the user with this name and password, or None.

        Raises:
            LoginLocked: too many logins of this account or from this address have failed.
        """
        if username is None or password is None:
            return None
        has_failed = login_limits.refuse_locked(request, username)
        user = super().authenticate(request, username, password, **kwargs)
        if user is not None and has_failed:
            login_limits.forget_failures(username)
        return user

    def get_user(self, user_id: Any) -> Any:
        """Return the user with this id, or None if they do not exist or cannot log in."""
        model = get_user_model()
        user = raw_rows.load_row(model, model._meta.pk.name, user_id)
        return user if user is not None and self.user_can_authenticate(user) else None

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Return True if the user is active and has the permission."""
        known = permissions.recall_permission(user_obj, perm) if obj is None else None
        if known is not None and user_obj.is_active:
            return known
        return bool(super().has_perm(user_obj, perm, obj=obj))

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return the permissions of an active user and of the user's groups."""
        is_read = hasattr(user_obj, "_perm_cache") or obj is not None
        if not is_read and user_obj.is_active and not user_obj.is_superuser:
            user_obj._perm_cache = permissions.read_permissions(user_obj)
        found: set[str] = super().get_all_permissions(user_obj, obj)
        return found


_SCHEMES = (b"bearer", b"token")


class TokenExpired(AuthenticationFailed):
    """The token has expired."""

    default_code = "token_expired"
    default_detail = _("The token has expired. Create another one.")


@cache
def _token_statement(asked: int, ahead: str) -> tuple[Columns, Columns, Statement]:
    """Return the statement that reads a token, its user and some permissions of the user.

    Args:
        asked: the number of permissions, whose codenames follow the digest.
        ahead: the SQL of ``ReadAhead``; its parameter comes last, and its columns.
    """
    tokens, users = get_token_model()._meta, get_user_model()._meta
    token = Columns(get_token_model(), ("digest", "user", "expiry"))
    name = get_user_model().USERNAME_FIELD
    # Others are read on access: no frequent request needs them.
    user = Columns(get_user_model(), (users.pk.name, name, "is_active", "is_superuser"))
    codenames = [f"${place}" for place in range(2, asked + 2)]
    granted = permissions.granted_sql(f"u.{users.pk.column}", codenames) if asked else "NULL"
    sql = (
        f"SELECT {token.select_list('t')}, {user.select_list('u')},"
        f" {', '.join(f'd.{name}' for name in token_use.COLUMNS)},"
        f" CASE WHEN NOT u.is_superuser THEN {granted} END{', ahead.*' if ahead else ''}"
        f" FROM {tokens.db_table} t JOIN {users.db_table} u ON u.{users.pk.column} = t.user_id"
        f" LEFT JOIN {token_use.table()} d ON d.token_id = t.digest"
    )
    if ahead:
        sql += f" LEFT JOIN ({ahead.format(f'${asked + 2}')}) ahead ON TRUE"
    types = ("text",) * (asked + (2 if ahead else 1))
    return token, user, Statement(f"{sql} WHERE t.digest = $1", types)


class TokenAuthentication(auth.TokenAuthentication):
    """``Authorization: Bearer …`` or ``Token …``, checked by one prepared statement.

    The statement also reads the permissions that the view asks for, unless the user is a superuser,
    and the row that the view wants to read ahead. Knox reads all tokens of the user with each
    request, and deletes expired ones. Here expired tokens are deleted when the user creates
    another one.
    """

    _view: Any = None
    _may_be_foreign = False
    _asked: tuple[str, ...] = ()

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the user and the row of the token; None without a token in the header.

        Raises:
            AuthenticationFailed: the header has a wrong token, or none.
            scopes.InsufficientScope: the token may not be used for this request.
        """
        scheme, *credentials = authentication.get_authorization_header(request).split() or [b""]
        if scheme.lower() not in _SCHEMES:
            return None
        # Another class may know what is no token of ours.
        self._may_be_foreign = scheme.lower() == b"bearer" and bool(
            settings.API_AUTHENTICATION_CLASSES
        )
        if len(credentials) != 1:
            if self._may_be_foreign:
                return None
            raise AuthenticationFailed(_("Send the token after the scheme, without spaces in it."))
        self._view = (request.parser_context or {}).get("view")
        self._asked = asked_permissions(request, self._view)
        found: tuple[Any, Any] | None = self.authenticate_credentials(credentials[0])
        if found is not None:
            scopes.refuse_request(found[1].scopes, str(request.method), request.path_info)
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[Any, Any] | None:
        """Return the user and the row of the token; None for a token of another class.

        Raises:
            TokenExpired: the token has expired.
            AuthenticationFailed: the token does not exist, or its user cannot log in.
        """
        # Lookup by hash: its duration reveals nothing about the token.
        digest = hash_token(token.decode("latin-1"))
        selected = self._select(digest)
        if selected is None:
            if self._may_be_foreign:
                return None
            raise AuthenticationFailed(_("Invalid token."))
        row, granted = selected
        if row.expiry is not None and row.expiry <= timezone.now():
            raise TokenExpired
        if not row.user.is_superuser:
            permissions.remember_permissions(row.user, self._asked, granted)
        validated: tuple[Any, Any] = self.validate_user(row)
        token_use.note_use(row)
        return validated

    def _select(self, digest: str) -> tuple[Any, str | None] | None:
        """Return the token with its user, and the granted permissions; None without a token."""
        ahead, param = self._read_ahead()
        tokens, users, statement = _token_statement(len(self._asked), ahead.sql if ahead else "")
        codenames = [name.partition(".")[2] for name in self._asked]
        rows = statement.execute([digest, *codenames, *([param] if ahead else ())])
        if not rows:
            return None
        found = list(rows[0])
        row = tokens.build([found.pop(0) for _ in range(len(tokens))])
        row.user = users.load([found.pop(0) for _ in range(len(users))])
        token_use.set_details(row, [found.pop(0) for _ in range(len(token_use.COLUMNS))])
        granted = found.pop(0)
        if ahead:
            self._view.read_ahead_row = ahead.row(found)
        return row, granted

    def _read_ahead(self) -> tuple[ReadAhead | None, str]:
        found = self._view.read_ahead() if hasattr(self._view, "read_ahead") else None
        if found is None:
            return None, ""
        ahead, param = found
        return (ahead, param) if ahead.sql and storage_problem(param) is None else (None, "")


class BasicAuthentication(authentication.BasicAuthentication):
    """HTTP Basic authentication."""

    def authenticate_credentials(
        self, userid: str, password: str, request: Request | None = None
    ) -> Any:
        """Return the user and None.

        Raises:
            LoginThrottled: too many logins of this account or from this address have failed.
        """
        try:
            return super().authenticate_credentials(userid, password, request)
        except login_limits.LoginLocked as lock:
            raise login_limits.LoginThrottled(lock) from None

    def authenticate_header(self, request: Request) -> str:
        """Return the ``WWW-Authenticate`` header with all schemes.

        REST framework only uses the header of the first authentication class.
        """
        realm = f'realm="{self.www_authenticate_realm}"'
        return f"{super().authenticate_header(request)}, Bearer {realm}, Token {realm}"
