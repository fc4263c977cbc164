"""The HTTP client: allowed hosts and addresses, certificates and redirects."""

from __future__ import annotations

import socket
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography.fernet import Fernet

from executions.engine import http_client
from executions.engine.addresses import is_allowed_address
from executions.models import Secret, Status
from executions.worker import queue
from tests.executions.engine.http_calls import (
    http_request_graph,
    make_due,
    raw_server,
    read_incident,
    reload,
    run_http_request,
)
from tests.executions.engine.server import Reply, Server, create_tls_context, run_server
from tests.executions.engine.test_branches import started

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


class TestRefused:
    def test_call_is_refused_when_the_host_is_not_allowed(
        self, server: Server, settings: Any
    ) -> None:
        settings.HTTP_REQUEST_HOSTS = []
        _, step = run_http_request(server.url())
        code, detail = read_incident(step)
        assert code == "host_refused" and "HTTP_REQUEST_HOSTS" in detail
        assert not server.received

    def test_call_is_refused_when_http_is_not_allowed(self, server: Server, settings: Any) -> None:
        settings.HTTP_REQUEST_ALLOW_HTTP = False
        code, detail = read_incident(run_http_request(server.url())[1])
        assert code == "http_refused" and "HTTP_REQUEST_ALLOW_HTTP" in detail

    def test_call_is_refused_when_the_address_is_loopback(
        self, server: Server, settings: Any
    ) -> None:
        settings.HTTP_REQUEST_ALLOW_LOOPBACK = False
        assert read_incident(run_http_request(server.url())[1])[0] == "address_refused"
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
    def test_address_is_refused_when_it_is_not_public(self, address: str, settings: Any) -> None:
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
    def test_address_is_allowed_when_it_is_public(self, address: str) -> None:
        assert is_allowed_address(address)

    def test_name_is_resolved_once_per_call(
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

        execution = started(http_request_graph("http://rebinding.example/"))
        with monkeypatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", resolve)
            patched.setattr(socket.socket, "connect", connect)
            queue.serve_job(queue.claim_jobs()[0])
            assert reached == [("93.184.216.34", 80)], "the checked address is called"
            make_due()
            queue.serve_job(queue.claim_jobs()[0])
        assert len(reached) == 1
        assert read_incident(reload(execution)[1])[0] == "address_refused"

    @pytest.mark.parametrize("value", ["..", "../admin", "a/b"])
    def test_call_is_refused_when_a_field_changes_the_path(
        self, server: Server, value: str
    ) -> None:
        _, step = run_http_request(server.url("/risks/{{name}}"), {"name": value})
        assert read_incident(step)[0] == "invalid_url"

    def test_call_is_refused_when_a_field_contains_a_line_break(self, server: Server) -> None:
        _, step = run_http_request(
            server.url(), {"name": "a\r\nX-B: c"}, headers={"X-A": "{{name}}"}
        )
        assert read_incident(step)[0] == "invalid_header"

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("a\nb", "a line break"),
            ("Ωmega", "a character outside Latin-1"),
            ("a\tb", "a control character"),
            ("a\x85b", "a control character"),
        ],
    )
    def test_header_incident_names_the_forbidden_character(
        self, server: Server, text: str, reason: str
    ) -> None:
        _, step = run_http_request(server.url(), {"name": text}, headers={"X-A": "{{name}}"})
        code, detail = read_incident(step)
        assert code == "invalid_header"
        assert detail.startswith(f"The header 'X-A' would contain {reason}.")
        assert not server.received

    def test_header_may_contain_latin_1(self, server: Server) -> None:
        run_http_request(server.url(), {"name": "é\xa0ÿ"}, headers={"X-A": "{{name}}"})
        assert server.received[0].headers["x-a"] == "é\xa0ÿ"


