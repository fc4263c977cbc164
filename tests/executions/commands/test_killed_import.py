"""An import that is struck in the middle has brought in nothing, and the next one all of it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from django.db import connection

from tests.executions.commands.test_killed_commands import SIGNALS, Shell
from tests.executions.legacy import copies, sample

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.slow,
]

COPIES = 40
AT_WORK = "SELECT count(*) FROM pg_locks WHERE relation = 'executions_pin'::regclass AND mode = %s"


def is_writing() -> bool:
    """Whether somebody has written pins and not committed."""
    with connection.cursor() as cursor:
        cursor.execute(AT_WORK, ["RowExclusiveLock"])
        return bool(cursor.fetchone()[0])


def strike(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    """Strike the import while it writes; how it ended."""
    end = time.monotonic() + 60
    while not is_writing():
        assert process.poll() is None and time.monotonic() < end, "it never came so far"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


@SIGNALS
def test_an_import_that_is_struck_has_brought_in_nothing(tmp_path: Path, number: int) -> None:
    shell = Shell(tmp_path)
    file = tmp_path / "old.json"
    file.write_text(json.dumps(copies(sample(), COPIES)))
    process = shell.popen("import_legacy", str(file))
    code, err = strike(process, number)
    if number == signal.SIGINT:
        assert code == 1 and "Nothing is brought in" in err
    else:
        assert code == -signal.SIGKILL
    tables = ("workflows_workflow", "workflows_findingtype", "executions_execution")
    for table in tables:
        assert shell.number(f"SELECT count(*) FROM {table}") == 0
    assert shell.violations() == set()
    code, out, err = shell.run("import_legacy", str(file))
    assert code == 0, out + err
    assert shell.violations() == set()
    assert shell.number("SELECT count(*) FROM executions_execution") == 13 * COPIES
    code, out, err = shell.run("import_legacy", str(file))
    assert code == 0 and "Nothing is done." in out
