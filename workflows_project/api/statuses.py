"""Phrases of HTTP statuses, the same in all versions of Python."""

from __future__ import annotations

from http import HTTPStatus

# Python 3.13 renamed these. Clients may rely on the previous phrases.
_RENAMED = {
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
}


def status_phrase(status: int) -> str:
    """Return the phrase of a status, for example "Not Found" for 404."""
    return _RENAMED.get(status) or HTTPStatus(status).phrase
