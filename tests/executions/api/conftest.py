"""The client that most tests of the API use."""

from __future__ import annotations

import pytest

from tests.workflows.api.clients import Client, client_of


@pytest.fixture
def api(db: None) -> Client:
    """A client that may do everything."""
    return client_of(superuser=True)


@pytest.fixture(autouse=True)
def _described(exchanges: object) -> None:
    """Compare all requests and responses with the OpenAPI document."""
