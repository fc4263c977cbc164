"""Phrases of HTTP statuses: they do not depend on the version of Python."""

from __future__ import annotations

import pytest

from workflows_project.api.statuses import status_phrase


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(404, "Not Found"), (413, "Request Entity Too Large"), (422, "Unprocessable Entity")],
)
def test_status_phrase_does_not_depend_on_python_version(status: int, phrase: str) -> None:
    assert status_phrase(status) == phrase
