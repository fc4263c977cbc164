"""HTTP calls to allowed hosts at public addresses, limited in time and size.

A name is resolved once per connection, and the connection is made to the very address that was
checked. A name that resolves differently the next time (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import http.client
import math
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from django.conf import settings
from django.utils import timezone

from executions.engine.addresses import is_allowed_address
from executions.engine.deadline_sockets import (
    CHUNK,
    DeadlineSocket,
    connect,
    resolve,
    time_left,
)

MAX_BYTES = 1024 * 1024
MAX_REDIRECTS = 3
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.I)
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
CHARSETS: dict[str, str] = {
    "utf-8": "utf-8-sig",
    "utf8": "utf-8-sig",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "iso-8859-15": "iso-8859-15",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
"""The supported charsets of answers, each with a codec that decodes it in linear time.

Latin-1 is decoded as Windows-1252, as in browsers.
"""
_PORTS = {"https": 443, "http": 80}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class CallRefused(Exception):
    """The call, or a redirect, is not allowed."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class CallFailed(Exception):
    """The call failed or timed out. The message contains no secret."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request. ``headers`` and ``body`` are sent only to the host of ``url``."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The final answer, after redirects.

    ``is_complete``: headers and body were read to their end. An incomplete success is still a
    success: the server has performed the request.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_complete: bool = True

    @property
    def is_success(self) -> bool:
        """True if the server has performed the request."""
        return 200 <= self.status < 300

    def text(self) -> str | None:
        """Return the body as text, in linear time; None if its encoding is not supported.

        Without a charset, a byte order mark decides, else UTF-8. Invalid bytes are replaced.
        """
        if self.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
            return None
        _, _, parameters = self.headers.get("content-type", "").partition(";")
        found = _CHARSET.search(parameters)
        name = (
            found[1].lower()
            if found
            else next((named for mark, named in _MARKS if self.body.startswith(mark)), "utf-8")
        )
        codec = CHARSETS.get(name)
        return None if codec is None else self.body.decode(codec, "replace")


def call(request: Request, *, timeout: float) -> Answer:
    """Make a call and follow up to ``MAX_REDIRECTS`` redirects, in ``timeout`` seconds in all.

    Raises:
        CallRefused: the host, the address, the scheme or the size is not allowed.
        CallFailed: no connection, no answer in time, or half an answer.
    """
    deadline = time.monotonic() + timeout
    for _ in range(MAX_REDIRECTS + 1):
        target = parse_allowed_url(request.url)
        with _translated_errors(target, timeout):
            answer = _exchange(request, target, deadline, _read_body)
        location = answer.headers.get("location")
        if answer.status not in _REDIRECTS or location is None:
            return answer
        request = _redirect(request, target, answer.status, location)
    raise CallRefused("redirects", f"There were more than {MAX_REDIRECTS} redirects.")


def call_once(request: Request, *, timeout: float, max_bytes: int) -> Answer:
    """Make a call without following redirects, and read at most ``max_bytes`` of the answer.

    Raises what ``call`` raises, except for the size.
    """
    target = parse_allowed_url(request.url)

    def read_beginning(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
        try:
            return response.read(max_bytes), True
        except (OSError, http.client.HTTPException):
            # The status is known, and it is enough.
            return b"", False

    with _translated_errors(target, timeout):
        return _exchange(request, target, time.monotonic() + timeout, read_beginning)


@contextmanager
def _translated_errors(target: SplitResult, timeout: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise CallFailed(f"There was no complete response within {timeout:g} seconds.") from None
    except (OSError, http.client.HTTPException) as error:
        # The error texts may quote the request.
        why = error.strerror if isinstance(error, OSError) and error.strerror else ""
        name = type(error).__name__
        raise CallFailed(f"The connection to {target.hostname} failed: {why or name}.") from None


def parse_allowed_url(url: str) -> SplitResult:
    """Parse a URL. Raise ``CallRefused`` if its scheme or host is not allowed."""
    try:
        target = urlsplit(url)
        host, port = (target.hostname or "").rstrip("."), target.port
    except ValueError:
        raise CallRefused("invalid_url", "The address cannot be read.") from None
    if target.scheme not in _PORTS or not host or target.username is not None:
        raise CallRefused("invalid_url", "The address must begin with https:// and a host.")
    if target.scheme == "http" and not settings.HTTP_REQUEST_ALLOW_HTTP:
        raise CallRefused(
            "http_refused",
            "Use https: the setting HTTP_REQUEST_ALLOW_HTTP does not permit http.",
        )
    hosts = {name.lower() for name in settings.HTTP_REQUEST_HOSTS}
    label = f"[{host}]" if ":" in host else host
    usual = _PORTS[target.scheme]
    names = {f"{label}:{port or usual}"} | ({label} if port in (None, usual) else set())
    if not names & hosts:
        # In the original case: redaction would not find a secret in lower case.
        begin = target.netloc.lower().find(host.lower())
        label = label.replace(host, target.netloc[begin : begin + len(host)])
        where = label if port in (None, usual) else f"{label}:{port}"
        raise CallRefused(
            "host_refused", f"{where} is not among the hosts of the setting HTTP_REQUEST_HOSTS."
        )
    return target


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return the wait that ``Retry-After`` asks for, at most a day; None without a valid one."""
    text = headers.get("retry-after", "").strip()
    try:
        if text.isdecimal():
            seconds = float(text)
        else:
            moment = parsedate_to_datetime(text)
            if timezone.is_naive(moment):
                moment = timezone.make_aware(moment)
            seconds = (moment - timezone.now()).total_seconds()
    except (ValueError, OverflowError):
        return None
    return timedelta(seconds=min(max(seconds, 0), 86_400)) if math.isfinite(seconds) else None


