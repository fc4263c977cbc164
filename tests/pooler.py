"""A small connection pooler for PostgreSQL, in transaction mode or session mode."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PORT = 5432
READY, IDLE, END, QUERY, SYNC = b"Z", b"I", b"X", b"Q", b"S"


class Pooler:
    """Forwards the messages of clients to shared sessions of the server.

    ``idle`` has the sessions without a transaction; the session used last is assigned first.
    Without ``by_transaction``, each client keeps its first session.
    """

    def __init__(self, directory: Path, server: str, *, by_transaction: bool = True) -> None:
        self.idle: list[socket.socket] = []
        self._server = server
        self._by_transaction = by_transaction
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / f".s.PGSQL.{PORT}"))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Close all connections."""
        for each in [self._listener, *self._sockets]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError, struct.error):
            [size] = struct.unpack("!I", _read(client, 4))
            startup = struct.pack("!I", size) + _read(client, size - 4)
            session, greeting = self._open(startup)
            self.idle.insert(0, session)
            client.sendall(greeting)
            self._forward(client, startup)

    def _open(self, startup: bytes) -> tuple[socket.socket, bytes]:
        """Open a session. Return it with the server's greeting, without the real session key."""
        session = socket.socket(socket.AF_UNIX)
        session.connect(self._server)
        self._sockets.append(session)
        session.sendall(startup)
        greeting = b""
        while True:
            tag, message = _message(session)
            # A pooler replaces the number of the session.
            greeting += message if tag != b"K" else b"K" + struct.pack("!III", 12, 1, 1)
            if tag == READY:
                return session, greeting

    def _forward(self, client: socket.socket, startup: bytes) -> None:
        session: socket.socket | None = None
        while True:
            tag, message = _message(client)
            if tag == END:
                return
            if session is None:
                session = self.idle.pop() if self.idle else self._open(startup)[0]
            session.sendall(message)
            if tag not in (QUERY, SYNC):
                continue
            ready = self._forward_response(session, client)
            if ready[-1:] == IDLE and self._by_transaction:
                self.idle.append(session)
                session = None
            client.sendall(ready)

    def _forward_response(self, session: socket.socket, client: socket.socket) -> bytes:
        """Forward a response. Return its last message, which has the transaction status."""
        while True:
            tag, message = _message(session)
            if tag == READY:
                return message
            client.sendall(message)


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    head = _read(source, 5)
    [size] = struct.unpack("!I", head[1:])
    return head[:1], head + _read(source, size - 4)


def _read(source: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = source.recv(size - len(found))
        if not more:
            raise EOFError
        found += more
    return found


@contextmanager
def pooled(directory: Path, server: str, *, by_transaction: bool = True) -> Iterator[Pooler]:
    """Run a pooler with its socket in this directory, for the server with this socket."""
    pooler = Pooler(directory, server, by_transaction=by_transaction)
    try:
        yield pooler
    finally:
        pooler.close()
