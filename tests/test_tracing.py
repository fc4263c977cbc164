"""Sentry and OpenTelemetry: off by default, switched on by their own variables."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.settings.environments import python
from workflows_project import environment
from workflows_project.ops import tracing

LOADED = """
import django, sys
django.setup()
print(sorted({name.split(".")[0] for name in sys.modules} & {"sentry_sdk", "opentelemetry"}))
"""
REQUEST = """
import django
django.setup()
from django.test import Client
client = Client(headers={"Host": "localhost"}, raise_request_exception=False)
print(client.get("/api/v1/node-types/").status_code)
"""
SPANS = """
from opentelemetry import trace
trace.get_tracer_provider().shutdown()
"""
ERROR = """
import sentry_sdk
def fail(body):
    raise ValueError("an error")
try:
    fail("typed by a user"[::-1])
except ValueError:
    sentry_sdk.capture_exception()
sentry_sdk.flush(10)
"""


@contextmanager
def receiver() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Run a server that keeps what it receives. Yield its address and the list."""
    received: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}", received
        server.shutdown()
        thread.join()


def run(script: str, **variables: str) -> str:
    done = python(
        "-c",
        script,
        DEBUG="1",
        DATABASE_URL="sqlite://:memory:",
        DJANGO_SETTINGS_MODULE="workflows_project.settings",
        **variables,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_is_imported_without_a_variable() -> None:
    assert run(LOADED) == "[]\n"


def test_traces_are_sent_to_opentelemetry() -> None:
    with receiver() as (address, received):
        endpoint = f"http://{address}"
        assert run(REQUEST + SPANS, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) == "401\n"
    assert {path for path, _ in received} == {"/v1/traces"}
    assert any(b"node-types" in body and b"holdfast" in body for _, body in received)


def test_errors_are_sent_to_sentry() -> None:
    with receiver() as (address, received):
        run(REQUEST + ERROR, SENTRY_DSN=f"http://key@{address}/1")
    assert any(path.startswith("/api/1/envelope") for path, _ in received)
    bodies = [body if body[:1] == b"{" else gzip.decompress(body) for _, body in received]
    assert any(b"an error" in body for body in bodies)
    typed = b"typed by a user"[::-1]
    assert not any(typed in body for body in bodies)


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("SENTRY_DSN", "sentry_sdk", "sentry"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "opentelemetry", "opentelemetry"),
    ],
)
def test_missing_package_is_an_invalid_setting(
    name: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "problems", [])
    monkeypatch.setenv(name, "http://key@127.0.0.1/1")
    monkeypatch.setitem(sys.modules, package, None)
    tracing.start()
    [problem] = environment.problems
    assert problem.startswith(f"{name} is set, but a package is missing")
    assert f"holdfast[{extra}]" in problem
