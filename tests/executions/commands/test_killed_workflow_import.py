"""Interrupted imports of workflows: nothing is changed, and the next run changes everything."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.commands import main, run
from tests.conftest import Scenario
from tests.executions.commands.interruptions import SIGNALS, current_violations, run_until
from tests.workflows.files import data_of, exported, titled
from workflows.files import text_formats
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

COPIES = 6


def change_file(data: dict[str, Any]) -> str:
    """Return a file that changes Workflow 4, and adds a chain of workflows that it calls."""
    callee = data["workflows"][0]
    caller = titled(data, "Workflow 4")
    titles = ["Workflow 3", *(f"Number {number}" for number in range(COPIES))]
    for before, title in itertools.pairwise(titles):
        nodes = [
            {**node, "data": {"workflow": {"title": before}}}
            if node["type"] == "run_workflow"
            else node
            for node in caller["nodes"]
        ]
        cuid = f"c{title.removeprefix('Number ')}"
        data["workflows"].append({**caller, "title": title, "cuid": cuid, "nodes": nodes})
    callee["description"] = caller["description"] = "Changed"
    return text_formats.dump(data, text_formats.YAML)


@SIGNALS
def test_workflow_import_changes_nothing_when_process_ends(
    scenario: Scenario, tmp_path: Path, number: int
) -> None:
    scenario.start()
    file = tmp_path / "workflows.yaml"
    file.write_text(change_file(data_of(exported())), encoding="utf-8")
    command = ("import_workflows", str(file), "--apply")

    # All workflows and half of the graphs are written then.
    code, err = run_until(
        number, COPIES // 2, 'INSERT INTO "workflows_reference"', *command, directory=tmp_path
    )

    if number == signal.SIGINT:
        assert code == 1 and "Interrupted. All changes were made, or none" in err
    else:
        assert code == -signal.SIGKILL
    changed = Workflow.objects.filter(description="Changed")
    assert current_violations() == set()
    assert Workflow.objects.count() == 2
    assert changed.count() == 0
    assert "Imported." in run(*command)
    assert current_violations() == set()
    assert Workflow.objects.count() == 2 + COPIES
    assert changed.count() == 2
    assert "No differences." in run(*command)


def test_command_prints_result_on_stdout(scenario: Scenario, tmp_path: Path) -> None:
    code, out, err = main("export_workflows", "--json")
    assert code == 0 and out.startswith("{") and err == ""
    file = tmp_path / "all.json"
    file.write_text(out)
    code, out, err = main("import_workflows", str(file), "--json")
    assert (code, err) == (0, "") and out.startswith("{")
    assert main("import_workflows")[0] == 2
    assert main("export_workflows", "--format", "xml")[0] == 2


def test_command_exits_with_1_when_file_is_missing(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "import_workflows", str(tmp_path / "none"), "--json"],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DEBUG": "1", "DATABASE_URL": "sqlite://:memory:"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (1, "") and "cannot be read" in done.stderr
