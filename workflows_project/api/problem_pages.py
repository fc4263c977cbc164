"""The addresses of problem types: ``/problems/<code>`` leads to the documentation of the code."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

PAGE = "reference/problems"
_SECTION = re.compile(r"^### `(\w+)`\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)


@cache
def _sections() -> dict[str, str]:
    """Return the sections of the page of problem codes by code; none if it is not installed."""
    path = Path(settings.BASE_DIR) / "docs" / f"{PAGE}.md"
    text = path.read_text() if path.is_file() else ""
    return {code: section.strip() for code, section in _SECTION.findall(text)}


def show_problem(request: HttpRequest, code: str) -> HttpResponse:
    """Redirect to the documentation of a code, or show its section as plain text."""
    if settings.DOCS_URL:
        return HttpResponseRedirect(f"{settings.DOCS_URL.rstrip('/')}/{PAGE}.html#{code}")
    section = _sections().get(code)
    status = 200 if section else 404
    text = section or "The documentation of this version has no problem with this code."
    return HttpResponse(f"{code}\n\n{text}\n", "text/plain; charset=utf-8", status)
