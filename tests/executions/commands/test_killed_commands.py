"""Repair and purge, interrupted and killed in the middle: the laws hold no less, and the next
run does the rest.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from executions import integrity
from executions import services as running
from tests.conftest import Scenario
from tests.databases import address_for_processes
from tests.executions.damage import change, unguarded
from tests.factories import WorkflowFactory, drawn, form

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.slow,
]

TREES = 30
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])


class Shell:
    """Commands in processes of their own, on the database of the test."""

    def __init__(self, directory: Path) -> None:
        self.url = address_for_processes(directory)

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments],
            env={**os.environ, "DEBUG": "1", "DATABASE_URL": self.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Whoever runs the tests in the background has it ignored, and so would the command.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.popen(*arguments)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def violations(self) -> set[tuple[str, str, str]]:
        """What check_integrity finds."""
        return {(row.law, row.cuid, row.detail) for row in integrity.violations()}

    def number(self, sql: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return int(cursor.fetchone()[0])

    def struck(
        self, process: subprocess.Popen[str], sql: str, holds: Callable[[int], bool], number: int
    ) -> tuple[int, str]:
        """Let the process be struck as soon as what is counted says so; how it ended."""
        end = time.monotonic() + 60
        while not holds(self.number(sql)) and process.poll() is None:
            assert time.monotonic() < end, "it never came so far"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        return process.returncode, err


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@SIGNALS
def test_a_repair_that_is_struck_leaves_less_to_be_mended(
    scenario: Scenario, shell: Shell, number: int
) -> None:
    roots = [scenario.start() for _ in range(TREES)]
    idle = WorkflowFactory(entity_name_type=scenario.limitation)
    drawn(idle, form())
    with unguarded():
        for root in roots:
            root.pins.all()._raw_delete("default")
        change(idle, entity_name_type=scenario.exception)
    before = shell.violations()
    assert len(before) >= TREES
    pins = "SELECT count(*) FROM executions_pin"
    process = shell.popen("repair_executions")
    code, err = shell.struck(process, pins, lambda count: count >= 3, number)
    between = shell.violations()
    assert between < before
    assert shell.number(pins) < TREES, "it was struck too late to prove anything"
    if number == signal.SIGINT:
        assert code == 1 and "run it again" in err
    code, out, err = shell.run("repair_executions")
    assert code == 0, out + err
    assert shell.violations() == set()
    assert shell.number(pins) == TREES


@SIGNALS
def test_a_purge_that_is_struck_leaves_whole_trees(
    scenario: Scenario, shell: Shell, number: int
) -> None:
    for _ in range(TREES):
        running.submit(scenario.start(), node="form", data={"note": "n"})
    live = scenario.start()
    purge = ("purge_executions", "--older-than", "0h", "--batch", "1")
    executions = "SELECT count(*) FROM executions_execution"
    code, err = shell.struck(
        shell.popen(*purge), executions, lambda count: count <= 2 * TREES - 5, number
    )
    assert shell.violations() == set()
    assert shell.number(executions) > 1, "it was struck too late to prove anything"
    if number == signal.SIGINT:
        assert code == 1 and "run it again" in err
    code, out, err = shell.run(*purge)
    assert code == 0, out + err
    assert shell.violations() == set()
    assert shell.number(executions) == 1
    assert (
        shell.number(f"SELECT count(*) FROM executions_step WHERE execution_id <> {live.pk}") == 0
    )
