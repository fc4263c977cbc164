"""The names of HTTP statuses, the same on every Python."""

from __future__ import annotations

from http import HTTPStatus

# Python 3.13 renamed these as RFC 9110 does; programs know them by their first names.
_RENAMED = {
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
}


def status_phrase(status: int) -> str:
    """Return the phrase of a status, for example "Not Found" for 404."""
    return _RENAMED.get(status) or HTTPStatus(status).phrase
