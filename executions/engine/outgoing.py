"""HTTP calls to the outside: to hosts that are allowed, at public addresses, within bounds.

A name is resolved once for each connection, and the connection is made to the very address that
was judged: a name that answers differently the next time gains nothing by it.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import math
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from django.conf import settings
from django.utils import timezone

MAX_BYTES = 1024 * 1024
MAX_REDIRECTS = 3
_CHUNK = 65536
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PORTS = {"https": 443, "http": 80}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Refused(Exception):
    """The call is not made, or not gone on with: it is not allowed."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class Failed(Exception):
    """The call could not be made, or was not answered in time; the message holds no secret."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. ``headers`` and ``body`` go to the host of ``url`` and to no other."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, in the end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def call(request: Request, *, timeout: float) -> Answer:
    """Make the call, and follow a few redirects; all of it within ``timeout`` seconds.

    Raises:
        Refused: the host, the address, the scheme or the size is not allowed.
        Failed: no connection, no answer in time, half an answer.
    """
    deadline = time.monotonic() + timeout
    for _ in range(MAX_REDIRECTS + 1):
        target = allowed(request.url)
        with _failing(target, timeout):
            answer = _exchange(request, target, deadline, _answer)
        location = answer.headers.get("location")
        if answer.status not in _REDIRECTS or location is None:
            return answer
        request = _redirected(request, target, answer.status, location)
    raise Refused("redirects", f"It was redirected more than {MAX_REDIRECTS} times.")


def call_once(request: Request, *, timeout: float, most: int) -> Answer:
    """Make the call and follow no redirect; no more than ``most`` bytes of the answer are read.

    Raises what ``call`` raises, but for the size.
    """
    target = allowed(request.url)

    def beginning(response: http.client.HTTPResponse) -> Answer:
        headers = {name.lower(): value for name, value in response.getheaders()}
        try:
            body = response.read(most)
        except (OSError, http.client.HTTPException):
            # What was answered is known.
            body = b""
        return Answer(response.status, headers, body)

    with _failing(target, timeout):
        return _exchange(request, target, time.monotonic() + timeout, beginning)


@contextmanager
def _failing(target: SplitResult, timeout: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise Failed(f"There was no whole answer within {timeout:g} seconds.") from None
    except (OSError, http.client.HTTPException) as error:
        # Their texts may quote what was sent.
        why = error.strerror if isinstance(error, OSError) and error.strerror else ""
        name = type(error).__name__
        raise Failed(
            f"The connection to {target.hostname} failed: {f'{name}: {why}' if why else name}."
        ) from None


def allowed(url: str) -> SplitResult:
    """Judge the scheme and the host of an address. Raises ``Refused``."""
    try:
        target = urlsplit(url)
        host, port = (target.hostname or "").rstrip("."), target.port
    except ValueError:
        raise Refused("invalid_url", "The address cannot be read.") from None
    if target.scheme not in _PORTS or not host or target.username is not None:
        raise Refused("invalid_url", "The address must begin with https:// and a host.")
    if target.scheme == "http" and not settings.HTTP_REQUEST_ALLOW_HTTP:
        raise Refused(
            "http_refused", "Only https is called, unless the setting HTTP_REQUEST_ALLOW_HTTP says."
        )
    hosts = {name.lower() for name in settings.HTTP_REQUEST_HOSTS}
    shown = f"[{host}]" if ":" in host else host
    usual = _PORTS[target.scheme]
    named = {f"{shown}:{port or usual}"} | ({shown} if port in (None, usual) else set())
    if not named & hosts:
        where = shown if port in (None, usual) else f"{shown}:{port}"
        raise Refused(
            "host_refused", f"{where} is not among the hosts of the setting HTTP_REQUEST_HOSTS."
        )
    return target


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """How long an answer asks to wait, a day at most; None where it does not say."""
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


def is_allowed_address(text: str) -> bool:
    """Whether this address is a public one (or loopback, where a setting allows it)."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_allowed_address(str(inner))
        if address.teredo is not None or address.is_site_local:
            return False
    if address.is_loopback:
        return bool(settings.HTTP_REQUEST_ALLOW_LOOPBACK)
    return address.is_global and not (
        address.is_private
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )


