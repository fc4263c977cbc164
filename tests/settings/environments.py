"""Settings that are read from environment variables, in this process or another one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = (
    "ALLOWED_HOSTS",
    "API_AUTHENTICATION_CLASSES",
    "AUTHENTICATION_BACKENDS",
    "CELERY_BROKER_URL",
    "CSRF_TRUSTED_ORIGINS",
    "DATABASE_URL",
    "DEBUG",
    "EMAIL_HOST_PASSWORD",
    "EMAIL_HOST",
    "EMAIL_PORT",
    "FILE_MAX_BYTES",
    "HTTP_REQUEST_HOSTS",
    "JOB_LEASE_SECONDS",
    "LOCK_TIMEOUT_SECONDS",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "MEDIA_ROOT",
    "METRICS_NETWORKS",
    "METRICS_TOKEN",
    "NUM_PROXIES",
    *(f"S3_{name}" for name in ("BUCKET", "ENDPOINT_URL", "PREFIX", "REGION")),
    *("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_SECRET_ACCESS_KEY_FILE"),
    "SECRET_KEY",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS",
    "SECURE_HSTS_PRELOAD",
    "SECURE_HSTS_SECONDS",
    "SECURE_PROXY_SSL_HEADER",
    "SECRETS_KEY",
    "SECURE_SSL_REDIRECT",
    "STATEMENT_TIMEOUT_SECONDS",
    "SWEEP_SECONDS",
    "TIME_ZONE",
    *(f"THROTTLE_{scope}" for scope in ("READ", "WRITE", "START", "TOKEN", "HOOK")),
    "TOKEN_HOURS",
    "WEBHOOK_KEEP_DAYS",
    *(
        f"{name}_FILE"
        for name in (
            "SECRET_KEY",
            "DATABASE_URL",
            "SECRETS_KEY",
            "CELERY_BROKER_URL",
            "EMAIL_HOST_PASSWORD",
            "METRICS_TOKEN",
        )
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings under some variables, and the problems with these variables."""

    values: dict[str, Any]
    problems: list[str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


Reader = Callable[..., Settings]


def database(settings_from: Reader, url: str) -> dict[str, Any]:
    """Return the settings of the default database for this URL."""
    read = settings_from(DEBUG="1", DATABASE_URL=url)
    assert read.problems == []
    databases: dict[str, dict[str, Any]] = read["DATABASES"]
    return databases["default"]


def python(*arguments: str, **values: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these variables, and without other variables of the settings."""
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tempfile.gettempdir(),
        env={**inherited, "PYTHONPATH": str(ROOT), **values},
        capture_output=True,
        text=True,
        timeout=120,
    )


def manage(command: str, **values: str) -> subprocess.CompletedProcess[str]:
    """Run a command of manage.py with these variables."""
    return python(str(ROOT / "manage.py"), command, **values)
