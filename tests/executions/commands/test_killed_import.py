"""Interrupted legacy imports: nothing is imported, and the next run imports everything."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from executions.models import Execution
from tests.commands import run
from tests.executions.commands.interruptions import SIGNALS, current_violations, run_until
from tests.executions.legacy import copies, sample
from workflows.models import FindingType, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

COPIES = 2


@SIGNALS
def test_legacy_import_writes_nothing_when_process_ends(tmp_path: Path, number: int) -> None:
    file = tmp_path / "old.json"
    file.write_text(json.dumps(copies(sample(), COPIES)))

    # Types, workflows, entities and executions are written then.
    code, err = run_until(
        number, 1, 'INSERT INTO "executions_step"', "import_legacy", str(file), directory=tmp_path
    )

    if number == signal.SIGINT:
        assert code == 1 and "Nothing was imported" in err
    else:
        assert code == -signal.SIGKILL
    for model in (Workflow, FindingType, Execution):
        assert not model._base_manager.exists()
    assert current_violations() == set()
    run("import_legacy", str(file))
    assert current_violations() == set()
    assert Execution.objects.count() == 13 * COPIES
    assert "Nothing was changed." in run("import_legacy", str(file))