def _redirected(request: Request, target: SplitResult, status: int, location: str) -> Request:
    try:
        url = urljoin(request.url, location).partition("#")[0]
    except ValueError:
        url = ""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Refused("invalid_url", "It was redirected to an address that cannot be read.")
    following = allowed(url)
    if target.scheme == "https" and following.scheme != "https":
        raise Refused("http_refused", "It was redirected from https to http.")
    method, headers, body = request.method, request.headers, request.body
    if status == 303 or (status in (301, 302) and method == "POST"):
        method = method if method == "HEAD" else "GET"
        body = None
        headers = {key: value for key, value in headers.items() if key.lower() != "content-type"}
    if _origin(following) != _origin(target):
        if body is not None:
            raise Refused("redirects", "It was redirected to another host, which gets no body.")
        headers = {}
    return Request(method, url, headers, body, request.idempotency_key)


def _origin(target: SplitResult) -> tuple[str, str | None, int]:
    return target.scheme, target.hostname, target.port or _PORTS[target.scheme]


def _exchange(
    request: Request,
    target: SplitResult,
    deadline: float,
    read: Callable[[http.client.HTTPResponse], Answer],
) -> Answer:
    host, port = target.hostname or "", target.port or _PORTS[target.scheme]
    connected = _connect(host.rstrip("."), port, deadline)
    try:
        if target.scheme == "https":
            connected.settimeout(_left(deadline))
            context = ssl.create_default_context()
            connected = context.wrap_socket(connected, server_hostname=host.rstrip("."))
        connection = http.client.HTTPConnection(host, port)
        connection.sock = _Bounded(connected, deadline)
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
        return read(connection.getresponse())
    finally:
        connected.close()


def _answer(response: http.client.HTTPResponse) -> Answer:
    body = b""
    if 200 <= response.status < 300:
        if (response.length or 0) > MAX_BYTES:
            raise Refused("too_large", f"The answer is larger than {MAX_BYTES} bytes.")
        parts, size = [], 0
        while part := response.read(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > MAX_BYTES:
                raise Refused("too_large", f"The answer is larger than {MAX_BYTES} bytes.")
        if response.length:
            raise ConnectionResetError(None, "the answer was cut off")
        body = b"".join(parts)
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, body)


def _connect(host: str, port: int, deadline: float) -> socket.socket:
    found = _resolved(host, port, deadline)
    for *_, address in found:
        if not is_allowed_address(str(address[0])):
            raise Refused(
                "address_refused", f"{host} is at {address[0]}, which is not a public address."
            )
    failure: OSError = ConnectionError(None, "the name has no address")
    for family, kind, protocol, _, address in found:
        connected = socket.socket(family, kind, protocol)
        try:
            connected.settimeout(_left(deadline))
            connected.connect(address)
            return connected
        except OSError as error:
            connected.close()
            failure = error
    raise failure


def _resolved(host: str, port: int, deadline: float) -> list[Any]:
    # The resolver knows no deadline: who has waited long enough leaves it behind.
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=resolve, daemon=True).start()
    try:
        answer = answers.get(timeout=_left(deadline))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, UnicodeError):
        raise ConnectionError(None, "the name cannot be resolved")
    if isinstance(answer, OSError):
        raise answer
    found: list[Any] = answer
    return found


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Bounded:
    """A socket as ``http.client`` uses it, each of whose moves ends at the deadline."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected, self._deadline = connected, deadline

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._connected.settimeout(_left(self._deadline))
            view = view[self._connected.send(view[:_CHUNK]) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._connected, self._deadline))

    def close(self) -> None:
        """Whoever connected closes: the answer is read after ``http.client`` is done with it."""


class _Reader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected, self._deadline = connected, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connected.settimeout(_left(self._deadline))
        return self._connected.recv_into(buffer)
