"""Limits of failed logins with a password, by account and by address.

After too many failures, no password is checked until the time of the lock has passed: neither in
the admin nor in the API. Sessions and tokens are not affected. The counts are in the database, so
that they apply to all processes of an installation, which needs no shared cache.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext
from rest_framework.exceptions import APIException

from workflows.audit.log import Action, make_attempt, record
from workflows.db import clock
from workflows.db.json_values import make_storable
from workflows.values.moments import format_moment
from workflows_project.models import NAME_LENGTH, FailedLogins
from workflows_project.ops.access_log import find_address

logger = logging.getLogger("holdfast.logins")
Scope = FailedLogins.Scope


class LoginLocked(ValidationError):
    """Too many logins have failed. Forms show the message."""

    def __init__(self, scope: str, until: datetime, now: datetime) -> None:
        self.seconds = max(1, math.ceil((until - now).total_seconds()))
        text = (
            gettext("Too many failed logins with this name. Try again at %(time)s.")
            if scope == Scope.ACCOUNT
            else gettext("Too many failed logins from your address. Try again at %(time)s.")
        )
        # Rounded up, so that a login at this second succeeds.
        second = (until + timedelta(microseconds=999_999)).replace(microsecond=0)
        super().__init__(text % {"time": format_moment(second)}, code="login_locked")


class LoginThrottled(APIException):
    """Too many logins have failed: the response of the API, with ``Retry-After``."""

    status_code = 429
    default_code = "login_locked"

    def __init__(self, lock: LoginLocked) -> None:
        super().__init__(lock.message)
        self.wait = lock.seconds


def limit_of(scope: str) -> int:
    """Return the number of failures that lock an account or address; 0 for no limit."""
    limits = {
        Scope.ACCOUNT: settings.LOGIN_FAILURES_PER_ACCOUNT,
        Scope.ADDRESS: settings.LOGIN_FAILURES_PER_ADDRESS,
    }
    return int(limits[Scope(scope)])


def lock_time() -> timedelta:
    """Return how long a lock lasts, and how long failures are counted."""
    return timedelta(seconds=settings.LOGIN_LOCK_SECONDS)


def locked_until(row: FailedLogins, now: datetime) -> datetime | None:
    """Return when an account or address is unlocked, or None if it is not locked."""
    limit = limit_of(row.scope)
    until = row.last_at + lock_time()
    return until if limit and row.failures >= limit and until > now else None


def locked_rows(now: datetime) -> QuerySet[FailedLogins]:
    """Return the accounts and addresses that are locked now."""
    found = Q(pk=None)
    for scope in Scope:
        if limit := limit_of(scope):
            found |= Q(scope=scope, failures__gte=limit)
    return FailedLogins.objects.filter(found, last_at__gt=now - lock_time())


def account_key(name: str) -> str:
    """Return the name under which the failures of an account are counted."""
    return str(make_storable(name)).casefold()[:NAME_LENGTH]


def address_key(address: str) -> str:
    """Return the address whose failures are counted, empty if it is none.

    An IPv6 client usually has a network of 64 bits to itself.
    """
    try:
        found = ip_address(address.strip())
    except ValueError:
        # A Unix socket has no address.
        return ""
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is None:
            return str(ip_network((found.packed[:8] + bytes(8), 64)))
        found = found.ipv4_mapped
    return str(found)


def _keys(name: str, request: Any) -> list[tuple[str, str]]:
    """Return what a login is counted for: always in this order, in which rows are locked."""
    address = address_key(find_address(request)) if request is not None else ""
    pairs = [(Scope.ACCOUNT.value, account_key(name)), (Scope.ADDRESS.value, address)]
    return [(scope, key) for scope, key in pairs if key and limit_of(scope)]


def _matching(keys: Iterable[tuple[str, str]]) -> Q:
    found = Q(pk=None)
    for scope, name in keys:
        found |= Q(scope=scope, name=name)
    return found


def refuse_locked(request: Any, name: str) -> bool:
    """Return True if failures of this account are counted.

    Raises:
        LoginLocked: the account or the address of the request is locked.
    """
    keys = _keys(name, request)
    if not keys:
        return False
    rows = list(FailedLogins.objects.filter(_matching(keys)))
    now = clock.now() if rows else None
    locks = [(until, row) for row in rows if now and (until := locked_until(row, now))]
    if now is not None and locks:
        until, row = max(locks, key=lambda lock: lock[0])
        _log("Login refused, locked: %s", name, find_address(request) if request else "")
        raise LoginLocked(row.scope, until, now)
    return any(row.scope == Scope.ACCOUNT for row in rows)


def count_failure(name: str, request: Any) -> None:
    """Count a failed login, and record it in the audit log."""
    now, address = clock.now(), find_address(request) if request is not None else ""
    with transaction.atomic():
        FailedLogins.objects.filter(last_at__lte=now - lock_time()).delete()
        rows = [_count(scope, key, now) for scope, key in _keys(name, request)]
        values = {"address": address, "failures": max((row.failures for row in rows), default=1)}
        failed = FailedLogins(scope=Scope.ACCOUNT, name=name[:NAME_LENGTH])
        attempts = [make_attempt(failed, Action.LOGIN_FAILED, after=values)]
        for row in rows:
            until = locked_until(row, now)
            if until is not None and row.failures == limit_of(row.scope):
                values = {"failures": row.failures, "until": until.isoformat()}
                attempts.append(make_attempt(row, Action.LOCKED, after=values))
        record(attempts)
    _log("Login failed: %s", name, address)
    for attempt in attempts[1:]:
        _log("Too many failed logins. Locked: %s", attempt.title, address)


def _count(scope: str, key: str, now: datetime) -> FailedLogins:
    started = {"failures": 0, "first_at": now, "last_at": now}
    rows = FailedLogins.objects.select_for_update()
    row, _ = rows.get_or_create(scope=scope, name=key, defaults=started)
    if row.first_at <= now - lock_time():
        row.failures, row.first_at = 0, now
    row.failures, row.last_at = row.failures + 1, now
    row.save()
    return row


def _log(text: str, name: str, address: str) -> None:
    # A name with line breaks must not forge further lines.
    printable = "".join(one if one.isprintable() else "�" for one in name[:NAME_LENGTH])
    fields = {"account": printable, "address": address}
    logger.warning(text, printable, extra={"fields": fields})


def forget_failures(name: str) -> None:
    """Forget the failures of an account, after a login that succeeded."""
    FailedLogins.objects.filter(scope=Scope.ACCOUNT, name=account_key(name)).delete()


def unlock(rows: Iterable[FailedLogins]) -> int:
    """Delete the counts of accounts or addresses, and record it. Return their number."""
    with transaction.atomic():
        stored = FailedLogins.objects.select_for_update().filter(pk__in=[row.pk for row in rows])
        found = list(stored.order_by("scope", "name"))
        stored.delete()
        record(
            [make_attempt(row, Action.UNLOCKED, before={"failures": row.failures}) for row in found]
        )
    return len(found)


def _failed(credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
    name = credentials.get("username")
    # Other ways to log in, such as OIDC, have no password to guess.
    if name and "password" in credentials:
        count_failure(str(name), request)


def _logged_in(user: Any, **kwargs: Any) -> None:
    forget_failures(user.get_username())


def connect() -> None:
    """Count failures, and forget those of accounts that log in."""
    user_login_failed.connect(_failed, dispatch_uid="login_limits")
    user_logged_in.connect(_logged_in, dispatch_uid="login_limits")
