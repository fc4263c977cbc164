"""``manage.py run_due`` and ``work``: what nobody came back to is served."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError

from executions.management.commands import work
from executions.models import Status
from executions.worker import rounds
from tests.commands import run
from tests.conftest import Scenario
from tests.databases import address_for_processes
from tests.executions.engine.server import Reply, serving
from tests.executions.engine.test_branches import started
from tests.executions.engine.test_http_request import calling
from tests.factories import WorkflowFactory, call, drawn, end_unseen
from workflows.models import PendingChange, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("laws")]


@pytest.fixture
def drained(scenario: Scenario) -> PendingChange:
    """A change on hold whose last blocker ended where nobody could tell."""
    execution = scenario.start()
    pending = scenario.hold().pending
    assert pending is not None
    end_unseen(execution)
    return pending


def types() -> set[str]:
    return set(Workflow.objects.values_list("entity_name_type__name", flat=True))


@pytest.mark.parametrize("name", ["run_due", "work"])
def test_a_drained_change_is_made(drained: PendingChange, name: str) -> None:
    out = run(name, **({"once": True} if name == "work" else {}))
    assert f"Made: “Workflow 3”, “Workflow 4” to Policy Exception ({drained.cuid})." in out
    assert types() == {"Policy Exception"}


def test_nothing_is_due_twice(drained: PendingChange) -> None:
    assert json.loads(run("run_due", json=True))["pending_changes"][0]["state"] == "applied"
    assert run("run_due") == "Nothing is due.\n"


def test_a_dry_run_serves_nothing(drained: PendingChange) -> None:
    assert "Due: “Workflow 3”" in run("run_due", dry_run=True)
    told = json.loads(run("run_due", dry_run=True, json=True))
    assert told["pending_changes"][0]["state"] == "waiting"
    assert types() == {"Model Limitation"}


def test_what_cannot_be_made_is_told(scenario: Scenario, drained: PendingChange) -> None:
    other = WorkflowFactory(entity_name_type=scenario.limitation)
    drawn(scenario.callee, call(other))
    assert "Could not be made: " in run("run_due")


def test_work_outlives_a_database_that_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []
    command = work.Command(stdout=StringIO())

    def serve(**how: Any) -> rounds.Served:
        calls.append(len(calls))
        if len(calls) == 3:
            command.stopped.set()
        if len(calls) == 1:
            raise OperationalError("the server is away")
        return rounds.Served([])

    monkeypatch.setattr(work, "run_due", serve)
    call_command(command, interval=0.001)
    assert len(calls) == 3
    assert "This round failed. The next one follows." in caplog.text


def test_once_tells_of_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(**how: Any) -> rounds.Served:
        raise OperationalError("the server is away")

    monkeypatch.setattr(work, "run_due", serve)
    with pytest.raises(OperationalError):
        run("work", once=True)


@pytest.mark.parametrize("interval", ["0", "-1", "often", "nan", "4000"])
def test_an_interval_that_is_none(interval: str) -> None:
    with pytest.raises(CommandError):
        call_command("work", "--interval", interval)


def test_threads_make_slow_calls_at_once(settings: Any, vendor: str) -> None:
    with serving() as server:
        settings.HTTP_REQUEST_HOSTS = [server.host]
        settings.HTTP_REQUEST_ALLOW_HTTP = settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
        server.replies = [Reply(200, b"x" * 20, pace=0.1)]
        executions = [started(calling(server.url())) for _ in range(3)]
        if vendor == "sqlite":
            with pytest.raises(CommandError, match="SQLite has one writer"):
                run("work", once=True, threads=3)
            return
        begun = time.monotonic()
        out = run("work", once=True, threads=3)
    assert time.monotonic() - begun < 5, "one after the other takes six"
    assert out == "Served: 3 jobs.\n"
    for execution in executions:
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED


@pytest.mark.parametrize("threads", ["0", "-1", "many", "65"])
def test_a_number_of_threads_that_is_none(threads: str) -> None:
    with pytest.raises(CommandError):
        call_command("work", "--threads", threads)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_work_ends_when_it_is_told_to(number: signal.Signals, tmp_path: Any) -> None:
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
        assert process.stdout.readline() == "Serving; SIGTERM or Ctrl-C ends.\n"
        process.send_signal(number)
        out, err = process.communicate()
    finally:
        timer.cancel()
    assert (process.returncode, out, err) == (0, "Ended.\n", "")
