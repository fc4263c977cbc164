"""Reads settings from the environment; a wrong value becomes a sentence, not a traceback.

What is wrong is kept in ``problems`` for the system checks, and something harmless stands
in its place until they have spoken.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

T = TypeVar("T")

problems: list[str] = []

_TRUE = {"1", "true", "yes", "on", "y", "t"}
_FALSE = {"0", "false", "no", "off", "n", "f", ""}


def _read(name: str, default: T, convert: Callable[[str], T], expected: str) -> T:
    value = os.environ.get(name)
    if value is None:
        return default
    try:
        return convert(value.strip())
    except ValueError:
        problems.append(f"{name}={value!r} is not {expected}.")
        return default


def _boolean(value: str) -> bool:
    if value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError(value)


def boolean(name: str, default: bool = False) -> bool:
    """A yes or no."""
    return _read(name, default, _boolean, "a yes or no (1, 0, true, false)")


def number(
    name: str, default: int = 0, *, of: str = "", least: int = 0, most: int | None = None
) -> int:
    """A whole number, of what it counts, from ``least`` to ``most``."""

    def convert(value: str) -> int:
        found = int(value)
        if found < least or (most is not None and found > most):
            raise ValueError(value)
        return found

    bounds = f", {least} to {most}" if most is not None else f", {least} or more" if least else ""
    return _read(name, default, convert, f"a whole number{of and f' of {of}'}{bounds}")


def seconds(name: str, default: int = 0, *, least: int = 0) -> int:
    """A whole number of seconds, not less than ``least``."""
    return number(name, default, of="seconds", least=least)


_RATE = re.compile(r"([1-9]\d{0,8})/(second|minute|hour|day)", re.ASCII)


def rate(name: str) -> str | None:
    """How often something may be: ``100/minute``. None where it is not set."""

    def convert(value: str) -> str | None:
        if value and not _RATE.fullmatch(value):
            raise ValueError(value)
        return value or None

    expected = "a rate: a number, a slash, and second, minute, hour or day (100/minute)"
    return _read(name, None, convert, expected)


def time_zone(name: str = "TIME_ZONE") -> str:
    """The name of a time zone of the IANA database; UTC where none is set."""

    def convert(value: str) -> str:
        try:
            return ZoneInfo(value or "UTC").key
        except (LookupError, OSError) as error:
            raise ValueError(value) from error

    return _read(name, "UTC", convert, "a time zone of the IANA database (Europe/Berlin)")


def text(name: str, default: str = "") -> str:
    """Any text."""
    return os.environ.get(name, "").strip() or default


def _port(value: str) -> int:
    number = int(value)
    if not 0 < number < 65536:
        raise ValueError(value)
    return number


def port(name: str, default: int) -> int:
    """The number of a port."""
    return _read(name, default, _port, "the number of a port")


def names(name: str) -> list[str]:
    """A list separated by commas."""
    return [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]


def secret_key(debug: bool) -> str:
    """``SECRET_KEY``; in development a key that is no secret serves."""
    value = os.environ.get("SECRET_KEY", "")
    if value:
        return value
    if debug:
        return "for-development-only-and-known-to-everybody-who-reads-this"
    problems.append(
        "SECRET_KEY is not set. Set it to a long random text, or DEBUG=1 for development."
    )
    # Nobody may guess it, should something be signed all the same.
    return get_random_secret_key()


def secrets_keys(name: str = "SECRETS_KEY") -> list[str]:
    """The keys of the secrets: the first encrypts, each decrypts."""
    keys = names(name)
    for key in keys:
        try:
            Fernet(key)
        except ValueError:
            # The value is not shown: a key with a slip is nearly a key.
            problems.append(
                f"{name} holds what is no key: each is 32 bytes in URL-safe base64"
                " (Fernet.generate_key() of Python's cryptography makes one)."
            )
            return []
    return keys


def refuse_to_serve() -> None:
    """Stop a server that was given a wrong value: servers run no system checks."""
    if problems:
        raise ImproperlyConfigured(" ".join(problems))


def broker(name: str = "CELERY_BROKER_URL") -> str:
    """The address of a Redis; empty, there is no broker. What is not understood is none."""
    url = text(name)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if not url or (parts.scheme in ("redis", "rediss") and parts.hostname and port != 0):
        return url
    if parts.scheme == "redis+socket" and not parts.netloc and len(parts.path) > 1:
        return url
    # The value is not shown: it may hold a password.
    problems.append(
        f"{name} cannot be read as redis://:password@host:port/number, rediss://… (with TLS)"
        " or redis+socket:///path."
    )
    return ""


def refuse_without_broker(url: str) -> None:
    """Stop a worker of Celery that nobody could send anything."""
    if not url:
        raise ImproperlyConfigured(
            "CELERY_BROKER_URL is not set: without a broker, manage.py work serves the background."
        )


def database(default_file: Path) -> dict[str, Any]:
    """``DATABASE_URL`` as Django's settings: SQLite, or PostgreSQL by network or Unix socket.

    What is not understood leaves an empty database in memory, so that nothing is written to a
    wrong one, and the models' own checks have nothing to add to the sentence.
    """
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        return _sqlite(str(default_file))
    scheme = url.split(":", 1)[0] if ":" in url else ""
    if scheme not in {"postgres", "postgresql", "sqlite"}:
        shown = f"the scheme {scheme!r}" if scheme else "no scheme"
        problems.append(f"DATABASE_URL has {shown}; it must begin with postgres:// or sqlite:///.")
        return _nowhere()
    try:
        settings: dict[str, Any] = dict(environ.Env.db_url_config(url))
        network = urlsplit(url).netloc
    except (ValueError, environ.ImproperlyConfigured):
        problems.append("DATABASE_URL cannot be read as postgres://user:password@host:port/name.")
        return _nowhere()
    if scheme == "sqlite":
        return _sqlite_file(url, settings["NAME"])
    if not settings.get("NAME"):
        problems.append("DATABASE_URL names no database: postgres://user:password@host:port/name.")
        return _nowhere()
    settings["ENGINE"] = "workflows_project.postgresql"
    host = network.rpartition("@")[2].partition(":")[0]
    if host.lower().startswith("%2f"):
        # A parsed host name is in lower case; the path of a socket must stay as it was written.
        settings["HOST"] = unquote(host)
    settings["CONN_MAX_AGE"] = 60
    settings["CONN_HEALTH_CHECKS"] = True
    return settings


def _sqlite_file(url: str, name: str) -> dict[str, Any]:
    if url != "sqlite://:memory:" and urlsplit(url).netloc:
        problems.append("DATABASE_URL names no file; a path follows three slashes: sqlite:///file.")
        return _nowhere()
    if name != ":memory:" and not Path(name).resolve().parent.is_dir():
        problems.append(f"DATABASE_URL names {name!r}, but its directory does not exist.")
        return _nowhere()
    return _sqlite(name)


def _nowhere() -> dict[str, Any]:
    return _sqlite(":memory:")


def _sqlite(name: str) -> dict[str, Any]:
    return {
        "ENGINE": "workflows_project.sqlite",
        "NAME": name,
        # To open and close it takes longer than a request does with it.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            # Without IMMEDIATE a transaction that reads first fails when it comes to write.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # With NORMAL a power cut may take back what was answered as done.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }
