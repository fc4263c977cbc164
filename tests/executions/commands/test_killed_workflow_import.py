"""An import of workflows that is struck in the middle is not there; the next run does all of it."""

from __future__ import annotations

import itertools
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Scenario
from tests.executions.commands.test_killed_commands import SIGNALS, Shell
from tests.workflows.files import data_of, exported, titled
from workflows.services.files import texts

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.slow,
]

COPIES = 150


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
    return texts.written(data, texts.YAML)


def strike(shell: Shell, process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    """Strike the import when it has written something and not committed it; how it ended."""
    end = time.monotonic() + 60
    begun = shell.number(LAST_ID)
    while shell.number(LAST_ID) < begun + COPIES // 3:
        assert process.poll() is None and time.monotonic() < end, "it never came so far"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


# A sequence tells at once what is committed later.
LAST_ID = "SELECT last_value FROM workflows_workflow_id_seq"


@SIGNALS
def test_an_import_that_is_struck_is_not_there_and_the_next_does_all_of_it(
    scenario: Scenario, tmp_path: Path, number: int
) -> None:
    shell = Shell(tmp_path)
    scenario.start()
    file = tmp_path / "workflows.yaml"
    file.write_text(many(data_of(exported())), encoding="utf-8")
    code, err = strike(shell, shell.popen("import_workflows", str(file), "--apply"), number)
    if number == signal.SIGINT:
        assert code == 1 and "Interrupted. All of it is imported, or nothing" in err
    else:
        assert code == -signal.SIGKILL
    assert shell.violations() == set()
    workflows = "SELECT count(*) FROM workflows_workflow"
    assert shell.number(workflows) == 2, "it was struck too late to prove anything"
    assert shell.number(f"{workflows} WHERE description = 'Changed'") == 0
    code, out, err = shell.run("import_workflows", str(file), "--apply")
    assert code == 0 and "Imported." in out, out + err
    assert shell.violations() == set()
    assert shell.number(workflows) == 2 + COPIES
    assert shell.number(f"{workflows} WHERE description = 'Changed'") == 2
    code, out, err = shell.run("import_workflows", str(file), "--apply")
    assert code == 0 and "All of it is in place: unchanged." in out


def test_results_are_alone_on_stdout_and_a_code_tells_how_it_ended(
    scenario: Scenario, tmp_path: Path
) -> None:
    shell = Shell(tmp_path)
    code, out, err = shell.run("export_workflows", "--json")
    assert code == 0 and out.startswith("{") and err == ""
    file = tmp_path / "all.json"
    file.write_text(out)
    code, out, err = shell.run("import_workflows", str(file), "--json")
    assert (code, err) == (0, "") and out.startswith("{")
    code, out, err = shell.run("import_workflows", str(tmp_path / "none"), "--json")
    assert (code, out) == (1, "") and "cannot be read" in err
    assert shell.run("import_workflows")[0] == 2
    assert shell.run("export_workflows", "--format", "xml")[0] == 2
