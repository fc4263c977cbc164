"""Pytest plugin (``-p tests.mutation.recording``) that records the duration of each test."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

_seconds: defaultdict[str, float] = defaultdict(float)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] += report.duration


def pytest_sessionfinish(session: Any) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        Path(os.environ["COVERAGE_FILE"] + ".json").write_text(json.dumps(_seconds))
