"""Names of HTTP statuses are part of the API: a newer Python does not rename them."""

from __future__ import annotations

import pytest

from workflows_project.api.statuses import status_phrase


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(404, "Not Found"), (413, "Request Entity Too Large"), (422, "Unprocessable Entity")],
)
def test_phrase_is_the_same_on_every_python(status: int, phrase: str) -> None:
    assert status_phrase(status) == phrase
