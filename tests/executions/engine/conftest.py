"""Fixtures of the engine tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet

from executions.models import Secret
from tests.executions.engine.server import Server, run_server


@pytest.fixture
def server(settings: Any) -> Iterator[Server]:
    """Run an HTTP server that http_request nodes may call."""
    with run_server() as known:
        settings.HTTP_REQUEST_HOSTS = [known.host]
        settings.HTTP_REQUEST_ALLOW_HTTP = True
        settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
        yield known


@pytest.fixture
def secret(settings: Any, db: None) -> str:
    """Create the secret ``HOOK`` of webhooks, and return its value."""
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    row = Secret(name="HOOK")
    row.set_value("a secret of some length")
    row.save()
    return "a secret of some length"
