"""Clients at a server whose processes are killed: nothing is lost, nothing is done twice.

    python -m benchmarks.load
    python -m benchmarks.load --seconds 20 --clients 4 --json

gunicorn on PostgreSQL. Each client starts executions and submits them, each request with an
Idempotency-Key of its own; one that has no answer is sent again with the same key until it has,
and one in ten is sent again although it has. Meanwhile a worker is killed with -9 every half a
second, and the whole server every fifteen.

Exit 1 where something was answered with a fault (5xx), a key was answered with two executions, an
execution that was answered is not there or not completed, or one is there that nobody has started.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from benchmarks import databases
from benchmarks.processes import ROOT, until

SETTINGS = "max_connections = 200"


class Server:
    """gunicorn with its workers, to be killed and started again."""

    def __init__(self, workers: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.workers = workers
        self.killed: Counter[str] = Counter()

    def start(self) -> None:
        command = [sys.executable, "-m", "gunicorn", "workflows_project.wsgi", "--preload"]
        command += ["--workers", str(self.workers), "--bind", f"127.0.0.1:{self.port}"]
        self.master = subprocess.Popen(
            command, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL
        )

    def answers(self) -> bool:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/api/v1/node-types/")
            return connection.getresponse().status == 401
        return False

    def kill_a_worker(self) -> None:
        listed = subprocess.run(
            ["pgrep", "-P", str(self.master.pid)], capture_output=True, text=True
        )
        if children := listed.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(random.choice(children)), signal.SIGKILL)
                self.killed["workers"] += 1

    def kill(self) -> None:
        """The master and all its workers, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.master.pid, signal.SIGKILL)
        self.master.wait()
        self.killed["servers"] += 1


@dataclass
class Told:
    """What the clients were answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0
    repeated: int = 0
    started: dict[str, set[str]] = field(default_factory=dict)
    completed: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Client(threading.Thread):
    """Starts and submits until the time is over, and finishes what it has begun."""

    def __init__(self, port: int, token: str, body: dict[str, str], end: float) -> None:
        super().__init__()
        self.port, self.body, self.end = port, body, end
        self.headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        self.told = Told()

    def run(self) -> None:
        while time.monotonic() < self.end:
            key = str(uuid.uuid4())
            cuid = self._start(key)
            if random.random() < 0.1:
                self.told.repeated += 1
                self._start(key)
            if cuid:
                path = f"executions/{cuid}/submit/"
                answer = self._sent(path, {"node": "form", "data": {"n": 1}}, f"{key}-submit")
                if answer.get("status") == "completed":
                    self.told.completed.add(cuid)

    def _start(self, key: str) -> str:
        cuid = str(self._sent("executions/", self.body, key).get("cuid", ""))
        self.told.started.setdefault(key, set()).add(cuid)
        return cuid

    def _sent(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        """The answer, however often it has to be asked for."""
        before = time.monotonic()
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                headers = {**self.headers, "Idempotency-Key": key}
                connection.request("POST", f"/api/v1/{path}", json.dumps(body), headers)
                response = connection.getresponse()
                text = response.read()
                connection.close()
            except (OSError, http.client.HTTPException):
                self.told.unanswered += 1
                time.sleep(0.05)
                continue
            self.told.statuses[response.status] += 1
            if response.status == 409 and response.headers.get("Retry-After"):
                time.sleep(0.2)
                continue
            if response.status >= 400:
                self.told.faults.append(text.decode(errors="replace")[:300])
            self.told.seconds.append(time.monotonic() - before)
            answer: dict[str, Any] = json.loads(text) if response.status < 500 else {}
            return answer


def prepared() -> tuple[str, dict[str, str]]:
    """A token, and what is to be started on what."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from knox.models import AuthToken

    from benchmarks.population import source
    from executions.models import Finding
    from workflows.editing import save_graph
    from workflows.models import FindingType, Workflow

    call_command("migrate", verbosity=0)
    kind = FindingType.objects.create(name="Load")
    workflow = Workflow.objects.create(title="Load", entity_name_type=kind, state="active")
    save_graph(workflow, source([]), based_on=1)
    finding = Finding.objects.create(title="Load", entity_name_type=kind)
    user = get_user_model().objects.create_superuser("load")
    return AuthToken.objects.create(user=user)[1], {
        "workflow": workflow.cuid,
        "entity": finding.cuid,
    }


def wrong(told: Told) -> list[str]:
    """What breaks the claim."""
    from executions import integrity
    from executions.models import Execution

    there = dict(Execution.objects.values_list("cuid", "status"))
    answered = {cuid for cuids in told.started.values() for cuid in cuids}
    faults = sum(number for status, number in told.statuses.items() if status >= 500)
    checks = {
        f"{faults} answers were faults": faults,
        "refused: " + "; ".join(told.faults[:3]): told.faults and not faults,
        "a key was answered with two executions": any(len(c) > 1 for c in told.started.values()),
        "an execution that was answered is not there": answered - set(there),
        "an execution is there that nobody has started": set(there) - answered,
        "an execution is not completed that was answered so": [
            cuid for cuid in told.completed if there.get(cuid) != "completed"
        ],
        "some were not completed": len(told.completed) != len(there),
        "a law is broken": integrity.violations(),
    }
    return [sentence for sentence, holds in checks.items() if holds]


def main() -> int:
    """Serve, ask, kill, look; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with databases.served("postgresql", SETTINGS) as postgresql:
        postgresql.create("load")
        databases.django(postgresql.url("load"))
        token, body = prepared()
        server = Server(options.workers)
        server.start()
        try:
            until(server.answers, "the server")
            end = time.monotonic() + options.seconds
            clients = [Client(server.port, token, body, end) for _ in range(options.clients)]
            for client in clients:
                client.start()
            _kill_until(end, server)
            for client in clients:
                client.join()
        finally:
            server.kill()
        told = Told()
        for client in clients:
            told.statuses += client.told.statuses
            told.unanswered += client.told.unanswered
            told.repeated += client.told.repeated
            told.started |= client.told.started
            told.completed |= client.told.completed
            told.seconds += client.told.seconds
            told.faults += client.told.faults
        found = wrong(told)
    shown = {
        "executions": len(told.started),
        "requests answered": sum(told.statuses.values()),
        "by status": dict(sorted(told.statuses.items())),
        "sent again without an answer": told.unanswered,
        "sent again although answered": told.repeated,
        "killed": dict(server.killed),
        "p50 ms": round(1000 * statistics.median(told.seconds)),
        "wrong": found,
    }
    print(
        json.dumps(shown, indent=2)
        if options.json
        else "\n".join(f"{name}: {value}" for name, value in shown.items())
    )
    return 1 if found else 0


def _kill_until(end: float, server: Server) -> None:
    at = time.monotonic() + 15
    while time.monotonic() < end:
        time.sleep(0.5)
        if time.monotonic() > at:
            server.kill()
            server.start()
            at += 15
        else:
            server.kill_a_worker()


if __name__ == "__main__":
    sys.exit(main())
