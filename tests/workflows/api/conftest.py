"""The client of most API tests."""

from __future__ import annotations

import pytest

from tests.workflows.api.clients import Client, client_of


@pytest.fixture
def api(db: None) -> Client:
    """Return a client with all permissions."""
    return client_of(superuser=True)


@pytest.fixture(autouse=True)
def _described(exchanges: object) -> None:
    """Compare all requests and responses with the OpenAPI document."""
