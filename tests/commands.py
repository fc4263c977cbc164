"""Run management commands as from a shell."""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

from django.core.management import call_command, get_commands, load_command_class


def run(name: str, *arguments: str, **options: Any) -> str:
    """Return the output of a command. Raises ``CommandError`` if it fails."""
    out = StringIO()
    call_command(name, *arguments, stdout=out, **options)
    return out.getvalue()


def main(name: str, *arguments: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of a command line."""
    out, err, code = StringIO(), StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        command = load_command_class(get_commands()[name], name)
        try:
            command.run_from_argv(["manage.py", name, *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
    return code, out.getvalue(), err.getvalue()
