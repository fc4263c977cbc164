"""An import of workflows ends early: nothing is changed, and the next run changes all of it."""

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
from tests.executions.commands.interruptions import SIGNALS, run_until, violations
from tests.workflows.files import data_of, exported, titled
from workflows.files import text_formats
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)

COPIES = 6


def many(data: dict[str, Any]) -> str:
    """A file in which Workflow 4 is changed, and calls a long chain of new workflows."""
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
    return text_formats.written(data, text_formats.YAML)


@SIGNALS
def test_workflow_import_changes_nothing_when_its_process_ends_early(
    scenario: Scenario, tmp_path: Path, number: int
) -> None:
    scenario.start()
    file = tmp_path / "workflows.yaml"
    file.write_text(many(data_of(exported())), encoding="utf-8")
    command = ("import_workflows", str(file), "--apply")

    # All workflows are written by then, and the graphs of half of them.
    code, err = run_until(
        number, COPIES // 2, 'INSERT INTO "workflows_reference"', *command, directory=tmp_path
    )

    if number == signal.SIGINT:
        assert code == 1 and "Interrupted. All of it is imported, or nothing" in err
    else:
        assert code == -signal.SIGKILL
    changed = Workflow.objects.filter(description="Changed")
    assert violations() == set()
    assert Workflow.objects.count() == 2
    assert changed.count() == 0
    assert "Imported." in run(*command)
    assert violations() == set()
    assert Workflow.objects.count() == 2 + COPIES
    assert changed.count() == 2
    assert "All of it is in place: unchanged." in run(*command)


def test_command_prints_its_result_on_stdout_and_exits_with_a_code(
    scenario: Scenario, tmp_path: Path
) -> None:
    code, out, err = main("export_workflows", "--json")
    assert code == 0 and out.startswith("{") and err == ""
    file = tmp_path / "all.json"
    file.write_text(out)
    code, out, err = main("import_workflows", str(file), "--json")
    assert (code, err) == (0, "") and out.startswith("{")
    assert main("import_workflows")[0] == 2
    assert main("export_workflows", "--format", "xml")[0] == 2


def test_command_exits_with_1_and_a_sentence_on_stderr_when_a_file_is_missing(
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
