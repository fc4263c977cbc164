"""Plugs Holdfast into a harness that measures workflow engines beside each other.

``make(backend, target, options)`` returns what the harness drives; backend ``pg`` with a libpq
connection string, or ``sqlite`` with a path. The work: start → condition → user action, stored
waiting; then submit → set field → sub-workflow → end. With ``{"http": true}`` it goes through
the API in process, with a token as programs have one and the shipped middleware. The settings are
the shipped ones: all guards, keys, seals, the history of steps and the audit log are on.

Each worker starts on findings of its own, in turns, for an execution works on something; they
are made before the clock runs, and there are more of them than a run needs.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

FINDINGS = 5_000
COPIED = 200

CHILD = {
    "nodes": [
        {"id": "start", "type": "start"},
        {"id": "calc", "type": "set_field", "data": {"values": {"calc": 1}}},
        {"id": "end", "type": "end"},
    ],
    "edges": [{"source": "start", "target": "calc"}, {"source": "calc", "target": "end"}],
}


def _parent(callee: str) -> dict[str, Any]:
    rule = {"field": "amount", "op": "gt", "value": 10}
    answer = {"name": "answer", "label": "Answer", "type": "number", "required": True}
    return {
        "nodes": [
            {"id": "start", "type": "start"},
            {
                "id": "cond",
                "type": "condition",
                "data": {"branches": [{"handle": "large", "rule": rule}]},
            },
            {"id": "approve", "type": "user_action", "data": {"fields": [answer]}},
            {"id": "stamp", "type": "set_field", "data": {"values": {"stamp": 1}}},
            {"id": "call", "type": "run_workflow", "data": {"workflow": callee}},
            {"id": "end", "type": "end"},
        ],
        "edges": [
            {"source": "start", "target": "cond"},
            {"source": "cond", "target": "approve", "sourceHandle": "large"},
            {"source": "cond", "target": "end", "sourceHandle": "default"},
            {"source": "approve", "target": "stamp"},
            {"source": "stamp", "target": "call"},
            {"source": "call", "target": "end"},
        ],
    }


def make(backend: str, target: str, options: dict[str, Any]) -> Any:
    """What the harness drives, on an empty database or one that ``setup`` has filled."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    os.environ["DATABASE_URL"] = _url(backend, target)
    os.environ.setdefault("SECRET_KEY", "only for a benchmark" + "x" * 50)
    os.environ.setdefault("ALLOWED_HOSTS", "bench")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workflows_project.settings")
    import django

    django.setup()
    return ThroughAPI() if options.get("http") else ThroughServices()


def _url(backend: str, target: str) -> str:
    if backend == "sqlite":
        return f"sqlite:///{target}"
    named = dict(part.split("=", 1) for part in target.split())
    host = quote(named.get("host", ""), safe="")
    login = f"{named.get('user', '')}:{named.get('password', '')}"
    return f"postgres://{login}@{host}:{named.get('port', 5432)}/{named['dbname']}"


