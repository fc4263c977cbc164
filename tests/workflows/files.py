"""Helpers to export, edit and import workflow files."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from django.core.management import CommandError, call_command

from tests.commands import run


def exported(*arguments: str, **options: Any) -> str:
    return run("export_workflows", *arguments, **options)


def data_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def changed_lines(before: str, after: str) -> tuple[int, int]:
    """Return the numbers of removed and added lines."""
    diff = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""))[2:]
    return sum(row[0] == "-" for row in diff), sum(row[0] == "+" for row in diff)


class Importing:
    """Imports a file with given content; returns the output, keeps the error."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "workflows.yaml"
        self.error, self.code = "", 0

    def __call__(self, content: Any, *arguments: str) -> str:
        text = content if isinstance(content, str) else json.dumps(content)
        self.path.write_text(text, encoding="utf-8")
        out, self.error, self.code = StringIO(), "", 0
        try:
            call_command("import_workflows", str(self.path), *arguments, stdout=out)
        except CommandError as refused:
            self.error, self.code = str(refused), refused.returncode
        return out.getvalue()

    def as_data(self, content: Any, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self(content, "--json", *arguments))
        return found

    def edited(self, edit: Callable[[dict[str, Any]], Any], *arguments: str) -> str:
        """Export all workflows, edit the data, and import it."""
        data = data_of(exported("--all"))
        edit(data)
        return self(data, *arguments)


def titled(data: dict[str, Any], title: str) -> dict[str, Any]:
    """Return the workflow of this title in the data of a file."""
    found: dict[str, Any] = next(row for row in data["workflows"] if row["title"] == title)
    return found
