"""Fixture that reads the settings under chosen environment variables."""

from __future__ import annotations

import runpy

import pytest

from tests.settings.environments import ROOT, VARIABLES, Reader, Settings
from workflows_project import environment
from workflows_project.checks import check_environment


@pytest.fixture
def settings_from(monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Return a function that reads the settings under these variables and no others."""

    def read(**values: str) -> Settings:
        problems: list[str] = []
        with monkeypatch.context() as patch:
            for name in VARIABLES:
                patch.delenv(name, raising=False)
            for name, value in values.items():
                patch.setenv(name, value)
            patch.setattr(environment, "problems", problems)
            found = runpy.run_path(str(ROOT / "workflows_project" / "settings.py"))
            errors = check_environment(None)
        assert all(error.id == "workflows_project.E001" for error in errors)
        return Settings(found, [str(error.msg) for error in errors])

    return read
