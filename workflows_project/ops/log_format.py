"""Logs: one line per record, with the id and the user of the current request or command.

The settings import this module, so it imports nothing that reads them.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from workflows.audit import actor

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class _Formatter(logging.Formatter):
    """Formats times in UTC."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """Return the time of the record in ISO 8601."""
        at = datetime.fromtimestamp(record.created, UTC)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class LineFormatter(_Formatter):
    """Readable lines. A message cannot begin a new line: it may contain text from clients."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line without an exception."""
        message = _CONTROL.sub(lambda found: repr(found[0])[1:-1], record.message)
        values = {**_context(), **getattr(record, "fields", {})}
        details = "".join(
            f" {name}={values[name]}" for name in ("user", "address", "code") if values.get(name)
        )
        request_id = values.get("request_id") or "-"
        time = self.formatTime(record)
        return f"{time} {record.levelname} {record.name} [{request_id}] {message}{details}"


class JsonFormatter(_Formatter):
    """One JSON object per line, for log collectors."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        data: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_context(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            data["exception"] = self.formatException(record.exc_info)
        return json.dumps(data, ensure_ascii=False, default=str)


def _context() -> dict[str, str]:
    current = actor.current()
    if not current.request_id:
        return {}
    return {
        "request_id": current.request_id,
        "interface": current.interface.value,
        "user": actor.known_name(),
    }


def configure(form: str, level: str) -> dict[str, Any]:
    """Return the configuration of Python's logging.

    Args:
        form: ``line`` or ``json``.
        level: the lowest level that is logged.
    """
    formatter = JsonFormatter if form == "json" else LineFormatter
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": {"()": formatter}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "chosen"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # The access log has these responses.
            "django": {"handlers": [], "level": level},
            "django.request": {"level": "ERROR"},
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            "django.server": {"handlers": [], "level": "CRITICAL", "propagate": True},
            # These log each call and each query at DEBUG.
            **{name: {"level": "INFO"} for name in ("asyncio", "django.db", "django.template")},
        },
    }
