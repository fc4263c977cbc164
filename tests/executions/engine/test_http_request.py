"""The http_request node: saved answers, failures, retries and charsets."""

from __future__ import annotations

import json
import socket
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions import services
from executions.engine import http_client
from executions.models import Job, Status
from executions.models.leased_row import ATTEMPTS
from executions.worker import queue
from tests.executions.engine.http_calls import (
    JSON,
    make_due,
    raw_server,
    read_incident,
    reload,
    run_http_request,
)
from tests.executions.engine.server import Reply, Server
from workflows.db.locks import Contention
from workflows.graph import find_data_problems, node_types

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


class TestAnswer:
    def test_json_answer_is_saved_to_the_field(self, server: Server) -> None:
        server.replies = [Reply(201, b'{"score": 3}', JSON)]
        execution, step = run_http_request(
            server.url("/risks/{{name}}?q={{query}}"),
            {"name": "a b", "query": "x&y=1", "amount": 5},
            method="POST",
            headers={"X-Name": "<{{name}}>"},
            body={"amount": "{{amount}}", "text": "{{amount}} {{missing}}"},
            save_to="risk",
        )
        assert execution.status == Status.COMPLETED
        assert execution.entity.fields["risk"] == {"score": 3}
        assert step.output == {"status": 201, "body": '{"score": 3}', "attempts": 1}
        (request,) = server.received
        assert (request.method, request.path) == ("POST", "/risks/a%20b?q=x%26y%3D1")
        assert json.loads(request.body) == {"amount": 5, "text": "5 "}
        assert request.headers["idempotency-key"] == step.cuid
        assert request.headers["x-name"] == "<a b>"
        assert not Job.objects.exists()

    def test_text_answer_is_saved_as_text(self, server: Server) -> None:
        server.replies = [Reply(200, "süß\0".encode(), {"Content-Type": "text/plain"})]
        execution, _ = run_http_request(server.url(), save_to="answer")
        assert execution.entity.fields["answer"] == "süß�"

    @pytest.mark.parametrize("body", [b"{", b'{"a": NaN}', b'{"a": "\\u0000"}', b"[" * 9999])
    def test_answer_opens_incident_when_it_cannot_be_saved(
        self, server: Server, body: bytes
    ) -> None:
        server.replies = [Reply(200, body, JSON)]
        _, step = run_http_request(server.url(), save_to="answer")
        assert read_incident(step)[0] == "invalid_answer"

    def test_retry_sends_the_fields_of_the_first_attempt(self, server: Server) -> None:
        server.replies = [Reply(500), Reply(200)]
        execution, _ = run_http_request(server.url("/{{name}}"), {"name": "before"})
        execution.entity.fields = {"name": "after"}
        execution.entity.save()
        make_due()
        queue.serve_due()
        assert [request.path for request in server.received] == ["/before", "/before"]