class TestCertificates:
    def test_call_is_refused_when_the_certificate_is_not_trusted(
        self, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
        with run_server(create_tls_context(tmp_path)) as known:
            settings.HTTP_REQUEST_HOSTS = [known.host]
            execution, _ = run_http_request(f"https://{known.host}/")
            assert execution.status == Status.WAITING and not known.received
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
            make_due()
            queue.serve_due()
            assert reload(execution)[0].status == Status.COMPLETED
            assert len(known.received) == 1


class TestRedirects:
    def test_redirect_is_followed(self, server: Server) -> None:
        server.replies = [Reply(303, headers={"Location": "/b"}), Reply(200)]
        execution, _ = run_http_request(
            server.url("/a"), method="POST", body="x", headers={"X-A": "1"}
        )
        assert execution.status == Status.COMPLETED
        last = server.received[-1]
        assert (last.method, last.path, last.body) == ("GET", "/b", b"")
        assert last.headers["x-a"] == "1"

    def test_redirects_are_limited(self, server: Server) -> None:
        server.replies = [Reply(302, headers={"Location": "/again"})]
        assert read_incident(run_http_request(server.url())[1])[0] == "redirects"
        assert len(server.received) == 1 + http_client.MAX_REDIRECTS

    def test_redirect_to_private_address_is_refused(self, server: Server, settings: Any) -> None:
        settings.HTTP_REQUEST_HOSTS += ["10.0.0.1"]
        server.replies = [Reply(302, headers={"Location": "http://10.0.0.1/"})]
        assert read_incident(run_http_request(server.url())[1])[0] == "address_refused"

    def test_redirect_to_other_host_is_refused(self, server: Server) -> None:
        server.replies = [Reply(302, headers={"Location": "http://other.example/"})]
        assert read_incident(run_http_request(server.url())[1])[0] == "host_refused"

    def test_secret_in_the_host_of_a_redirect_is_redacted(
        self, server: Server, settings: Any
    ) -> None:
        settings.SECRETS_KEY = [Fernet.generate_key().decode()]
        secret = Secret(name="token")
        secret.set_value("Hunter2-And-More")
        secret.save()
        for port in ("", ":81"):
            location = f"http://Hunter2-And-More.example{port}/"
            server.replies = [Reply(302, headers={"Location": location})]
            _, step = run_http_request(server.url(), headers={"X-Key": "{{secret:token}}"})
            code, detail = read_incident(step)
            assert code == "host_refused"
            assert detail.startswith(f"{{{{secret:token}}}}.example{port} is not among")

    def test_redirect_to_another_host_drops_headers_and_body(
        self, server: Server, settings: Any
    ) -> None:
        with run_server() as other:
            settings.HTTP_REQUEST_HOSTS += [other.host]
            server.replies = [Reply(302, headers={"Location": other.url()})]
            run_http_request(server.url(), headers={"Authorization": "Bearer x"})
            assert "authorization" in server.received[0].headers
            assert "authorization" not in other.received[0].headers
            server.replies = [Reply(307, headers={"Location": other.url()})]
            _, step = run_http_request(server.url(), method="POST", body="x")
            assert read_incident(step)[0] == "redirects"
            assert len(other.received) == 1

    def test_redirect_from_https_to_http_is_refused(self, server: Server) -> None:
        request = http_client.Request("GET", f"https://{server.host}/", {}, None, "key")
        target = http_client.parse_allowed_url(request.url)
        with pytest.raises(http_client.CallRefused, match="from https to http"):
            http_client._redirect(request, target, 302, server.url())


class Recorded(HTTPResponse):
    """A response that adds itself to a list."""

    made: ClassVar[list[HTTPResponse]] = []

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.made.append(self)


# The garbage collector may close the socket before the response: Python 3.13 reports the error.
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 500 Internal Server Error\r\nX-A: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n",
    ],
    ids=["none", "half a status", "half the headers", "too large"],
)
def test_response_is_closed_when_the_call_fails(
    settings: Any, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(Recorded, "made", [])
    monkeypatch.setattr("http.client.HTTPResponse", Recorded)
    with (
        raw_server(answer, settings) as host,
        suppress(http_client.CallFailed, http_client.CallRefused),
    ):
        request = http_client.Request("GET", f"http://{host}/", {}, None, "key")
        http_client.call(request, timeout=2)
    assert [response.isclosed() for response in Recorded.made] == [True]
