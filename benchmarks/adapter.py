"""Adapter of Holdfast for a harness that compares workflow engines.

``make(backend, target, options)`` returns the object that the harness uses. The backend is ``pg``
with a libpq connection string, or ``sqlite`` with a path. The work is: start → condition → user
action, stored and waiting; then submit → set field → sub-workflow → end. The settings are the
shipped ones: all guards, keys, write-once triggers, the history of steps and the audit log are on.

With ``{"http": true}`` it uses the API in process, with a token and the shipped middleware. The
client is a user whose permissions come from the groups of two roles, and it sends an
Idempotency-Key with each request, as clients should. ``"superuser": true`` and ``"keys": false``
measure what the permissions and the keys cost.

Each worker uses its own findings in turn, because an execution needs an entity. They are created
before the measurement.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

FINDINGS = 5_000
COPIED = 200
ROLES = ("operator", "participant")
"""The roles of the ordinary user: it may start and submit executions."""

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
    """Return the engine for an empty database, or one that ``setup`` has prepared."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    os.environ["DATABASE_URL"] = _url(backend, target)
    os.environ.setdefault("SECRET_KEY", "only for a benchmark" + "x" * 50)
    os.environ.setdefault("ALLOWED_HOSTS", "bench")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workflows_project.settings")
    import django

    django.setup()
    if not options.get("http"):
        return ThroughServices()
    return ThroughAPI(options.get("superuser", False), options.get("keys", True))


def _url(backend: str, target: str) -> str:
    if backend == "sqlite":
        return f"sqlite:///{target}"
    params = dict(part.split("=", 1) for part in target.split())
    host = quote(params.get("host", ""), safe="")
    login = f"{params.get('user', '')}:{params.get('password', '')}"
    return f"postgres://{login}@{host}:{params.get('port', 5432)}/{params['dbname']}"


class ThroughServices:
    """The engine through services, as called by a program in the same process."""

    username = "superuser"

    def setup(self) -> None:
        """Create the schema, a caller and its callee, a superuser and an ordinary user."""
        from django.contrib.auth import get_user_model
        from django.contrib.auth.models import Group
        from django.core.management import call_command

        from workflows.editing import save_graph
        from workflows.models import FindingType, Workflow

        call_command("migrate", verbosity=0)
        finding_type = FindingType.objects.create(name="Model Limitation")
        callee = Workflow.objects.create(
            title="callee", entity_name_type=finding_type, state="active"
        )
        save_graph(callee, CHILD, based_on=1)
        caller = Workflow.objects.create(
            title="caller", entity_name_type=finding_type, state="active"
        )
        save_graph(caller, _parent(callee.cuid), based_on=1)
        users = get_user_model().objects
        users.create_superuser("superuser", password="bench")
        ordinary = users.create_user("ordinary", password="bench")
        ordinary.groups.set(Group.objects.filter(name__in=ROLES))

    def open(self) -> None:
        """Connect, and create the findings of this worker."""
        from django.contrib.auth import get_user_model
        from django.db import connection

        from executions.models import Finding
        from workflows.models import Workflow

        connection.ensure_connection()
        self.user = get_user_model().objects.get(username=self.username)
        self.workflow = Workflow.objects.get(title="caller")
        finding_type = self.workflow.entity_name_type
        self.turn = itertools.count()
        self.findings = Finding.objects.bulk_create(
            [
                Finding(
                    title=f"Finding {number}",
                    entity_name_type=finding_type,
                    fields={"amount": 50 + number},
                )
                for number in range(FINDINGS)
            ]
        )

    def finding(self) -> Any:
        """Return the next finding. The harness restarts its own count in each round."""
        return self.findings[next(self.turn) % FINDINGS]

    def w1(self, i: int) -> Any:
        """Start an execution, which waits at the form."""
        from executions import services

        return services.start(self.workflow, self.finding(), by=self.user)

    def w2(self, handle: Any, i: int) -> None:
        """Submit the form. The execution completes after the call."""
        from executions import services

        execution = services.submit(handle, data={"answer": i}, node="approve", by=self.user)
        if execution.status != "completed":
            raise RuntimeError(f"It is {execution.status}.")

    def fill(self, n: int) -> list[Any]:
        """Create waiting executions in bulk, as copies of a few."""
        from benchmarks.copies import multiply
        from executions.models import Execution

        if not n:
            return []
        copies = multiply([self.started(number) for number in range(COPIED)], n)
        rows = Execution.objects.only("id", "cuid", "root").in_bulk(copies)
        return [self.handle(row) for row in rows.values()]

    def started(self, number: int) -> Any:
        """Return a waiting execution."""
        return ThroughServices.w1(self, number)

    def handle(self, execution: Any) -> Any:
        """Return the handle of an execution for ``w2``."""
        return execution

    def ended(self, handle: Any) -> bool:
        """Return True if the execution and its single child completed with 6 and 3 steps."""
        from executions.models import Execution, Visits

        execution = Execution.objects.get(pk=handle.pk)
        children = list(execution.children.all())
        return (
            execution.status == "completed"
            and [child.status for child in children] == ["completed"]
            and [step.state for step in Visits(execution)] == ["done"] * 6
            and [step.state for step in Visits(children[0])] == ["done"] * 3
        )

    def close(self) -> None:
        """Close the connection."""
        from django.db import connection

        connection.close()


class ThroughAPI(ThroughServices):
    """The engine through the API: WSGI calls in process, with a token.

    Args:
        superuser: act as a superuser, not as an ordinary user.
        keys: send an Idempotency-Key with each request.
    """

    def __init__(self, superuser: bool, keys: bool) -> None:
        self.username = "superuser" if superuser else "ordinary"
        self.keys = keys

    def open(self) -> None:
        """Connect, and create a token."""
        from django.core.handlers.wsgi import WSGIHandler
        from knox.models import get_token_model

        super().open()
        self.handler = WSGIHandler()
        _, self.token = get_token_model().objects.create(self.user)

    def post(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the response to a POST. Raise ``RuntimeError`` if it failed."""
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
        if self.keys:
            environ["HTTP_IDEMPOTENCY_KEY"] = uuid.uuid4().hex
        response = self.handler(environ, lambda *_: None)
        answer = b"".join(response)
        response.close()
        if not 200 <= response.status_code < 300:
            raise RuntimeError(f"{response.status_code} {answer[:300].decode()}")
        parsed: dict[str, Any] = json.loads(answer)
        return parsed

    def w1(self, i: int) -> Any:
        """Start an execution, which waits at the form."""
        started = self.post(
            "/api/v1/executions/", {"workflow": self.workflow.cuid, "entity": self.finding().cuid}
        )
        return started["cuid"]

    def w2(self, handle: Any, i: int) -> None:
        """Submit the form. The execution completes after the call."""
        body = {"node": "approve", "data": {"answer": i}}
        after = self.post(f"/api/v1/executions/{handle}/submit/", body)
        if after["status"] != "completed":
            raise RuntimeError(f"It is {after['status']}.")

    def handle(self, execution: Any) -> Any:
        """Return the cuid, which is part of the URL."""
        return execution.cuid

    def ended(self, handle: Any) -> bool:
        """Return True if the execution and its single child completed with all steps."""
        from executions.models import Execution

        return super().ended(Execution.objects.get(cuid=handle))
