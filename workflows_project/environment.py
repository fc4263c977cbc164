"""Reading of settings from environment variables.

An invalid value is added to ``problems``, which a system check reports, and a harmless default is
used instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from ipaddress import ip_network
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


def secret(name: str) -> str:
    """Read a text from a variable, or from the file that ``<name>_FILE`` names."""
    value = os.environ.get(name, "").strip()
    path = os.environ.get(f"{name}_FILE", "")
    if not path:
        return value
    if value:
        problems.append(f"{name} and {name}_FILE are both set. Set one of them.")
        return value
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        problems.append(f"{name}_FILE: {path!r} cannot be read ({reason}).")
        return ""


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
    """Read a boolean."""
    return _read(name, default, _boolean, "a boolean (1, 0, true, false)")


def number(
    name: str, default: int = 0, *, of: str = "", least: int = 0, most: int | None = None
) -> int:
    """Read an integer from ``least`` to ``most``. ``of`` is its unit."""

    def convert(value: str) -> int:
        found = int(value)
        if found < least or (most is not None and found > most):
            raise ValueError(value)
        return found

    bounds = f", {least} to {most}" if most is not None else f", {least} or more" if least else ""
    return _read(name, default, convert, f"a whole number{of and f' of {of}'}{bounds}")


def seconds(name: str, default: int = 0, *, least: int = 0) -> int:
    """Read a number of seconds, at least ``least``."""
    return number(name, default, of="seconds", least=least)


_RATE = re.compile(r"([1-9]\d{0,8})/(second|minute|hour|day)", re.ASCII)


def rate(name: str) -> str | None:
    """Read a rate such as ``100/minute``, None if the variable is not set."""

    def convert(value: str) -> str | None:
        if value and not _RATE.fullmatch(value):
            raise ValueError(value)
        return value or None

    expected = "a rate: a number, a slash, and second, minute, hour or day (100/minute)"
    return _read(name, None, convert, expected)


def time_zone(name: str = "TIME_ZONE") -> str:
    """Read the name of an IANA time zone, by default UTC."""

    def convert(value: str) -> str:
        try:
            return ZoneInfo(value or "UTC").key
        except (LookupError, OSError) as error:
            raise ValueError(value) from error

    return _read(name, "UTC", convert, "a time zone of the IANA database (Europe/Berlin)")


def text(name: str, default: str = "") -> str:
    """Read a text."""
    return os.environ.get(name, "").strip() or default


def endpoint(name: str) -> str:
    """Read an address of the identity provider, which is required with ``OIDC_CLIENT_ID``."""
    value = text(name)
    if text("OIDC_CLIENT_ID") and not urlsplit(value).netloc:
        problems.append(
            f"OIDC_CLIENT_ID is set, but {name}={value!r} is not an address (https://…)."
        )
    return value


def choice(name: str, values: Sequence[str]) -> str:
    """Read one of these values, in any case. The first one is the default."""

    def convert(value: str) -> str:
        found = [row for row in values if row.lower() == value.lower()]
        if not found:
            raise ValueError(value)
        return found[0]

    return _read(name, values[0], convert, f"one of {', '.join(values)}")


def _port(value: str) -> int:
    number = int(value)
    if not 0 < number < 65536:
        raise ValueError(value)
    return number


def port(name: str, default: int) -> int:
    """Read a port number."""
    return _read(name, default, _port, "a port number")


def names(name: str) -> list[str]:
    """Read a list separated by commas."""
    return _split(os.environ.get(name, ""))


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*", re.ASCII)


def https_header(name: str) -> tuple[str, str] | None:
    """Read the name of the header by which a proxy says that a request came by HTTPS."""

    def convert(value: str) -> tuple[str, str] | None:
        if not value:
            return None
        if not _HEADER.fullmatch(value):
            raise ValueError(value)
        return f"HTTP_{value.upper().replace('-', '_')}", "https"

    return _read(name, None, convert, "the name of a header (X-Forwarded-Proto)")


_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?|https?://\[[0-9A-Fa-f:]+\](:[0-9]+)?")


def origins(name: str) -> list[str]:
    """Read a list of origins (``https://app.example``)."""
    found = []
    for part in names(name):
        if _ORIGIN.fullmatch(part):
            found.append(part)
        else:
            problems.append(f"{name}: {part!r} is not an origin (https://app.example).")
    return found


def url(name: str) -> str:
    """Read the URL of a website; empty by default."""
    value = os.environ.get(name, "")
    if value and not re.match(r"https?://[^/\s]+[^\s]*$", value):
        problems.append(f"{name}: {value!r} is not a URL (https://docs.example/).")
        return ""
    return value


def networks(name: str) -> list[str]:
    """Read a list of IP addresses and networks (``10.0.0.0/8``)."""
    found = []
    for part in names(name):
        try:
            found.append(str(ip_network(part)))
        except ValueError:
            problems.append(f"{name}: {part!r} is not an IP address or network (10.0.0.0/8).")
    return found


def secret_key(debug: bool) -> str:
    """Read ``SECRET_KEY``. With ``DEBUG``, a known key is the default."""
    value = secret("SECRET_KEY")
    if value:
        return value
    if debug:
        return "for-development-only-and-known-to-everybody-who-reads-this"
    problems.append(
        "SECRET_KEY is not set. Set it to a long random text, or DEBUG=1 for development."
    )
    # A random key, in case something is signed before the check stops the process.
    return get_random_secret_key()


def secrets_keys(name: str = "SECRETS_KEY") -> list[str]:
    """Read the keys of secrets. The first encrypts, all decrypt."""
    keys = _split(secret(name))
    for key in keys:
        try:
            Fernet(key)
        except ValueError:
            # The value is not printed: it may be a key with a typing error.
            problems.append(
                f"{name} contains an invalid key. Create keys with Fernet.generate_key() of the"
                " Python package cryptography."
            )
            return []
    return keys


def file_storage(root: str) -> dict[str, Any]:
    """Read the storage of files: a bucket of S3 if ``S3_BUCKET`` is set, else a local folder.

    Args:
        root: the local folder.
    """
    bucket = text("S3_BUCKET")
    options = {
        "endpoint_url": text("S3_ENDPOINT_URL"),
        "region_name": text("S3_REGION"),
        "access_key": text("S3_ACCESS_KEY_ID"),
        "secret_key": secret("S3_SECRET_ACCESS_KEY"),
        "location": text("S3_PREFIX"),
    }
    if not bucket:
        # Only the account of the server reads the files.
        modes = {"file_permissions_mode": 0o600, "directory_permissions_mode": 0o700}
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": root, **modes},
        }
    if find_spec("storages") is None:
        problems.append(
            "S3_BUCKET is set, but django-storages is not installed. Run:"
            " pip install 'django-storages[s3]'"
        )
    given = {name: value for name, value in options.items() if value}
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {"bucket_name": bucket, "file_overwrite": False, **given},
    }