class ThroughServices:
    """The services, as a program in the same process calls them."""

    def setup(self) -> None:
        """The schema, a caller and its callee, and an account."""
        from django.contrib.auth import get_user_model
        from django.core.management import call_command

        from workflows.editing import save_graph
        from workflows.models import FindingType, Workflow

        call_command("migrate", verbosity=0)
        kind = FindingType.objects.create(name="Model Limitation")
        callee = Workflow.objects.create(title="callee", entity_name_type=kind, state="active")
        save_graph(callee, CHILD, based_on=1)
        caller = Workflow.objects.create(title="caller", entity_name_type=kind, state="active")
        save_graph(caller, _parent(callee.cuid), based_on=1)
        get_user_model().objects.create_superuser("bench", password="bench")

    def open(self) -> None:
        """Connect, and make the findings that this worker starts on."""
        from django.contrib.auth import get_user_model
        from django.db import connection

        from executions.models import Finding
        from workflows.models import Workflow

        connection.ensure_connection()
        self.user = get_user_model().objects.get(username="bench")
        self.workflow = Workflow.objects.get(title="caller")
        kind = self.workflow.entity_name_type
        self.turn = itertools.count()
        self.findings = Finding.objects.bulk_create(
            [
                Finding(
                    title=f"Finding {number}",
                    entity_name_type=kind,
                    fields={"amount": 50 + number},
                )
                for number in range(FINDINGS)
            ]
        )

    def finding(self) -> Any:
        """The next one: the harness counts anew in each of its rounds."""
        return self.findings[next(self.turn) % FINDINGS]

    def w1(self, i: int) -> Any:
        """Start, up to the form."""
        from executions import services

        return services.start(self.workflow, self.finding(), by=self.user)

    def w2(self, handle: Any, i: int) -> None:
        """Submit the form, through the call, to the end."""
        from executions import services

        execution = services.submit(handle, data={"answer": i}, node="approve", by=self.user)
        if execution.status != "completed":
            raise RuntimeError(f"It is {execution.status}.")

    def fill(self, n: int) -> list[Any]:
        """More executions that wait, copied in bulk from one on each of some findings."""
        from benchmarks.copies import multiply
        from executions.models import Execution

        if not n:
            return []
        copies = multiply([self.started(number) for number in range(COPIED)], n)
        rows = Execution.objects.only("id", "cuid", "root").in_bulk(copies)
        return [self.handle(row) for row in rows.values()]

    def started(self, number: int) -> Any:
        """An execution that waits."""
        return ThroughServices.w1(self, number)

    def handle(self, execution: Any) -> Any:
        """What ``w2`` is given of an execution."""
        return execution

    def ended(self, handle: Any) -> bool:
        """Whether it, exactly one child, and their six and three steps are done."""
        from executions.models import Execution, Step

        execution = Execution.objects.get(pk=handle.pk)
        children = list(execution.children.all())
        done = Step.objects.filter(state="done")
        return (
            execution.status == "completed"
            and [child.status for child in children] == ["completed"]
            and done.filter(execution=execution).count() == 6
            and done.filter(execution__in=children).count() == 3
        )

    def close(self) -> None:
        """Let the connection go."""
        from django.db import connection

        connection.close()


class ThroughAPI(ThroughServices):
    """The API, in process: a WSGI call without a socket, with a token."""

    def open(self) -> None:
        """Connect and get a token, once."""
        from django.core.handlers.wsgi import WSGIHandler
        from knox.models import get_token_model

        super().open()
        self.handler = WSGIHandler()
        _, self.token = get_token_model().objects.create(self.user)

    def post(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a POST. Raises ``RuntimeError`` unless it is a success."""
        data = json.dumps(body).encode()
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": url,
            "SCRIPT_NAME": "",
            "QUERY_STRING": "",
            "SERVER_NAME": "bench",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(data)),
            "HTTP_ACCEPT": "application/json",
            "HTTP_HOST": "bench",
            "HTTP_AUTHORIZATION": f"Token {self.token}",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(data),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        response = self.handler(environ, lambda *_: None)
        answer = b"".join(response)
        response.close()
        if not 200 <= response.status_code < 300:
            raise RuntimeError(f"{response.status_code} {answer[:300].decode()}")
        parsed: dict[str, Any] = json.loads(answer)
        return parsed

    def w1(self, i: int) -> Any:
        """Start, up to the form."""
        started = self.post(
            "/api/v1/executions/", {"workflow": self.workflow.cuid, "entity": self.finding().cuid}
        )
        return started["cuid"]

    def w2(self, handle: Any, i: int) -> None:
        """Submit the form, through the call, to the end."""
        body = {"node": "approve", "data": {"answer": i}}
        after = self.post(f"/api/v1/executions/{handle}/submit/", body)
        if after["status"] != "completed":
            raise RuntimeError(f"It is {after['status']}.")

    def handle(self, execution: Any) -> Any:
        """The cuid, which the address has."""
        return execution.cuid

    def ended(self, handle: Any) -> bool:
        """Whether it, exactly one child and their steps are done."""
        from executions.models import Execution

        return super().ended(Execution.objects.get(cuid=handle))
