"""Fixtures for tests of webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.executions.receivers import Receiver, run_receiver


@pytest.fixture
def receiver(transactional_db: None, settings: Any) -> Iterator[Receiver]:
    with run_receiver(settings) as running:
        yield running
