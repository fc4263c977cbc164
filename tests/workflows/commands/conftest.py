"""Fixtures of the command tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflows.files import Importing


@pytest.fixture
def importing(tmp_path: Path) -> Importing:
    return Importing(tmp_path)
