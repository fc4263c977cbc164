"""``docs/reference/problems.md`` lists every error code, with its status, and every remedy."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings
from rest_framework.exceptions import APIException

from tests.codes import PACKAGES, below, every_code
from workflows.refusals import Refusal
from workflows_project.api.errors import STATUS_OF_REFUSALS
from workflows_project.api.problems import DJANGO_ERRORS

PAGE = Path(settings.BASE_DIR) / "docs" / "reference" / "problems.md"
SECTION = re.compile(r"^### `(\w+)`\n\*\*(\d{3})(, refusal)?\.\*\* \S", re.MULTILINE)


@pytest.fixture(scope="module")
def documented() -> dict[str, tuple[int, bool]]:
    """Return the status of each documented code, and whether it is marked as a refusal."""
    text = PAGE.read_text()
    found = {code: (int(status), bool(mark)) for code, status, mark in SECTION.findall(text)}
    assert len(found) == text.count("\n### "), "A section has another format than the others."
    return found


def test_problems_page_has_section_for_each_code(documented: dict[str, object]) -> None:
    missing = {code: place for code, place in every_code().items() if code not in documented}
    assert missing == {}, f"Add a section to {PAGE}."


def test_problems_page_has_no_section_without_code(documented: dict[str, object]) -> None:
    assert sorted(set(documented) - set(every_code())) == []


def test_problems_page_states_status_and_refusals(
    documented: dict[str, tuple[int, bool]],
) -> None:
    every_code()
    for refusal in below(Refusal):
        expected = next(
            (status for base, status in STATUS_OF_REFUSALS.items() if issubclass(refusal, base)),
            400,
        )
        assert documented[refusal.code] == (expected, True), refusal.code
    for error in below(APIException):
        if error.default_code != "error":
            assert documented[error.default_code][0] == error.status_code, error.default_code
    for status, (code, _) in DJANGO_ERRORS.items():
        assert documented[code][0] == status


def test_problems_page_lists_each_remedy() -> None:
    section = PAGE.read_text().partition("\n## Remedies\n")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == sorted(_remedies())


def _remedies() -> set[str]:
    """Return the first argument of each ``Remedy(…)`` in the code."""
    found = set()
    for package in PACKAGES:
        for path in (Path(settings.BASE_DIR) / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Remedy":
                    found.add(ast.literal_eval(node.args[0]))
    return found
