"""Programs of the system that some tests need."""

from __future__ import annotations

import os
import shutil

import pytest


def require_program(*names: str) -> str:
    """Return the path of the first of these programs that is installed.

    Without one the test is skipped; with ``CI`` in the environment it fails.
    """
    for name in names:
        if path := shutil.which(name):
            return path
    reason = f"{names[0]} is not installed"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
