"""Migrate a large database while the release before serves requests.

    python -m benchmarks.upgrade RELEASE
    python -m benchmarks.upgrade RELEASE --executions 20000 --json

RELEASE is a commit or a tag. Its own code, checked out in a temporary directory, creates the schema
and the executions, and serves with gunicorn: clients start executions, submit them, and read lists.
Meanwhile ``manage.py migrate`` of this checkout runs. Then its ``check_integrity`` checks all
invariants.

Exits with 1 if a request failed, one took half a second longer than before the migration, or an
invariant is violated.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import databases
from benchmarks.installation import free_port
from benchmarks.processes import ROOT, until

STALL = 0.5
"""The longest time, in seconds, that a request may take longer than before the migration."""
CALM = 10.0
CLIENTS = 3
PREPARE = """
import json, os, sys
from benchmarks import databases
databases.django(os.environ["DATABASE_URL"])
from django.core.management import call_command
call_command("migrate", verbosity=0)
from benchmarks.population import STARTS, Population, workflow_cuid, workflow_id
families, executions = map(int, sys.argv[1:])
Population(families, executions, 250, 5).fill()
from django.contrib.auth import get_user_model
from knox.models import AuthToken
from executions.models import Entity
from workflows.models import Workflow
workflow = Workflow.objects.get(pk=workflow_id(STARTS, 8))
entity = Entity.objects.filter(entity_name_type=workflow.entity_name_type).first()
user = get_user_model().objects.create_superuser("load")
body = {"workflow": workflow.cuid, "entity": entity.cuid}
print(json.dumps({"token": AuthToken.objects.create(user=user)[1], "body": body}))
"""
"""Run by the code of the release before: create the schema, the rows and an account."""


@contextmanager
def checked_out(release: str) -> Iterator[Path]:
    """Yield a temporary directory with the code of a commit."""
    with tempfile.TemporaryDirectory(prefix="release-") as parent:
        directory = Path(parent) / "code"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "-q", "--detach", str(directory), release], check=True)
        try:
            yield directory
        finally:
            subprocess.run([*git, "remove", "--force", str(directory)], check=True)


@dataclass
class Load:
    """Clients that send requests until they end, and the time of each request."""

    port: int
    token: str
    body: dict[str, str]
    took: list[tuple[float, float, str]] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    ending: threading.Event = field(default_factory=threading.Event)

    def start(self) -> list[threading.Thread]:
        """Start the clients."""
        tasks: list[Callable[[Any], None]] = [self._work] * (CLIENTS - 1)
        threads = [
            threading.Thread(target=self._repeat, args=(task,)) for task in (*tasks, self._read)
        ]
        for thread in threads:
            thread.start()
        return threads

    def slowest(self, since: float, until: float) -> tuple[float, str]:
        """Return the longest time of a request that was open between two moments, and its path."""
        found = [(s, path) for at, s, path in list(self.took) if at + s > since and at < until]
        return max(found, default=(0.0, ""))

    def _repeat(self, task: Callable[[Any], None]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        while not self.ending.is_set():
            task(connection)
            time.sleep(0.02)

    def _work(self, connection: Any) -> None:
        started = self.send(connection, "POST", "executions/", self.body)
        if "cuid" in started:
            data = {"node": "form", "data": {"n": 1}}
            self.send(connection, "POST", f"executions/{started['cuid']}/submit/", data)

    def _read(self, connection: Any) -> None:
        for path in ("executions/", "executions/?live=true", "workflows/", "findings/"):
            self.send(connection, "GET", path)

    def send(self, connection: Any, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Send a request. Return its answer; an empty one if it failed."""
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
        began = time.monotonic()
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1/{path}", content, headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self.failed[f"{method} {path.split('/')[0]}: {type(error).__name__}"] += 1
            return {}
        self.took.append((began, time.monotonic() - began, f"{method} {path}"))
        if response.status >= 400:
            problem = f"{response.status} {text[:120].decode(errors='replace')}"
            self.failed[f"{method} {path.split('/')[0]}: {problem}"] += 1
            return {}
        answer: dict[str, Any] = json.loads(text)
        return answer


@contextmanager
def serving(code: Path, port: int, environment: dict[str, str]) -> Iterator[None]:
    """Serve with gunicorn and the code in this directory."""
    command = [sys.executable, "-m", "gunicorn", "workflows_project.wsgi", "--workers", "2"]
    command += ["--threads", "2", "--bind", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, cwd=code, env=environment, stderr=subprocess.DEVNULL)

    def responds() -> bool:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/api/v1/node-types/")
            return connection.getresponse().status == 401
        return False

    try:
        until(responds, "gunicorn")
        yield
    finally:
        process.terminate()
        process.wait()


def measure(code: Path, url: str, executions: int) -> dict[str, Any]:
    """Migrate the database under load. Return the times and the failures."""
    environment = {**os.environ, "DATABASE_URL": url, "DEBUG": "1", "PYTHONPATH": str(code)}
    prepare = [sys.executable, "-c", PREPARE, str(max(executions // 1_000, 20)), str(executions)]
    done = subprocess.run(prepare, cwd=code, env=environment, check=True, stdout=subprocess.PIPE)
    load = Load(free_port(), **json.loads(done.stdout.splitlines()[-1]))
    with serving(code, load.port, environment):
        threads = load.start()
        began = time.monotonic()
        time.sleep(CALM)
        migrated_at = time.monotonic()
        command = [sys.executable, "manage.py", "migrate"]
        own = {**environment, "PYTHONPATH": str(ROOT)}
        migration = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True)
        ended = time.monotonic()
        time.sleep(CALM)
        load.ending.set()
        for thread in threads:
            thread.join()
    check = [sys.executable, "manage.py", "check_integrity"]
    checked = subprocess.run(check, cwd=ROOT, env=own, capture_output=True, text=True)
    before, during = load.slowest(began, migrated_at), load.slowest(migrated_at, ended)
    return {
        "executions": executions,
        "seconds of the migration": round(ended - migrated_at, 1),
        "migration failed": migration.stderr[-500:] if migration.returncode else "",
        "requests": len(load.took),
        "failed": dict(load.failed),
        "slowest before": (round(before[0], 3), before[1]),
        "slowest during": (round(during[0], 3), during[1]),
        "stall": round(during[0] - before[0], 3),
        "check_integrity": checked.stdout.strip().splitlines()[-1:] or checked.stderr[-300:],
        "violations": checked.returncode != 0,
    }


def main() -> int:
    """Measure and print. Return 1 if the claim fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("release", help="the commit or tag of the release before")
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--database", choices=databases.VENDORS, default="postgresql")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    settings = "max_connections = 50\nshared_buffers = 512MB"
    with (
        checked_out(options.release) as code,
        databases.served(options.database, settings) as server,
    ):
        server.create("upgrade")
        found = measure(code, server.url("upgrade"), options.executions)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(f"{name}: {value}" for name, value in found.items()))
    wrong = (found["migration failed"], found["failed"], found["violations"])
    return 1 if any(wrong) or found["stall"] > STALL else 0


if __name__ == "__main__":
    sys.exit(main())