def _redirect(request: Request, target: SplitResult, status: int, location: str) -> Request:
    try:
        url = urljoin(request.url, location).partition("#")[0]
    except ValueError:
        url = ""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise CallRefused("invalid_url", "The redirect leads to an address that cannot be read.")
    following = parse_allowed_url(url)
    if target.scheme == "https" and following.scheme != "https":
        raise CallRefused("http_refused", "The redirect leads from https to http.")
    method, headers, body = request.method, request.headers, request.body
    if status == 303 or (status in (301, 302) and method == "POST"):
        method = method if method == "HEAD" else "GET"
        body = None
        headers = {key: value for key, value in headers.items() if key.lower() != "content-type"}
    if _origin(following) != _origin(target):
        if body is not None:
            raise CallRefused("redirects", "The redirect would send the body to another host.")
        headers = {}
    return Request(method, url, headers, body, request.idempotency_key)


def _origin(target: SplitResult) -> tuple[str, str | None, int]:
    return target.scheme, target.hostname, target.port or _PORTS[target.scheme]


def _exchange(
    request: Request,
    target: SplitResult,
    deadline: float,
    read: Callable[[http.client.HTTPResponse], tuple[bytes, bool]],
) -> Answer:
    host, port = target.hostname or "", target.port or _PORTS[target.scheme]
    connected = _connect(host.rstrip("."), port, deadline)
    try:
        if target.scheme == "https":
            connected.settimeout(time_left(deadline))
            context = ssl.create_default_context()
            connected = context.wrap_socket(connected, server_hostname=host.rstrip("."))
        connection = http.client.HTTPConnection(host, port)
        bounded: Any = DeadlineSocket(connected, deadline)
        connection.sock = bounded
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        headers = {
            "Host": target.netloc,
            "User-Agent": "Holdfast",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "Idempotency-Key": request.idempotency_key,
        }
        connection.putrequest(request.method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**request.headers, **headers}.items():
            connection.putheader(name, value)
        if request.body is not None:
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body)
        # Closed before its socket: the buffered reader of a response reads from the socket.
        with closing(http.client.HTTPResponse(bounded, method=request.method)) as response:
            return _read_answer(response, bounded, read)
    finally:
        connected.close()


def _read_answer(
    response: http.client.HTTPResponse,
    bounded: DeadlineSocket,
    read: Callable[[http.client.HTTPResponse], tuple[bytes, bool]],
) -> Answer:
    headers: dict[str, str] = {}
    try:
        _read_headers(response)
        if bounded.is_over:
            # http.client takes a cut-off connection for the end of the headers.
            raise ConnectionResetError(None, "the response was cut off")
        headers = {name.lower(): value for name, value in response.getheaders()}
        body, is_complete = read(response)
    except CallRefused:
        raise
    except Exception:
        # The status came first: a request that succeeded is never repeated.
        if not isinstance(response.status, int) or not 200 <= response.status < 300:
            raise
        body, is_complete = b"", False
    return Answer(response.status, headers, body, is_complete)


def _read_headers(response: http.client.HTTPResponse) -> None:
    """Read status and headers; skip informational answers (such as 103)."""
    response.begin()
    while 100 <= response.status < 200 and response.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
        response.headers = response.msg = None  # type: ignore[assignment]
        response.begin()


def _read_body(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    if not 200 <= response.status < 300:
        return b"", True
    if (response.length or 0) > MAX_BYTES:
        raise CallRefused("too_large", f"The response is larger than {MAX_BYTES} bytes.")
    parts, size = [], 0
    try:
        while part := response.read(CHUNK):
            parts.append(part)
            size += len(part)
            if size > MAX_BYTES:
                raise CallRefused("too_large", f"The response is larger than {MAX_BYTES} bytes.")
    except (OSError, http.client.HTTPException):
        return b"".join(parts), False
    return b"".join(parts), not response.length


def _connect(host: str, port: int, deadline: float) -> socket.socket:
    addresses = resolve(host, port, deadline)
    for *_, address in addresses:
        if not is_allowed_address(str(address[0])):
            raise CallRefused(
                "address_refused", f"{host} is at {address[0]}, which is not a public address."
            )
    return connect(addresses, deadline)
