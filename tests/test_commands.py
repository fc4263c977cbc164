"""Every command of the house: help that ends with examples, and tests of its own."""

from __future__ import annotations

import pkgutil
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import load_command_class

from executions.management.commands import check_integrity
from tests.commands import main
from workflows.management.command import ExampleCommand

TESTS = Path(__file__).parent
ROOT = TESTS.parent


def commands() -> list[tuple[str, str]]:
    """The app and the name of each command of the house's own apps."""
    return [
        (app.name, module.name)
        for app in apps.get_app_configs()
        if Path(app.path).parent == ROOT
        for module in pkgutil.iter_modules([str(Path(app.path) / "management" / "commands")])
    ]


def test_the_house_has_commands() -> None:
    assert ("executions", "check_integrity") in commands()


@pytest.mark.parametrize(("label", "name"), commands())
def test_every_command_tells_examples_and_what_ends_it_with_what(label: str, name: str) -> None:
    command = load_command_class(label, name)
    assert isinstance(command, ExampleCommand)
    assert f"manage.py {name}" in command.examples
    shown = StringIO()
    command.create_parser("manage.py", name).print_help(shown)
    assert command.help and shown.getvalue().rstrip().endswith(command.examples.rstrip())


@pytest.mark.parametrize(("label", "name"), commands())
def test_every_command_has_a_test(label: str, name: str) -> None:
    said = (
        path.read_text() for path in TESTS.rglob("test_*.py") if path.name != Path(__file__).name
    )
    assert any(f'"{name}"' in text or f"test_{name}" in text for text in said)


@pytest.mark.parametrize(("label", "name"), commands())
def test_every_command_is_told_of(label: str, name: str) -> None:
    assert f"## {name}" in (ROOT / "docs" / "reference" / "commands.md").read_text()


def test_command_is_an_error_without_a_traceback_when_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check_integrity.Command, "handle", interrupted)
    code, out, err = main("check_integrity")
    assert (code, out) == (1, "")
    assert "Interrupted." in err and "Traceback" not in err
