"""Clients of the API, and what they are asked to do in most tests."""

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
    """Knows the way under ``/api/v1/``, and sends JSON."""

    def generic(self, method: str, path: Any, *args: Any, **kwargs: Any) -> Any:
        if not path.startswith(("/", "http")):
            path = API + path
        return super().generic(method, path, *args, **kwargs)

    def etag(self, path: str) -> str:
        """What a GET answers as the ETag."""
        return str(self.get(path)["ETag"])

    def edit(self, path: str, **values: Any) -> Any:
        """PATCH what was just read."""
        return self.patch(path, values, headers={"If-Match": self.etag(path)})


def client_of(*permissions: str, superuser: bool = False) -> Client:
    """A client of a new user with these permissions (``app.codename``)."""
    name = f"client{next(_numbers)}"
    client = Client()
    client.force_login(user_with(*permissions, username=name, is_superuser=superuser))
    return client


def statements(function: Callable[[], Any]) -> int:
    """How many statements it takes; what is prepared once for a connection is left out."""
    # Ids are drawn ahead, for a moment: each count begins without any.
    prepared.session_data().clear()
    with CaptureQueriesContext(connection) as captured:
        function()
    return sum(not query["sql"].startswith("PREPARE") for query in captured)


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Check that it is a problem of RFC 9457 in every member; the body."""
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
