"""Errors: problem documents (RFC 9457) as exceptions."""

from __future__ import annotations

from typing import Any

import httpx

from holdfast_client.models import Blockers, ProblemError, Remedy


class HoldfastError(Exception):
    """Base class of all errors of the client."""


class ConnectionFailed(HoldfastError):
    """The server could not be reached, or did not answer in time."""


class Problem(HoldfastError):
    """A request that the server refused, or failed to process."""

    def __init__(self, response: httpx.Response) -> None:
        body = _read(response)
        self.status: int = response.status_code
        self.code: str = body.get("code", "")
        """The stable code. Decide by it, and by ``status`` for codes that you do not know."""
        self.detail: str = body.get("detail") or response.reason_phrase
        self.errors: list[ProblemError] = body.get("errors", [])
        """Everything that is wrong, each with a JSON pointer."""
        self.blockers: Blockers | None = body.get("blockers")
        self.remedies: list[Remedy] = body.get("remedies", [])
        """Ways to resolve the refusal."""
        self.request_id: str = response.headers.get("X-Request-ID", "")
        """The id of the request in the log of the server."""
        pause = response.headers.get("Retry-After", "")
        self.retry_after: float | None = float(pause) if pause.isdecimal() else None
        """The seconds after which the same request may succeed; None if it is unknown."""
        super().__init__(self.status, self.code, self.detail)

    def __str__(self) -> str:
        rows = [f"{self.status} {self.code}: {self.detail}"]
        rows += [f"  {row['pointer']}: {row['detail']}" for row in self.errors if row["pointer"]]
        rows += [f"  {row['detail']}" for row in self.remedies]
        return "\n".join(rows)


class Unauthorized(Problem):
    """The token is missing, wrong, expired or revoked (401)."""


class Forbidden(Problem):
    """The account has no permission, or the token not the scope (403)."""


class NotFound(Problem):
    """There is no such record (404)."""


class Conflict(Problem):
    """The record has changed or ended, or is being changed (409)."""


class PreconditionFailed(Problem):
    """The record has changed since it was read (412)."""


class Throttled(Problem):
    """Too many requests (429)."""


class ServerFailed(Problem):
    """The server failed (5xx)."""


_BY_STATUS: dict[int, type[Problem]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    429: Throttled,
}


def problem_of(response: httpx.Response) -> Problem:
    """Return the exception for an error response."""
    is_failure = response.status_code >= 500
    return _BY_STATUS.get(response.status_code, ServerFailed if is_failure else Problem)(response)


def _read(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        # A proxy in front of the server may respond with HTML.
        return {}
    return body if isinstance(body, dict) else {}
