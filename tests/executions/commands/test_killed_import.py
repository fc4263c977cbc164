"""An import of an older system ends early: nothing is imported, and the next run imports it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from executions.models import Execution
from tests.commands import run
from tests.executions.commands.interruptions import SIGNALS, run_until, violations
from tests.executions.legacy import copies, sample
from workflows.models import FindingType, Workflow

pytestmark = pytest.mark.django_db(transaction=True)

COPIES = 2


@SIGNALS
def test_legacy_import_imports_nothing_when_its_process_ends_early(
    tmp_path: Path, number: int
) -> None:
    file = tmp_path / "old.json"
    file.write_text(json.dumps(copies(sample(), COPIES)))

    # Types, workflows, entities and executions are written by then.
    code, err = run_until(
        number, 1, 'INSERT INTO "executions_pin"', "import_legacy", str(file), directory=tmp_path
    )

    if number == signal.SIGINT:
        assert code == 1 and "Nothing is brought in" in err
    else:
        assert code == -signal.SIGKILL
    for model in (Workflow, FindingType, Execution):
        assert not model._base_manager.exists()
    assert violations() == set()
    run("import_legacy", str(file))
    assert violations() == set()
    assert Execution.objects.count() == 13 * COPIES
    assert "Nothing is done." in run("import_legacy", str(file))