class TestFailure:
    def test_server_error_is_retried(self, server: Server) -> None:
        server.replies = [Reply(500), Reply(200)]
        execution, step = run_http_request(server.url())
        assert execution.status == Status.WAITING
        assert Job.objects.get().due_at > timezone.now()
        make_due()
        queue.serve_due()
        execution, step = reload(execution)
        assert execution.status == Status.COMPLETED
        assert step.output["attempts"] == 2
        assert {request.headers["idempotency-key"] for request in server.received} == {step.cuid}

    def test_last_failed_attempt_opens_incident(self, server: Server) -> None:
        server.replies = [Reply(503)] * ATTEMPTS + [Reply(200)]
        execution, _ = run_http_request(server.url())
        for _ in range(ATTEMPTS - 1):
            make_due()
            queue.serve_due()
        execution, step = reload(execution)
        assert read_incident(step) == (
            "call_failed",
            "It failed 5 times. The last error: The response was 503.",
        )
        assert not Job.objects.exists()
        services.retry(execution, node="call")
        queue.serve_due()
        assert reload(execution)[0].status == Status.COMPLETED

    def test_retry_waits_as_long_as_retry_after_says(self, server: Server) -> None:
        server.replies = [Reply(429, headers={"Retry-After": "7200"})]
        run_http_request(server.url())
        assert Job.objects.get().due_at > timezone.now() + timedelta(seconds=7100)

    def test_client_error_opens_incident_at_once(self, server: Server) -> None:
        server.replies = [Reply(404, b"no such thing")]
        execution, step = run_http_request(server.url())
        assert execution.status == Status.WAITING
        assert read_incident(step) == (
            "call_refused",
            "The response was 404. That was attempt 1.",
        )
        assert len(server.received) == 1 and not Job.objects.exists()

    def test_connection_closed_before_the_status_is_retried(self, settings: Any) -> None:
        with raw_server(b"", settings) as host:
            run_http_request(f"http://{host}/", timeout=0.4)
        assert Job.objects.get().attempt == 1

    def test_refused_connection_is_retried(self, server: Server, settings: Any) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            host = f"127.0.0.1:{unused.getsockname()[1]}"
            settings.HTTP_REQUEST_HOSTS = [host]
            run_http_request(f"http://{host}/")
        assert Job.objects.get().attempt == 1

    @pytest.mark.parametrize("length", [None, -1])
    def test_answer_opens_incident_when_it_is_too_large(
        self, server: Server, length: int | None
    ) -> None:
        server.replies = [Reply(200, b"x" * (http_client.MAX_BYTES + 1), length=length)]
        _, step = run_http_request(server.url())
        assert read_incident(step)[0] == "too_large"


INCOMPLETE = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 204 No Content\r\nX-A: ",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\nhalf",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n",
]