def refuse_to_serve() -> None:
    """Raise ``ImproperlyConfigured`` if a value is invalid. Servers run no system checks."""
    if problems:
        raise ImproperlyConfigured(" ".join(problems))


def broker(name: str = "CELERY_BROKER_URL") -> str:
    """Read the URL of a Redis broker. Empty if there is none, or if the URL is invalid."""
    url = secret(name)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if not url or (parts.scheme in ("redis", "rediss") and parts.hostname and port != 0):
        return url
    if parts.scheme == "redis+socket" and not parts.netloc and len(parts.path) > 1:
        return url
    # The value is not printed: it may contain a password.
    problems.append(
        f"{name} is invalid. Use redis://:password@host:port/number, rediss://… (with TLS)"
        " or redis+socket:///path."
    )
    return ""


def refuse_without_broker(url: str) -> None:
    """Raise ``ImproperlyConfigured`` if there is no broker for a Celery worker."""
    if not url:
        raise ImproperlyConfigured(
            "CELERY_BROKER_URL is not set. Set it, or run manage.py work instead of Celery."
        )


def database(default_file: Path, debug: bool) -> dict[str, Any]:
    """Read ``DATABASE_URL``: SQLite, or PostgreSQL over the network or a Unix socket.

    With ``DEBUG``, a SQLite file beside the program is the default.

    For an invalid URL the result is an empty database in memory, so that nothing is written to a
    wrong database, and the system check reports only the URL.
    """
    url = secret("DATABASE_URL")
    if not url:
        if debug:
            return _sqlite(str(default_file))
        # A forgotten variable must not begin an empty database beside the program.
        problems.append(
            "DATABASE_URL is not set. Set it (postgres://… or sqlite:///…), or DEBUG=1 for"
            " development."
        )
        return _in_memory()
    scheme = url.split(":", 1)[0] if ":" in url else ""
    if scheme not in {"postgres", "postgresql", "sqlite"}:
        found = f"the scheme {scheme!r}" if scheme else "no scheme"
        problems.append(f"DATABASE_URL has {found}. It must start with postgres:// or sqlite:///.")
        return _in_memory()
    try:
        settings: dict[str, Any] = dict(environ.Env.db_url_config(url))
        network = urlsplit(url).netloc
    except (ValueError, environ.ImproperlyConfigured):
        problems.append("DATABASE_URL is invalid. Use postgres://user:password@host:port/name.")
        return _in_memory()
    if scheme == "sqlite":
        return _sqlite_file(url, settings["NAME"])
    if not settings.get("NAME"):
        problems.append(
            "DATABASE_URL has no database name. Use postgres://user:password@host:port/name."
        )
        return _in_memory()
    settings["ENGINE"] = "workflows_project.postgresql"
    host = network.rpartition("@")[2].partition(":")[0]
    if host.lower().startswith("%2f"):
        # urlsplit() lowercases host names, but the path of a socket is case-sensitive.
        settings["HOST"] = unquote(host)
    settings["CONN_MAX_AGE"] = 60
    settings["CONN_HEALTH_CHECKS"] = True
    return settings


def _sqlite_file(url: str, name: str) -> dict[str, Any]:
    if url != "sqlite://:memory:" and urlsplit(url).netloc:
        problems.append("DATABASE_URL has no file. A path follows three slashes: sqlite:///file.")
        return _in_memory()
    if name != ":memory:" and not Path(name).resolve().parent.is_dir():
        problems.append(f"DATABASE_URL: the directory of {name!r} does not exist.")
        return _in_memory()
    return _sqlite(name)


def _in_memory() -> dict[str, Any]:
    return _sqlite(":memory:")


def _sqlite(name: str) -> dict[str, Any]:
    return {
        "ENGINE": "workflows_project.sqlite",
        "NAME": name,
        # Opening a connection takes longer than a request.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            # Otherwise a transaction that reads before it writes can fail.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # With NORMAL, a power failure can undo committed transactions.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }
