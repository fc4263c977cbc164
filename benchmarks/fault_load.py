"""The load of ``benchmarks.faults``: clients, their workflows and what they received."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from benchmarks.kill_workers import Counting


@dataclass
class Answers:
    """The responses since the last fault, and the executions that were started."""

    statuses: Counter[str] = field(default_factory=Counter)
    without_retry: Counter[str] = field(default_factory=Counter)
    succeeded: list[tuple[float, float]] = field(default_factory=list)
    started: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    problems: list[str] = field(default_factory=list)


class Client(threading.Thread):
    """Starts and submits executions until it must end, and finishes the last one."""

    def __init__(self, port: int, token: str, body: dict[str, str], answers: Answers) -> None:
        super().__init__(daemon=True)
        self.port, self.body, self.answers = port, body, answers
        self.ending = threading.Event()
        self.headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        self.context = ssl.create_default_context()
        # The certificate of the proxy is made for this run.
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.connection: http.client.HTTPSConnection | None = None

    def run(self) -> None:
        while not self.ending.is_set():
            key = str(uuid.uuid4())
            cuid = str(self._send("executions/", self.body, key).get("cuid", ""))
            self.answers.started[key].add(cuid)
            path = f"executions/{cuid}/submit/"
            self._send(path, {"node": "form", "data": {"n": "1"}}, f"{key}-submit")
            time.sleep(0.8)

    def _send(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        """Send a request until it succeeds. Return the body of the response."""
        while True:
            began = time.monotonic()
            status, retry, text = self._try(path, body, key)
            self.answers.statuses[status] += 1
            if status in ("200", "201"):
                self.answers.succeeded.append((began, time.monotonic()))
                answer: dict[str, Any] = json.loads(text)
                return answer
            if status[0] in "45" and not retry:
                self.answers.without_retry[status] += 1
                self.answers.problems.append(text[:200])
            if status[0] == "4" and not retry:
                # Repeating it changes nothing.
                self.ending.set()
                return {}
            time.sleep(0.25)

    def _try(self, path: str, body: dict[str, Any], key: str) -> tuple[str, str, str]:
        try:
            if self.connection is None:
                self.connection = http.client.HTTPSConnection(
                    "127.0.0.1", self.port, timeout=70, context=self.context
                )
            headers = {**self.headers, "Idempotency-Key": key}
            self.connection.request("POST", f"/api/v1/{path}", json.dumps(body), headers)
            response = self.connection.getresponse()
            text = response.read().decode(errors="replace")
            code = "" if response.status < 400 else json.loads(text)["code"]
            status = f"{response.status} {code}".strip()
            return status, response.headers.get("Retry-After", ""), text
        except (OSError, http.client.HTTPException):
            self.connection = None
            return "no response", "", ""
        except (ValueError, KeyError):
            return f"{response.status} (no problem)", "", text


def prepare(counting: Counting) -> tuple[str, dict[str, str]]:
    """Create a token, the workflows and a finding. Return the token and the body of a start."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from knox.models import AuthToken

    from executions.models import Finding
    from workflows.editing import save_graph
    from workflows.models import FindingType, Workflow

    call_command("migrate", verbosity=0)
    kind = FindingType.objects.create(name="Load")
    made = {"entity_name_type": kind, "state": "active"}
    callee = Workflow.objects.create(title="Callee", **made)
    mark = {"id": "mark", "type": "set_field", "data": {"values": {"marked": 1}}}
    save_graph(callee, _line(mark), based_on=1)
    caller = Workflow.objects.create(title="Caller", **made)
    url = f"http://127.0.0.1:{counting.port}/"
    nodes = (
        {"id": "form", "type": "user_action", "data": {"fields": [{"name": "n"}]}},
        {"id": "nap", "type": "wait", "data": {"interval": "PT1S"}},
        {"id": "tell", "type": "http_request", "data": {"method": "POST", "url": url}},
        {"id": "call", "type": "run_workflow", "data": {"workflow": callee.cuid}},
    )
    save_graph(caller, _line(*nodes), based_on=1)
    finding = Finding.objects.create(title="Load", entity_name_type=kind)
    user = get_user_model().objects.create_superuser("load")
    body = {"workflow": caller.cuid, "entity": finding.cuid}
    return AuthToken.objects.create(user=user)[1], body


def _line(*nodes: dict[str, Any]) -> dict[str, Any]:
    whole = [{"id": "start", "type": "start"}, *nodes, {"id": "end", "type": "end"}]
    ids = [node["id"] for node in whole]
    edges = [{"source": source, "target": target} for source, target in pairwise(ids)]
    return {"nodes": whole, "edges": edges}