class TestSuccess:
    """A request that succeeded is never repeated."""

    @pytest.mark.parametrize("answer", INCOMPLETE, ids=range(len(INCOMPLETE)))
    def test_incomplete_answer_completes_the_step(self, settings: Any, answer: bytes) -> None:
        with raw_server(answer, settings) as host:
            execution, step = run_http_request(f"http://{host}/", timeout=2)
        assert execution.status == Status.COMPLETED
        assert step.output["truncated"] is True
        assert step.output["attempts"] == 1
        assert not Job.objects.exists()

    @pytest.mark.parametrize("answer", INCOMPLETE, ids=range(len(INCOMPLETE)))
    def test_incomplete_answer_opens_incident_when_it_is_saved(
        self, settings: Any, answer: bytes
    ) -> None:
        with raw_server(answer, settings) as host:
            _, step = run_http_request(f"http://{host}/", timeout=2, save_to="answer")
        assert read_incident(step)[0] == "invalid_answer"
        assert not Job.objects.exists()

    def test_informational_answers_are_skipped(self, settings: Any) -> None:
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        answer = hints * 2 + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
        with raw_server(answer, settings) as host:
            execution, step = run_http_request(f"http://{host}/")
        assert execution.status == Status.COMPLETED
        assert step.output == {"status": 200, "body": "body", "attempts": 1}

    def test_slow_body_is_cut_off_at_the_timeout(self, server: Server) -> None:
        server.replies = [Reply(200, b"x" * 50, pace=0.1)]
        execution, _ = run_http_request(server.url(), timeout=0.3)
        assert execution.status == Status.COMPLETED
        assert len(server.received) == 1

    @pytest.mark.parametrize(
        "place",
        ["http_client.Answer.text", "nodes.http_request.make_storable", "redaction.Redaction.of"],
    )
    def test_error_while_reading_the_answer_opens_incident(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        def fail(*_: Any) -> None:
            raise RuntimeError("what was sent")

        monkeypatch.setattr(f"executions.engine.{place}", fail)
        _, step = run_http_request(server.url(), save_to="answer")
        assert read_incident(step)[0] == "invalid_answer"
        assert "what was sent" not in read_incident(step)[1]
        assert len(server.received) == 1 and not Job.objects.exists()

    @pytest.mark.parametrize("error", [Contention("busy"), RuntimeError("cannot be saved")])
    def test_answer_is_stored_until_the_execution_continues(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def fail(*_: Any) -> None:
            raise error

        server.replies = [Reply(200, b'{"score": 3}', JSON)]
        with monkeypatch.context() as patched:
            patched.setattr(queue, "finish_job", fail)
            execution, _ = run_http_request(server.url(), save_to="risk")
            make_due()
            queue.serve_due()
        assert execution.status == Status.WAITING
        make_due()
        queue.serve_due()
        execution, _ = reload(execution)
        assert execution.status == Status.COMPLETED
        assert execution.entity.fields["risk"] == {"score": 3}
        assert len(server.received) == 1

    def test_retry_by_operator_repeats_the_request(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.replies = [Reply(200, b"{", JSON), Reply(200, b"{}", JSON)]
        execution, _ = run_http_request(server.url(), save_to="answer")
        services.retry(execution, node="call")
        queue.serve_due()
        assert reload(execution)[0].status == Status.COMPLETED
        assert len(server.received) == 2


class TestCharset:
    @pytest.mark.parametrize(
        ("charset", "codec"),
        [
            ("", "utf-8"),
            ("; charset=UTF-8", "utf-8"),
            ('; Charset = "utf8"', "utf-8"),
            ("; charset=utf-8", "utf-8-sig"),
            ("; charset=ISO-8859-1", "latin-1"),
            ("; charset=windows-1252", "cp1252"),
            ("; charset=utf-16", "utf-16"),
            ("; charset=utf-16le", "utf-16-le"),
            ("", "utf-16"),
        ],
    )
    def test_answer_is_decoded_with_its_charset(
        self, server: Server, charset: str, codec: str
    ) -> None:
        media = {"Content-Type": f"application/json{charset}"}
        server.replies = [Reply(200, '{"a": "süß"}'.encode(codec), media)]
        execution, step = run_http_request(server.url(), save_to="answer")
        assert execution.entity.fields["answer"] == {"a": "süß"}
        assert "süß" in step.output["body"]

    @pytest.mark.parametrize(
        "headers",
        [
            {"Content-Type": f"text/plain; charset={name}"}
            for name in ("utf-7", "base64", "punycode", "idna", "rot13", "zlib", "nonsense")
        ]
        + [{"Content-Encoding": name} for name in ("gzip", "deflate", "br", "identity, gzip")],
        ids=str,
    )
    def test_answer_is_not_decoded_when_its_encoding_is_unsupported(
        self, server: Server, headers: dict[str, str]
    ) -> None:
        server.replies = [Reply(200, b"+AGE-", headers)]
        execution, step = run_http_request(server.url())
        assert (execution.status, step.output["body"]) == (Status.COMPLETED, "")
        _, step = run_http_request(server.url(), save_to="answer")
        assert (
            read_incident(step)[0] == "invalid_answer" and "windows-1252" in read_incident(step)[1]
        )

    def test_request_accepts_no_compression(self, server: Server) -> None:
        run_http_request(server.url())
        assert server.received[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({}, "/url"),
        ({"url": "ftp://a.example/"}, "/url"),
        ({"url": "https://{{host}}/"}, "/url"),
        ({"url": "https://a:b@c.example/"}, "/url"),
        ({"url": "https://a.example/{{secret:X}}"}, "/url"),
        ({"url": "https://a.example/ b"}, "/url"),
        ({"url": "https://a.example:99999/"}, "/url"),
        ({"url": "https://a.example/", "method": "TRACE"}, "/method"),
        ({"url": "https://a.example/", "body": "x"}, "/body"),
        ({"url": "https://a.example/", "method": "POST", "body": ["{{1}}"]}, "/body/0"),
        ({"url": "https://a.example/", "headers": {"Host": "x"}}, "/headers/Host"),
        ({"url": "https://a.example/", "headers": {"A B": "x"}}, "/headers/A B"),
        ({"url": "https://a.example/", "headers": {"A": 1}}, "/headers/A"),
        ({"url": "https://a.example/", "timeout": 61}, "/timeout"),
        ({"url": "https://a.example/", "timeout": True}, "/timeout"),
        ({"url": "https://a.example/", "save_to": "1"}, "/save_to"),
    ],
)
def test_graph_is_refused_when_the_data_is_invalid(data: dict[str, Any], pointer: str) -> None:
    assert [at for at, _ in find_data_problems(node_types()["http_request"], data)] == [pointer]
