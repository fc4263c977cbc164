"""``docs/reference/problems.md`` lists every error code, with its status."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from rest_framework.exceptions import APIException

from tests.codes import below, every_code
from workflows.refusals import Refusal
from workflows_project.api.errors import STATUS_OF_REFUSALS
from workflows_project.api.problems import OF_STATUSES

SECTION = re.compile(r"^### `(\w+)`\n\*\*(\d{3})\.\*\* (.*?)(?=\n#|\Z)", re.M | re.S)


@pytest.fixture(scope="module")
def told() -> dict[str, tuple[int, str]]:
    """The sections: by the code, its status and text."""
    text = (Path(settings.BASE_DIR) / "docs" / "reference" / "problems.md").read_text()
    found = {code: (int(status), said) for code, status, said in SECTION.findall(text)}
    assert len(found) == text.count("\n### "), "a section is not of the form of the others"
    return found


def test_every_code_has_a_section(told: dict[str, tuple[int, str]]) -> None:
    codes = every_code()
    assert {code: place for code, place in codes.items() if code not in told} == {}


def test_every_section_has_a_code(told: dict[str, tuple[int, str]]) -> None:
    assert sorted(set(told) - set(every_code())) == []


def test_a_section_tells_the_status_and_whether_it_is_a_refusal(
    told: dict[str, tuple[int, str]],
) -> None:
    every_code()
    for refusal in below(Refusal):
        status, text = told[refusal.code]
        expected = next(
            (number for kind, number in STATUS_OF_REFUSALS.items() if issubclass(refusal, kind)),
            400,
        )
        assert status == expected, refusal.code
        assert re.search(r"A\s+refusal", text), refusal.code
    for error in below(APIException):
        if error.default_code != "error":
            assert told[error.default_code][0] == error.status_code, error.default_code
    for status, (code, _) in OF_STATUSES.items():
        assert told[code][0] == status
