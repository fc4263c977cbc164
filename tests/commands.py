"""Management commands, as a person at a shell runs them."""

from __future__ import annotations

from io import StringIO
from typing import Any

from django.core.management import call_command


def run(name: str, *arguments: str, **options: Any) -> str:
    """What the command prints. Raises CommandError when it fails."""
    out = StringIO()
    call_command(name, *arguments, stdout=out, **options)
    return out.getvalue()
