"""Fixtures for tests of the admin pages of executions."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.factories import user_in


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(user_in("operator", username="ada", is_staff=True))
    return client
