"""``manage.py run_due`` and ``work``: due background work is done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError

from executions.management.commands import work
from executions.worker import rounds, service
from tests.commands import run
from tests.conftest import Scenario
from tests.databases import address_for_processes
from tests.factories import WorkflowFactory, call, end_unseen, save_line
from workflows.models import PendingChange, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


@pytest.fixture
def drained(scenario: Scenario) -> PendingChange:
    """A pending change whose last blocker ended without a signal."""
    execution = scenario.start()
    pending = scenario.hold().pending
    assert pending is not None
    end_unseen(execution)
    return pending


def types() -> set[str]:
    return set(Workflow.objects.values_list("entity_name_type__name", flat=True))


@pytest.mark.parametrize("name", ["run_due", "work"])
def test_drained_change_is_applied(drained: PendingChange, name: str) -> None:
    out = run(name, **({"once": True} if name == "work" else {}))
    assert f"Applied: “Workflow 3”, “Workflow 4” to Policy Exception ({drained.cuid})." in out
    assert types() == {"Policy Exception"}


def test_second_run_finds_nothing_due(drained: PendingChange) -> None:
    assert json.loads(run("run_due", json=True))["pending_changes"][0]["state"] == "applied"
    assert run("run_due") == "Nothing is due.\n"


def test_dry_run_lists_due_work_and_changes_nothing(drained: PendingChange) -> None:
    assert "Due: “Workflow 3”" in run("run_due", dry_run=True)
    data = json.loads(run("run_due", dry_run=True, json=True))
    assert data["pending_changes"][0]["state"] == "waiting"
    assert types() == {"Model Limitation"}


def test_failed_change_is_reported(scenario: Scenario, drained: PendingChange) -> None:
    other = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(scenario.callee, call(other))
    assert "Not applied: " in run("run_due")


def test_work_continues_after_database_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []
    stopped = threading.Event()

    def serve(stop: Any) -> rounds.Served:
        calls.append(len(calls))
        if len(calls) == 3:
            stopped.set()
        if len(calls) == 1:
            raise OperationalError("the server is away")
        return rounds.Served([])

    monkeypatch.setattr(service, "run_periodic", serve)
    monkeypatch.setattr(service, "count_threads", lambda _: {})
    monkeypatch.setattr(service.Worker, "_run_heartbeat", lambda _: None)
    service.Worker(1, 0.001, None, lambda _: None, stopped).run()
    assert len(calls) == 3
    assert "Background work failed. It is tried again." in caplog.text


def test_work_once_fails_when_database_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(**how: Any) -> rounds.Served:
        raise OperationalError("the server is away")

    monkeypatch.setattr(work, "run_due", serve)
    with pytest.raises(OperationalError):
        run("work", once=True)


@pytest.mark.parametrize("interval", ["0", "-1", "often", "nan", "4000"])
def test_work_rejects_invalid_interval(interval: str) -> None:
    with pytest.raises(CommandError):
        call_command("work", "--interval", interval)


@pytest.mark.sqlite
def test_threads_are_refused_on_sqlite(vendor: str) -> None:
    with pytest.raises(CommandError, match="SQLite allows only one writer"):
        run("work", threads=3)


@pytest.mark.parametrize("threads", ["0", "-1", "many", "65"])
def test_work_rejects_invalid_number_of_threads(threads: str) -> None:
    with pytest.raises(CommandError):
        call_command("work", "--threads", threads)


@pytest.mark.sqlite
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_work_stops_on_signal(number: signal.Signals, tmp_path: Any) -> None:
    environment = {
        **os.environ,
        "DEBUG": "1",
        "DATABASE_URL": address_for_processes(tmp_path),
        "PYTHONUNBUFFERED": "1",
    }
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    process = subprocess.Popen(
        [*manage, "work", "--interval", "0.05"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    timer = threading.Timer(60, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "Worker started. Stop it with SIGTERM or Ctrl-C.\n"
        process.send_signal(number)
        out, err = process.communicate()
    finally:
        timer.cancel()
    assert (process.returncode, out, err) == (0, "Worker stopped.\n", "")
