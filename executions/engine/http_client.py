"""HTTP calls to the outside: to hosts that are allowed, at public addresses, within bounds.

A name is resolved once for each connection, and the connection is made to the very address that
was judged: a name that answers differently the next time gains nothing by it.
"""

from __future__ import annotations

import http.client
import io
import math
import queue
import re
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

from executions.engine.addresses import is_allowed_address

MAX_BYTES = 1024 * 1024
MAX_REDIRECTS = 3
_CHUNK = 65536
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
"""The charsets that answers are read in, each with the codec that reads it in linear time.

Latin-1 is read as browsers read it, as Windows-1252."""
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
    """What came back, in the end.

    ``is_whole``: whether headers and body were read to their end. A success that is not whole is
    a success all the same: the request was done.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool = True

    @property
    def is_success(self) -> bool:
        """Whether the request was done."""
        return 200 <= self.status < 300

    def text(self) -> str | None:
        """Return the body as text, in linear time; None where its coding is not one of ours.

        Without a charset it is UTF-8 (or what a byte order mark says); bytes that mean nothing
        are replaced.
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
    """Make the call, and follow a few redirects; all of it within ``timeout`` seconds.

    Raises:
        Refused: the host, the address, the scheme or the size is not allowed.
        Failed: no connection, no answer in time, half an answer.
    """
    deadline = time.monotonic() + timeout
    for _ in range(MAX_REDIRECTS + 1):
        target = allowed(request.url)
        with _failing(target, timeout):
            answer = _exchange(request, target, deadline, _whole_body)
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

    def beginning(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
        try:
            return response.read(most), True
        except (OSError, http.client.HTTPException):
            # What was answered is known.
            return b"", False

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
        # As it was written: a secret in capitals is not found in small letters.
        begin = target.netloc.lower().find(host.lower())
        shown = shown.replace(host, target.netloc[begin : begin + len(host)])
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
    read: Callable[[http.client.HTTPResponse], tuple[bytes, bool]],
) -> Answer:
    host, port = target.hostname or "", target.port or _PORTS[target.scheme]
    connected = _connect(host.rstrip("."), port, deadline)
    try:
        if target.scheme == "https":
            connected.settimeout(_left(deadline))
            context = ssl.create_default_context()
            connected = context.wrap_socket(connected, server_hostname=host.rstrip("."))
        connection = http.client.HTTPConnection(host, port)
        bounded: Any = _Bounded(connected, deadline)
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
        response = http.client.HTTPResponse(bounded, method=request.method)
        return _answered(response, bounded, read)
    finally:
        connected.close()


def _answered(
    response: http.client.HTTPResponse,
    bounded: _Bounded,
    read: Callable[[http.client.HTTPResponse], tuple[bytes, bool]],
) -> Answer:
    headers: dict[str, str] = {}
    try:
        _begin(response)
        if bounded.is_over:
            # For http.client the headers end here, too.
            raise ConnectionResetError(None, "the answer was cut off")
        headers = {name.lower(): value for name, value in response.getheaders()}
        body, is_whole = read(response)
    except Refused:
        raise
    except Exception:
        # The status line comes first: after a success nothing is sent again, whatever fails.
        if not isinstance(response.status, int) or not 200 <= response.status < 300:
            raise
        body, is_whole = b"", False
    return Answer(response.status, headers, body, is_whole)


def _begin(response: http.client.HTTPResponse) -> None:
    """Read status and headers; those of informational answers (103) go before."""
    response.begin()
    while 100 <= response.status < 200 and response.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
        response.headers = response.msg = None  # type: ignore[assignment]
        response.begin()


def _whole_body(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    if not 200 <= response.status < 300:
        return b"", True
    if (response.length or 0) > MAX_BYTES:
        raise Refused("too_large", f"The answer is larger than {MAX_BYTES} bytes.")
    parts, size = [], 0
    try:
        while part := response.read(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > MAX_BYTES:
                raise Refused("too_large", f"The answer is larger than {MAX_BYTES} bytes.")
    except (OSError, http.client.HTTPException):
        return b"".join(parts), False
    return b"".join(parts), not response.length


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
        self._reader = _Reader(connected, deadline)

    @property
    def is_over(self) -> bool:
        """Whether the end of the answer has been read."""
        return self._reader.is_over

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._connected.settimeout(_left(self._deadline))
            view = view[self._connected.send(view[:_CHUNK]) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader)

    def close(self) -> None:
        """Whoever connected closes: the answer is read after ``http.client`` is done with it."""


class _Reader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected, self._deadline = connected, deadline
        self.is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connected.settimeout(_left(self._deadline))
        count = self._connected.recv_into(buffer)
        self.is_over = not count
        return count
