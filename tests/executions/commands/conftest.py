"""Fixtures of the tests of commands."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.executions.legacy import ImportData


@pytest.fixture
def import_data(tmp_path: Path) -> ImportData:
    """Import data or text as a file. Return the JSON output, with the error as ``error``."""

    def import_file(data: Any, *arguments: str) -> dict[str, Any]:
        file = tmp_path / "old.json"
        file.write_text(data if isinstance(data, str) else json.dumps(data))
        out = StringIO()
        error = ""
        try:
            call_command("import_legacy", str(file), *arguments, "--json", stdout=out)
        except CommandError as refused:
            error = str(refused)
        return {**json.loads(out.getvalue() or "{}"), "error": error}

    return import_file
