"""Memory of a web server and of a worker after many requests and jobs.

    python -m benchmarks.memory
    python -m benchmarks.memory --first 500 --last 2000 --json

One process of gunicorn serves ``--last`` requests: starts, submits, lists, executions and pages of
the admin, in turn. Then ``manage.py work`` performs as many jobs. The resident memory of each is
read after ``--first`` and after ``--last``. Exits with 1 if either has grown by more than 10 %.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import databases
from benchmarks.installation import free_port
from benchmarks.processes import ROOT, until

GROWTH = 1.1
PATIENCE = 1800.0


def resident_kilobytes(pid: int) -> int:
    """Return the resident memory of a process and its children, in kB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return own + sum(resident_kilobytes(int(child)) for child in children)


def prepare() -> dict[str, Any]:
    """Create the schema, an account and two workflows: one with a form, one with a wait."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.test import Client
    from knox.models import AuthToken

    from executions.models import Finding
    from workflows.editing import save_graph
    from workflows.models import FindingType, Workflow

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    kind = FindingType.objects.create(name="Load")
    workflows = {}
    for title, node in {
        "form": {"type": "user_action", "data": {"fields": [{"name": "n"}]}},
        "wait": {"type": "wait", "data": {"interval": "PT1S"}},
    }.items():
        workflow = Workflow.objects.create(title=title, entity_name_type=kind, state="active")
        nodes = [{"id": "start", "type": "start"}, {"id": title, **node}]
        edges = [{"source": "start", "target": title}, {"source": title, "target": "end"}]
        graph = {"nodes": [*nodes, {"id": "end", "type": "end"}], "edges": edges}
        save_graph(workflow, graph, based_on=1)
        workflows[title] = workflow
    user = get_user_model().objects.create_superuser("load")
    browser = Client()
    browser.force_login(user)
    return {
        "workflows": workflows,
        "finding": Finding.objects.create(title="Load", entity_name_type=kind),
        "api": {"Authorization": f"Bearer {AuthToken.objects.create(user=user)[1]}"},
        "admin": {"Cookie": f"sessionid={browser.cookies['sessionid'].value}"},
    }


class Visitor:
    """A client of the API and of the admin."""

    def __init__(self, port: int, data: dict[str, Any]) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.data = data
        self.sent = 0

    def send(self, method: str, path: str, body: object = None) -> bytes:
        """Send a request. Return the body of the response. Raise ``RuntimeError`` if it failed."""
        headers = dict(self.data["admin" if path.startswith("/admin/") else "api"])
        if body is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        content = None if body is None else json.dumps(body)
        self.connection.request(method, path, content, headers)
        response = self.connection.getresponse()
        text = response.read()
        self.sent += 1
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:200]!r}")
        return text

    def visit(self) -> None:
        """Start an execution, submit it, and read lists and pages."""
        body = {
            "workflow": self.data["workflows"]["form"].cuid,
            "entity": self.data["finding"].cuid,
        }
        cuid = json.loads(self.send("POST", "/api/v1/executions/", body))["cuid"]
        form = {"node": "form", "data": {"n": "1"}}
        self.send("POST", f"/api/v1/executions/{cuid}/submit/", form)
        for path in (
            f"/api/v1/executions/{cuid}/",
            "/api/v1/executions/?page_size=20",
            "/api/v1/tasks/",
            "/admin/",
            "/admin/executions/execution/",
            f"/admin/workflows/workflow/{self.data['workflows']['form'].pk}/change/",
        ):
            self.send("GET", path)


def measure(pid: int, points: list[int], advance: Callable[[int], None]) -> list[int]:
    """Return the resident memory, in kB, after each number of requests or jobs."""
    found = []
    for number in points:
        advance(number)
        found.append(resident_kilobytes(pid))
    return found


def measure_server(data: dict[str, Any], points: list[int]) -> list[int]:
    """Return the memory of gunicorn after these numbers of requests."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "workflows_project.wsgi", "--workers", "1"]
    process = subprocess.Popen([*command, "--bind", f"127.0.0.1:{port}"], cwd=ROOT)

    def is_ready() -> bool:
        with suppress(OSError, RuntimeError):
            Visitor(port, data).send("GET", "/api/v1/me/")
            return True
        return False

    try:
        until(is_ready, "gunicorn")
        visitor = Visitor(port, data)

        def visit_until(number: int) -> None:
            while visitor.sent < number:
                visitor.visit()

        return measure(process.pid, points, visit_until)
    finally:
        process.terminate()
        process.wait()


def measure_worker(data: dict[str, Any], points: list[int]) -> list[int]:
    """Return the memory of a worker after these numbers of jobs."""
    from django.db import connection

    from executions import services
    from executions.models import Step

    for _ in range(points[-1]):
        services.start(data["workflows"]["wait"], data["finding"])
    connection.close()
    done = Step.objects.filter(type="wait", state="done")
    command = [sys.executable, "manage.py", "work"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        return measure(
            process.pid,
            points,
            lambda number: until(lambda: done.count() >= number, "jobs", PATIENCE),
        )
    finally:
        process.terminate()
        process.wait()


def main() -> int:
    """Measure and print. Return 1 if the claim fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=2_000, help="measure after so many")
    parser.add_argument("--last", type=int, default=20_000, help="and after so many")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    points = [options.first, options.last]
    with databases.served("postgresql") as server:
        server.create("memory")
        os.environ |= {
            "DEBUG": "0",
            "SECRET_KEY": "only for a benchmark" + "x" * 50,
            "ALLOWED_HOSTS": "127.0.0.1",
            "SECURE_SSL_REDIRECT": "0",
        }
        databases.django(server.url("memory"))
        data = prepare()
        rows = {
            "requests": measure_server(data, points),
            "jobs": measure_worker(data, points),
        }
    ratios = {name: round(last / first, 3) for name, (first, last) in rows.items()}
    if options.json:
        print(json.dumps({"after": points, "kB": rows, "ratios": ratios}, indent=2))
    else:
        print(f"{'':10} {points[0]:>10} {points[1]:>10}   ratio")
        for name, (first, last) in rows.items():
            print(f"{name:10} {first:>7} kB {last:>7} kB   {ratios[name]}")
    return 1 if max(ratios.values()) > GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
