"""Every command has help with examples, a test and documentation."""

from __future__ import annotations

import pkgutil
import re
import shlex
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import load_command_class

from executions.management.commands import check_integrity
from tests.commands import main
from tests.settings.environments import manage
from workflows.management.command import ExampleCommand

TESTS = Path(__file__).parent
ROOT = TESTS.parent


def list_commands() -> list[tuple[str, str]]:
    """Return the app and the name of each command of the project's apps."""
    return [
        (app.name, module.name)
        for app in apps.get_app_configs()
        if Path(app.path).parent == ROOT
        for module in pkgutil.iter_modules([str(Path(app.path) / "management" / "commands")])
    ]


def test_commands_are_found() -> None:
    assert ("executions", "check_integrity") in list_commands()


@pytest.mark.parametrize(("label", "name"), list_commands())
def test_command_help_has_examples(label: str, name: str) -> None:
    command = load_command_class(label, name)
    assert isinstance(command, ExampleCommand)
    assert f"manage.py {name}" in command.examples
    output = StringIO()
    command.create_parser("manage.py", name).print_help(output)
    assert command.help and output.getvalue().rstrip().endswith(command.examples.rstrip())


def find_examples(text: str, name: str) -> list[list[str]]:
    """Return the arguments of each line of a text that runs the command."""
    lines = re.findall(rf"^ *manage\.py {name}\b(.*)", text, re.MULTILINE)
    # A pipe, a redirection, or two spaces before an explanation end the arguments.
    return [shlex.split(re.split(r"\s[|>]|\s{2,}", line)[0]) for line in lines]


@pytest.mark.parametrize(("label", "name"), list_commands())
def test_command_accepts_its_examples(label: str, name: str) -> None:
    command = load_command_class(label, name)
    assert isinstance(command, ExampleCommand)
    parser = command.create_parser("manage.py", name)
    examples = find_examples(command.examples, name)
    assert examples
    for arguments in examples:
        parser.parse_args(arguments)


@pytest.mark.parametrize(("label", "name"), list_commands())
def test_every_argument_and_option_of_a_command_has_help(label: str, name: str) -> None:
    parser = load_command_class(label, name).create_parser("manage.py", name)
    assert [action.dest for action in parser._actions if not action.help] == []


@pytest.mark.parametrize(("label", "name"), list_commands())
def test_command_has_a_test(label: str, name: str) -> None:
    texts = (
        path.read_text() for path in TESTS.rglob("test_*.py") if path.name != Path(__file__).name
    )
    assert any(f'"{name}"' in text or f"test_{name}" in text for text in texts)


@pytest.mark.parametrize(("label", "name"), list_commands())
def test_command_is_documented(label: str, name: str) -> None:
    assert f"## {name}" in (ROOT / "docs" / "reference" / "commands.md").read_text()


def test_interrupted_command_exits_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check_integrity.Command, "handle", interrupt)
    code, out, err = main("check_integrity")
    assert (code, out) == (1, "")
    assert "Interrupted." in err and "Traceback" not in err


@pytest.mark.parametrize("name", ["clearsessions", "showmigrations", "check_integrity"])
def test_command_exits_with_3_and_a_sentence_when_the_database_is_down(name: str) -> None:
    url = "postgres://holdfast:@127.0.0.1:1/holdfast"
    done = manage(name, DEBUG="1", DATABASE_URL=url)
    assert done.returncode == 3
    assert done.stderr.startswith("CommandError: The database cannot be reached. Try again.")
    assert done.stdout == "" and "Traceback" not in done.stderr


def test_command_exits_with_3_and_a_sentence_when_the_database_is_not_migrated(
    tmp_path: Path,
) -> None:
    file = tmp_path / "empty.sqlite3"
    file.touch()
    done = manage("clearsessions", DEBUG="1", DATABASE_URL=f"sqlite:///{file}")
    assert done.returncode == 3
    assert "The database is not migrated. Run: manage.py migrate" in done.stderr
    assert "Traceback" not in done.stderr
