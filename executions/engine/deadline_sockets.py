"""Sockets whose operations all end at one deadline, a moment of ``time.monotonic``."""

from __future__ import annotations

import io
import queue
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any

CHUNK = 65536


def time_left(deadline: float) -> float:
    """Return the seconds until the deadline. Raise ``TimeoutError`` if it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def resolve(host: str, port: int, deadline: float) -> list[Any]:
    """Return the addresses of a host as ``socket.getaddrinfo`` does.

    Raises:
        TimeoutError: the deadline has passed.
        OSError: the name cannot be resolved.
    """
    # The resolver takes no timeout: its thread is left behind when the deadline passes.
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        answer = answers.get(timeout=time_left(deadline))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, UnicodeError):
        raise ConnectionError(None, "the name cannot be resolved")
    if isinstance(answer, OSError):
        raise answer
    addresses: list[Any] = answer
    return addresses


def connect(addresses: Iterable[Any], deadline: float) -> socket.socket:
    """Connect to the first of these addresses that accepts. Raise the last ``OSError``."""
    failure: OSError = ConnectionError(None, "the name has no address")
    for family, socket_type, protocol, _, address in addresses:
        connected = socket.socket(family, socket_type, protocol)
        try:
            connected.settimeout(time_left(deadline))
            connected.connect(address)
            return connected
        except OSError as error:
            connected.close()
            failure = error
    raise failure


class DeadlineSocket:
    """A connected socket with the interface that ``http.client`` needs."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected, self._deadline = connected, deadline
        self._reader = _Reader(connected, deadline)

    @property
    def is_over(self) -> bool:
        """True if the end of the answer has been read."""
        return self._reader.is_over

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._connected.settimeout(time_left(self._deadline))
            view = view[self._connected.send(view[:CHUNK]) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader)

    def close(self) -> None:
        """Do nothing: the answer is read after ``http.client`` has closed its socket."""


class _Reader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected, self._deadline = connected, deadline
        self.is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connected.settimeout(time_left(self._deadline))
        count = self._connected.recv_into(buffer)
        self.is_over = not count
        return count
