"""API clients and assertions that most tests use."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from tests.factories import user_with
from workflows.db import prepared

API = "/api/v1/"
_numbers = itertools.count()


class Client(APIClient):
    """A client for paths below ``/api/v1/`` that sends JSON."""

    def generic(self, method: str, path: Any, *args: Any, **kwargs: Any) -> Any:
        if not path.startswith(("/", "http")):
            path = API + path
        return super().generic(method, path, *args, **kwargs)

    def etag(self, path: str) -> str:
        """Return the ETag of a GET response."""
        return str(self.get(path)["ETag"])

    def edit(self, path: str, **values: Any) -> Any:
        """Send a PATCH with the current ETag."""
        return self.patch(path, values, headers={"If-Match": self.etag(path)})


def client_of(*permissions: str, superuser: bool = False) -> Client:
    """Return a client of a new user with these permissions (``app.codename``)."""
    name = f"client{next(_numbers)}"
    client = Client()
    client.force_login(user_with(*permissions, username=name, is_superuser=superuser))
    return client


def statements(function: Callable[[], Any]) -> int:
    """Return the number of statements that a call takes, without preparations."""
    # Ids are reserved ahead for a moment; each count starts without reserved ids.
    prepared.session_data().clear()
    with CaptureQueriesContext(connection) as captured:
        function()
    return sum(not query["sql"].startswith("PREPARE") for query in captured)


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Assert that a response is a complete problem (RFC 9457); return its body."""
    body: dict[str, Any] = response.json()
    assert response["Content-Type"] == "application/problem+json"
    assert response.status_code == body["status"] == status, body
    assert body["code"] == code, body
    assert body["type"] == f"/problems/{code}"
    assert body["title"]
    assert body["detail"]
    assert body["errors"]
    for error in body["errors"]:
        assert set(error) == {"pointer", "code", "detail"}
        assert error["pointer"] == "" or error["pointer"].startswith("/")
        assert error["code"]
        assert error["detail"]
    return body
