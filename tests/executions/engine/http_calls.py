"""Executions that make an HTTP call, and a server that answers with raw bytes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Thread
from typing import Any

from django.utils import timezone

from executions.models import Execution, Job, Status, Step
from executions.worker import queue
from tests.executions.engine.test_branches import source, started

JSON = {"Content-Type": "application/json"}


def http_request_graph(url: str, **data: Any) -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "start": "start",
        "call": {"type": "http_request", "data": {"url": url, **data}},
        "end": "end",
    }
    return source(nodes, "start>call", "call>end")


def run_http_request(
    url: str, fields: dict[str, Any] | None = None, **data: Any
) -> tuple[Execution, Step]:
    execution = started(http_request_graph(url, **data), **(fields or {}))
    assert execution.status == Status.WAITING
    queue.serve_due()
    return reload(execution)


def reload(execution: Execution) -> tuple[Execution, Step]:
    execution.refresh_from_db()
    execution.entity.refresh_from_db()
    return execution, execution.steps.get(node_id="call")


def make_due() -> None:
    Job.objects.update(due_at=timezone.now() - timedelta(seconds=1), leased_until=None)


def read_incident(step: Step) -> tuple[str, str]:
    assert step.incident is not None and step.incident["at"]
    return step.incident["code"], step.incident["detail"]


@contextmanager
def raw_server(answer: bytes, settings: Any) -> Iterator[str]:
    """Run a server that answers each request with these bytes; yield its host."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        settings.HTTP_REQUEST_HOSTS = [host]
        settings.HTTP_REQUEST_ALLOW_HTTP = settings.HTTP_REQUEST_ALLOW_LOOPBACK = True

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connected, _ = listening.accept()
                    with connected:
                        connected.recv(65536)
                        connected.sendall(answer)

        Thread(target=serve, daemon=True).start()
        try:
            yield host
        finally:
            listening.shutdown(socket.SHUT_RDWR)
