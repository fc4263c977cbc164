"""Fixtures of the engine tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.executions.engine.server import Server, run_server


@pytest.fixture
def server(settings: Any) -> Iterator[Server]:
    """Run an HTTP server that http_request nodes may call."""
    with run_server() as known:
        settings.HTTP_REQUEST_HOSTS = [known.host]
        settings.HTTP_REQUEST_ALLOW_HTTP = True
        settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
        yield known
