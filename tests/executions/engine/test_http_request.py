"""Calls to the outside: what is sent, what is taken, and what is not done at all."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.utils import timezone

from executions import services
from executions.engine import http_client
from executions.engine.addresses import is_allowed_address
from executions.models import Execution, Job, Secret, Status, Step
from executions.worker import queue
from tests.executions.engine.server import Reply, Server, certified, serving
from tests.executions.engine.test_branches import source, started
from workflows.db.locks import Contention
from workflows.graph import data_problems, node_types

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("laws")]

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def server(settings: Any) -> Iterator[Server]:
    with serving() as known:
        settings.HTTP_REQUEST_HOSTS = [known.host]
        settings.HTTP_REQUEST_ALLOW_HTTP = True
        settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
        yield known


def calling(url: str, **data: Any) -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "start": "start",
        "call": {"type": "http_request", "data": {"url": url, **data}},
        "end": "end",
    }
    return source(nodes, "start>call", "call>end")


def called(url: str, fields: dict[str, Any] | None = None, **data: Any) -> tuple[Execution, Step]:
    execution = started(calling(url, **data), **(fields or {}))
    assert execution.status == Status.WAITING
    queue.serve_due()
    return seen(execution)


def seen(execution: Execution) -> tuple[Execution, Step]:
    execution.refresh_from_db()
    execution.entity.refresh_from_db()
    return execution, execution.steps.get(node_id="call")


def make_due() -> None:
    Job.objects.update(due_at=timezone.now() - timedelta(seconds=1), leased_until=None)


def incident(step: Step) -> tuple[str, str]:
    assert step.incident is not None and step.incident["at"]
    return step.incident["code"], step.incident["detail"]


class TestAnswer:
    def test_json_is_saved_and_the_execution_goes_on(self, server: Server) -> None:
        server.replies = [Reply(201, b'{"score": 3}', JSON)]
        execution, step = called(
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

    def test_text_is_saved_as_text(self, server: Server) -> None:
        server.replies = [Reply(200, "süß\0".encode(), {"Content-Type": "text/plain"})]
        execution, _ = called(server.url(), save_to="answer")
        assert execution.entity.fields["answer"] == "süß�"

    @pytest.mark.parametrize("body", [b"{", b'{"a": NaN}', b'{"a": "\\u0000"}', b"[" * 9999])
    def test_what_cannot_be_saved_is_an_incident(self, server: Server, body: bytes) -> None:
        server.replies = [Reply(200, body, JSON)]
        _, step = called(server.url(), save_to="answer")
        assert incident(step)[0] == "invalid_answer"

    def test_what_was_asked_is_what_the_fields_were_on_arrival(self, server: Server) -> None:
        server.replies = [Reply(500), Reply(200)]
        execution, _ = called(server.url("/{{name}}"), {"name": "before"})
        execution.entity.fields = {"name": "after"}
        execution.entity.save()
        make_due()
        queue.serve_due()
        assert [request.path for request in server.received] == ["/before", "/before"]


class TestFailure:
    def test_a_500_is_tried_again(self, server: Server) -> None:
        server.replies = [Reply(500), Reply(200)]
        execution, step = called(server.url())
        assert execution.status == Status.WAITING
        assert Job.objects.get().due_at > timezone.now()
        make_due()
        queue.serve_due()
        execution, step = seen(execution)
        assert execution.status == Status.COMPLETED
        assert step.output["attempts"] == 2
        assert {request.headers["idempotency-key"] for request in server.received} == {step.cuid}

    def test_the_last_attempt_is_an_incident_that_can_be_retried(self, server: Server) -> None:
        server.replies = [Reply(503)] * services.jobs.ATTEMPTS + [Reply(200)]
        execution, _ = called(server.url())
        for _ in range(services.jobs.ATTEMPTS - 1):
            make_due()
            queue.serve_due()
        execution, step = seen(execution)
        assert incident(step) == (
            "call_failed",
            "It failed 5 times, at last with: The answer was 503.",
        )
        assert not Job.objects.exists()
        services.retry(execution, node="call")
        queue.serve_due()
        assert seen(execution)[0].status == Status.COMPLETED

    def test_retry_after_is_respected(self, server: Server) -> None:
        server.replies = [Reply(429, headers={"Retry-After": "7200"})]
        called(server.url())
        assert Job.objects.get().due_at > timezone.now() + timedelta(seconds=7100)

    def test_a_404_is_an_incident_at_once(self, server: Server) -> None:
        server.replies = [Reply(404, b"no such thing")]
        execution, step = called(server.url())
        assert execution.status == Status.WAITING
        assert incident(step) == (
            "call_refused",
            "The answer was 404. That was attempt 1.",
        )
        assert len(server.received) == 1 and not Job.objects.exists()

    def test_connection_that_is_closed_before_the_status_is_tried_again(
        self, settings: Any
    ) -> None:
        with answering(b"", settings) as host:
            called(f"http://{host}/", timeout=0.4)
        assert Job.objects.get().attempt == 1

    def test_nobody_listens(self, server: Server, settings: Any) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            host = f"127.0.0.1:{unused.getsockname()[1]}"
            settings.HTTP_REQUEST_HOSTS = [host]
            called(f"http://{host}/")
        assert Job.objects.get().attempt == 1

    @pytest.mark.parametrize("length", [None, -1])
    def test_too_large(self, server: Server, length: int | None) -> None:
        server.replies = [Reply(200, b"x" * (http_client.MAX_BYTES + 1), length=length)]
        _, step = called(server.url())
        assert incident(step)[0] == "too_large"


@contextmanager
def answering(answer: bytes, settings: Any) -> Iterator[str]:
    """The host of a server that sends these bytes to each request, and closes."""
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


HALVES = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 204 No Content\r\nX-A: ",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\nhalf",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n",
]


class TestSuccess:
    """A success is never sent again, whatever becomes of its answer."""

    @pytest.mark.parametrize("answer", HALVES, ids=range(len(HALVES)))
    def test_answer_that_is_not_whole_lets_the_execution_go_on(
        self, settings: Any, answer: bytes
    ) -> None:
        with answering(answer, settings) as host:
            execution, step = called(f"http://{host}/", timeout=2)
        assert execution.status == Status.COMPLETED
        assert step.output["truncated"] is True
        assert step.output["attempts"] == 1
        assert not Job.objects.exists()

    @pytest.mark.parametrize("answer", HALVES, ids=range(len(HALVES)))
    def test_answer_that_is_not_whole_is_an_incident_when_it_is_saved(
        self, settings: Any, answer: bytes
    ) -> None:
        with answering(answer, settings) as host:
            _, step = called(f"http://{host}/", timeout=2, save_to="answer")
        assert incident(step)[0] == "invalid_answer"
        assert not Job.objects.exists()

    def test_informational_answer_is_not_the_answer(self, settings: Any) -> None:
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        answer = hints * 2 + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
        with answering(answer, settings) as host:
            execution, step = called(f"http://{host}/")
        assert execution.status == Status.COMPLETED
        assert step.output == {"status": 200, "body": "body", "attempts": 1}

    def test_slow_body_ends_at_the_deadline_and_is_not_asked_for_again(
        self, server: Server
    ) -> None:
        server.replies = [Reply(200, b"x" * 50, pace=0.1)]
        execution, _ = called(server.url(), timeout=0.3)
        assert execution.status == Status.COMPLETED
        assert len(server.received) == 1

    @pytest.mark.parametrize(
        "place",
        ["outgoing.Answer.text", "nodes.http_request.storable", "redaction.Redaction.of"],
    )
    def test_fault_while_reading_the_answer_is_an_incident(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        def fail(*_: Any) -> None:
            raise RuntimeError("what was sent")

        monkeypatch.setattr(f"executions.engine.{place}", fail)
        _, step = called(server.url(), save_to="answer")
        assert incident(step)[0] == "invalid_answer"
        assert "what was sent" not in incident(step)[1]
        assert len(server.received) == 1 and not Job.objects.exists()

    @pytest.mark.parametrize("error", [Contention("busy"), RuntimeError("cannot be saved")])
    def test_answer_is_kept_while_the_execution_cannot_take_it(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def fail(*_: Any) -> None:
            raise error

        server.replies = [Reply(200, b'{"score": 3}', JSON)]
        with monkeypatch.context() as patched:
            patched.setattr(services, "come_back", fail)
            execution, _ = called(server.url(), save_to="risk")
            make_due()
            queue.serve_due()
        assert execution.status == Status.WAITING
        make_due()
        queue.serve_due()
        execution, _ = seen(execution)
        assert execution.status == Status.COMPLETED
        assert execution.entity.fields["risk"] == {"score": 3}
        assert len(server.received) == 1

    def test_operator_who_tries_again_sends_it_again(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.replies = [Reply(200, b"{", JSON), Reply(200, b"{}", JSON)]
        execution, _ = called(server.url(), save_to="answer")
        services.retry(execution, node="call")
        queue.serve_due()
        assert seen(execution)[0].status == Status.COMPLETED
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
    def test_answer_is_read_in_its_charset(self, server: Server, charset: str, codec: str) -> None:
        media = {"Content-Type": f"application/json{charset}"}
        server.replies = [Reply(200, '{"a": "süß"}'.encode(codec), media)]
        execution, step = called(server.url(), save_to="answer")
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
    def test_other_coding_is_not_read(self, server: Server, headers: dict[str, str]) -> None:
        server.replies = [Reply(200, b"+AGE-", headers)]
        execution, step = called(server.url())
        assert (execution.status, step.output["body"]) == (Status.COMPLETED, "")
        _, step = called(server.url(), save_to="answer")
        assert incident(step)[0] == "invalid_answer" and "windows-1252" in incident(step)[1]

    def test_no_compressed_answer_is_asked_for(self, server: Server) -> None:
        called(server.url())
        assert server.received[0].headers["accept-encoding"] == "identity"


class TestRefused:
    def test_a_host_that_is_not_allowed(self, server: Server, settings: Any) -> None:
        settings.HTTP_REQUEST_HOSTS = []
        _, step = called(server.url())
        code, detail = incident(step)
        assert code == "host_refused" and "HTTP_REQUEST_HOSTS" in detail
        assert not server.received

    def test_http_where_no_setting_allows_it(self, server: Server, settings: Any) -> None:
        settings.HTTP_REQUEST_ALLOW_HTTP = False
        code, detail = incident(called(server.url())[1])
        assert code == "http_refused" and "HTTP_REQUEST_ALLOW_HTTP" in detail

    def test_a_loopback_address(self, server: Server, settings: Any) -> None:
        settings.HTTP_REQUEST_ALLOW_LOOPBACK = False
        assert incident(called(server.url())[1])[0] == "address_refused"
        assert not server.received

    @pytest.mark.parametrize(
        "address",
        [
            "10.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "192.168.1.1",
            "0.0.0.0",
            "224.0.0.1",
            "240.0.0.1",
            "::",
            "fe80::1%eth0",
            "fc00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:0a00:0001::",
            "192.0.0.1",
            "192.0.0.9",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "203.0.113.1",
            "255.255.255.255",
            "3fff::1",
            "3fff:0fff:ffff::1",
            "5f00::1",
            "100::1",
            "2001:db8::1",
            "2001::5ef5:79fd",
            "2001:2::1",
            "64:ff9b:1::808:808",
            "64:ff9b::c058:6301",
            "2002:c058:6301::1",
            "::10.0.0.1",
            "::93.184.216.34",
            "::ffff:0:93.184.216.34",
            "::ffff:192.0.0.8",
            "2606:2800:220:1:0:5efe:10.0.0.1",
            "2606:2800:220:1:200:5efe:192.168.1.1",
            "fe80::5efe:93.184.216.34",
            "fec0::1",
        ],
    )
    def test_addresses_that_are_not_public(self, address: str, settings: Any) -> None:
        settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
        assert not is_allowed_address(address)

    @pytest.mark.parametrize(
        "address",
        [
            "93.184.216.34",
            "192.0.1.1",
            "192.88.98.1",
            "2606:2800:220:1::1",
            "64:ff9b::5db8:d822",
            "2002:5db8:d822::1",
            "::ffff:93.184.216.34",
            "2606:2800:220:1:0:5efe:93.184.216.34",
        ],
    )
    def test_addresses_that_are(self, address: str) -> None:
        assert is_allowed_address(address)

    def test_a_name_that_answers_differently_the_next_time(
        self, server: Server, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.HTTP_REQUEST_HOSTS = ["rebinding.example"]
        answers = ["93.184.216.34", "10.0.0.1"]
        reached: list[Any] = []

        def resolve(host: str, port: int, **how: Any) -> list[Any]:
            address = answers.pop(0)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        def connect(self: socket.socket, address: Any) -> None:
            reached.append(address)
            raise ConnectionRefusedError(111, "Connection refused")

        execution = started(calling("http://rebinding.example/"))
        with monkeypatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", resolve)
            patched.setattr(socket.socket, "connect", connect)
            queue.serve(queue.claim()[0])
            assert reached == [("93.184.216.34", 80)], "resolved once, and that is called"
            make_due()
            queue.serve(queue.claim()[0])
        assert len(reached) == 1
        assert incident(seen(execution)[1])[0] == "address_refused"

    @pytest.mark.parametrize("value", ["..", "../admin", "a/b"])
    def test_a_field_that_leads_to_another_path(self, server: Server, value: str) -> None:
        _, step = called(server.url("/risks/{{name}}"), {"name": value})
        assert incident(step)[0] == "invalid_url"

    def test_a_field_that_begins_another_header(self, server: Server) -> None:
        _, step = called(server.url(), {"name": "a\r\nX-B: c"}, headers={"X-A": "{{name}}"})
        assert incident(step)[0] == "invalid_header"

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("a\nb", "a line break"),
            ("Ωmega", "a character outside Latin-1"),
            ("a\tb", "a control character"),
            ("a\x85b", "a control character"),
        ],
    )
    def test_header_message_names_what_it_cannot_hold(
        self, server: Server, text: str, reason: str
    ) -> None:
        _, step = called(server.url(), {"name": text}, headers={"X-A": "{{name}}"})
        code, detail = incident(step)
        assert code == "invalid_header"
        assert detail.startswith(f"The header 'X-A' would hold {reason}.")
        assert not server.received

    def test_header_holds_any_letter_of_latin_1(self, server: Server) -> None:
        called(server.url(), {"name": "é\xa0ÿ"}, headers={"X-A": "{{name}}"})
        assert server.received[0].headers["x-a"] == "é\xa0ÿ"


class TestCertificates:
    def test_who_cannot_prove_the_name_is_not_called(
        self, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
        with serving(certified(tmp_path)) as known:
            settings.HTTP_REQUEST_HOSTS = [known.host]
            execution, _ = called(f"https://{known.host}/")
            assert execution.status == Status.WAITING and not known.received
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
            make_due()
            queue.serve_due()
            assert seen(execution)[0].status == Status.COMPLETED
            assert len(known.received) == 1


class TestRedirects:
    def test_a_few_are_followed(self, server: Server) -> None:
        server.replies = [Reply(303, headers={"Location": "/b"}), Reply(200)]
        execution, _ = called(server.url("/a"), method="POST", body="x", headers={"X-A": "1"})
        assert execution.status == Status.COMPLETED
        last = server.received[-1]
        assert (last.method, last.path, last.body) == ("GET", "/b", b"")
        assert last.headers["x-a"] == "1"

    def test_not_without_end(self, server: Server) -> None:
        server.replies = [Reply(302, headers={"Location": "/again"})]
        assert incident(called(server.url())[1])[0] == "redirects"
        assert len(server.received) == 1 + http_client.MAX_REDIRECTS

    def test_not_to_a_private_address(self, server: Server, settings: Any) -> None:
        settings.HTTP_REQUEST_HOSTS += ["10.0.0.1"]
        server.replies = [Reply(302, headers={"Location": "http://10.0.0.1/"})]
        assert incident(called(server.url())[1])[0] == "address_refused"

    def test_not_to_a_host_that_is_not_allowed(self, server: Server) -> None:
        server.replies = [Reply(302, headers={"Location": "http://other.example/"})]
        assert incident(called(server.url())[1])[0] == "host_refused"

    def test_secret_in_the_host_of_a_redirect_is_not_shown(
        self, server: Server, settings: Any
    ) -> None:
        settings.SECRETS_KEY = [Fernet.generate_key().decode()]
        secret = Secret(name="token")
        secret.keep("Hunter2-And-More")
        secret.save()
        for port in ("", ":81"):
            location = f"http://Hunter2-And-More.example{port}/"
            server.replies = [Reply(302, headers={"Location": location})]
            _, step = called(server.url(), headers={"X-Key": "{{secret:token}}"})
            code, detail = incident(step)
            assert code == "host_refused"
            assert detail.startswith(f"{{{{secret:token}}}}.example{port} is not among")

    def test_another_host_gets_neither_headers_nor_body(
        self, server: Server, settings: Any
    ) -> None:
        with serving() as other:
            settings.HTTP_REQUEST_HOSTS += [other.host]
            server.replies = [Reply(302, headers={"Location": other.url()})]
            called(server.url(), headers={"Authorization": "Bearer x"})
            assert "authorization" in server.received[0].headers
            assert "authorization" not in other.received[0].headers
            server.replies = [Reply(307, headers={"Location": other.url()})]
            _, step = called(server.url(), method="POST", body="x")
            assert incident(step)[0] == "redirects"
            assert len(other.received) == 1

    def test_not_from_https_to_http(self, server: Server) -> None:
        request = http_client.Request("GET", f"https://{server.host}/", {}, None, "key")
        target = http_client.allowed(request.url)
        with pytest.raises(http_client.Refused, match="from https to http"):
            http_client._redirected(request, target, 302, server.url())


class TestWhoIsServed:
    @pytest.mark.django_db(transaction=True)
    def test_nothing_is_locked_while_it_calls(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inside: list[bool] = []
        call = http_client.call

        def watched(request: http_client.Request, *, timeout: float) -> http_client.Answer:
            inside.append(connection.in_atomic_block)
            return call(request, timeout=timeout)

        monkeypatch.setattr(http_client, "call", watched)
        execution, _ = called(server.url())
        assert execution.status == Status.COMPLETED
        assert inside == [False]

    def test_the_lease_begins_anew_before_each_call(self, server: Server) -> None:
        started(calling(server.url()))
        (job,) = queue.claim(lease=timedelta(seconds=1))
        assert services.hold(job, queue.LEASE) is not None
        leased_until = Job.objects.get().leased_until
        assert leased_until is not None
        assert leased_until > timezone.now() + timedelta(seconds=100)

    def test_the_result_of_a_lost_lease_is_not_taken(self, server: Server) -> None:
        execution = started(calling(server.url()))
        (job,) = queue.claim()
        held = services.hold(job, queue.LEASE)
        assert held is not None
        result = held.perform()
        make_due()
        (other,) = queue.claim()
        assert services.come_back(job, result) is False
        assert services.give_up(job, "late", "Too late.") is False
        assert services.hold(job, queue.LEASE) is None
        assert seen(execution)[0].status == Status.WAITING
        assert queue.serve(other)
        assert seen(execution)[0].status == Status.COMPLETED

    def test_nothing_is_called_once_the_execution_has_ended(self, server: Server) -> None:
        execution = started(calling(server.url()))
        (job,) = queue.claim()
        services.cancel(execution)
        assert queue.serve(job) is False
        assert not server.received and not Job.objects.exists()

    def test_what_came_back_too_late_is_dropped(self, server: Server) -> None:
        execution = started(calling(server.url(), save_to="answer"))
        (job,) = queue.claim()
        held = services.hold(job, queue.LEASE)
        assert held is not None
        result = held.perform()
        services.cancel(execution)
        assert services.come_back(job, result) is False
        assert "answer" not in seen(execution)[0].entity.fields


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
def test_a_drawing_that_is_wrong(data: dict[str, Any], pointer: str) -> None:
    assert [at for at, _ in data_problems(node_types()["http_request"], data)] == [pointer]
