"""Load test that kills web servers: nothing may be lost or done twice.

    python -m benchmarks.load
    python -m benchmarks.load --seconds 20 --clients 4 --json

gunicorn on PostgreSQL. Each client starts executions and submits them. Each request has its own
Idempotency-Key, and is repeated with the same key until there is a response; one in ten is repeated
after its response too. Meanwhile a worker is killed with -9 every half second, and the whole server
every 15 seconds.

Exits with 1 if a response was 5xx, a key returned two executions, a returned execution is missing
or not completed, or an execution exists that no client has started.
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
    """gunicorn with its workers, which can be killed and restarted."""

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

    def is_ready(self) -> bool:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/api/v1/node-types/")
            return connection.getresponse().status == 401
        return False

    def kill_worker(self) -> None:
        listed = subprocess.run(
            ["pgrep", "-P", str(self.master.pid)], capture_output=True, text=True
        )
        if children := listed.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(random.choice(children)), signal.SIGKILL)
                self.killed["workers"] += 1

    def kill(self) -> None:
        """Kill the master and all workers."""
        with suppress(ProcessLookupError):
            os.killpg(self.master.pid, signal.SIGKILL)
        self.master.wait()
        self.killed["servers"] += 1


@dataclass
class Responses:
    """The responses to one or several clients."""

    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0
    repeated: int = 0
    started: dict[str, set[str]] = field(default_factory=dict)
    completed: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Client(threading.Thread):
    """Starts and submits executions until the time is over, and finishes the last one."""

    def __init__(self, port: int, token: str, body: dict[str, str], end: float) -> None:
        super().__init__()
        self.port, self.body, self.end = port, body, end
        self.headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        self.responses = Responses()

    def run(self) -> None:
        while time.monotonic() < self.end:
            key = str(uuid.uuid4())
            cuid = self._start(key)
            if random.random() < 0.1:
                self.responses.repeated += 1
                self._start(key)
            if cuid:
                path = f"executions/{cuid}/submit/"
                answer = self._send(path, {"node": "form", "data": {"n": 1}}, f"{key}-submit")
                if answer.get("status") == "completed":
                    self.responses.completed.add(cuid)

    def _start(self, key: str) -> str:
        cuid = str(self._send("executions/", self.body, key).get("cuid", ""))
        self.responses.started.setdefault(key, set()).add(cuid)
        return cuid

    def _send(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        """Send a request until there is a response. Return its body."""
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
                self.responses.unanswered += 1
                time.sleep(0.05)
                continue
            self.responses.statuses[response.status] += 1
            if response.status == 409 and response.headers.get("Retry-After"):
                time.sleep(0.2)
                continue
            if response.status >= 400:
                self.responses.faults.append(text.decode(errors="replace")[:300])
            self.responses.seconds.append(time.monotonic() - before)
            answer: dict[str, Any] = json.loads(text) if response.status < 500 else {}
            return answer


def prepare() -> tuple[str, dict[str, str]]:
    """Create a token, a workflow and a finding. Return the token and the body of a start."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from knox.models import AuthToken

    from benchmarks.population import source
    from executions.models import Finding
    from workflows.editing import save_graph
    from workflows.models import FindingType, Workflow

    call_command("migrate", verbosity=0)
    finding_type = FindingType.objects.create(name="Load")
    workflow = Workflow.objects.create(title="Load", entity_name_type=finding_type, state="active")
    save_graph(workflow, source([]), based_on=1)
    finding = Finding.objects.create(title="Load", entity_name_type=finding_type)
    user = get_user_model().objects.create_superuser("load")
    return AuthToken.objects.create(user=user)[1], {
        "workflow": workflow.cuid,
        "entity": finding.cuid,
    }


def find_failures(responses: Responses) -> list[str]:
    """Return the violations of the claim."""
    from executions import integrity
    from executions.models import Execution

    stored = dict(Execution.objects.values_list("cuid", "status"))
    returned = {cuid for cuids in responses.started.values() for cuid in cuids}
    faults = sum(number for status, number in responses.statuses.items() if status >= 500)
    checks = {
        f"{faults} responses were errors (5xx)": faults,
        "refused: " + "; ".join(responses.faults[:3]): responses.faults and not faults,
        "a key returned two executions": any(len(c) > 1 for c in responses.started.values()),
        "a returned execution is missing": returned - set(stored),
        "an execution was not started by a client": set(stored) - returned,
        "an execution was returned as completed, but is not": [
            cuid for cuid in responses.completed if stored.get(cuid) != "completed"
        ],
        "an execution was not completed": len(responses.completed) != len(stored),
        "an invariant is violated": integrity.find_violations(),
    }
    return [sentence for sentence, failed in checks.items() if failed]


def main() -> int:
    """Run and print. Return 1 if the claim fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with databases.served("postgresql", SETTINGS) as postgresql:
        postgresql.create("load")
        databases.django(postgresql.url("load"))
        token, body = prepare()
        server = Server(options.workers)
        server.start()
        try:
            until(server.is_ready, "the server")
            end = time.monotonic() + options.seconds
            clients = [Client(server.port, token, body, end) for _ in range(options.clients)]
            for client in clients:
                client.start()
            _kill_until(end, server)
            for client in clients:
                client.join()
        finally:
            server.kill()
        responses = Responses()
        for client in clients:
            responses.statuses += client.responses.statuses
            responses.unanswered += client.responses.unanswered
            responses.repeated += client.responses.repeated
            responses.started |= client.responses.started
            responses.completed |= client.responses.completed
            responses.seconds += client.responses.seconds
            responses.faults += client.responses.faults
        failures = find_failures(responses)
    result = {
        "executions": len(responses.started),
        "responses": sum(responses.statuses.values()),
        "by status": dict(sorted(responses.statuses.items())),
        "repeated without a response": responses.unanswered,
        "repeated after a response": responses.repeated,
        "killed": dict(server.killed),
        "p50 ms": round(1000 * statistics.median(responses.seconds)),
        "failures": failures,
    }
    print(
        json.dumps(result, indent=2)
        if options.json
        else "\n".join(f"{name}: {value}" for name, value in result.items())
    )
    return 1 if failures else 0


def _kill_until(end: float, server: Server) -> None:
    at = time.monotonic() + 15
    while time.monotonic() < end:
        time.sleep(0.5)
        if time.monotonic() > at:
            server.kill()
            server.start()
            at += 15
        else:
            server.kill_worker()


if __name__ == "__main__":
    sys.exit(main())
