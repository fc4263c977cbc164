"""A small connection pooler that gives a session of PostgreSQL to each transaction."""

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
    """Pass the messages of clients on to sessions that they share.

    ``idle`` are the sessions that nobody has in a transaction; the one that was used last is given
    out first. Without ``by_transaction``, each client keeps the session that it had first.
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
        """End every connection."""
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
            self._pass_on(client, startup)

    def _open(self, startup: bytes) -> tuple[socket.socket, bytes]:
        """Open a session; return it with what the server says to a new client, but its key."""
        session = socket.socket(socket.AF_UNIX)
        session.connect(self._server)
        self._sockets.append(session)
        session.sendall(startup)
        greeting = b""
        while True:
            kind, message = _message(session)
            # The number of the session, which a pooler does not tell.
            greeting += message if kind != b"K" else b"K" + struct.pack("!III", 12, 1, 1)
            if kind == READY:
                return session, greeting

    def _pass_on(self, client: socket.socket, startup: bytes) -> None:
        session: socket.socket | None = None
        while True:
            kind, message = _message(client)
            if kind == END:
                return
            if session is None:
                session = self.idle.pop() if self.idle else self._open(startup)[0]
            session.sendall(message)
            if kind not in (QUERY, SYNC):
                continue
            ready = self._answer(session, client)
            if ready[-1:] == IDLE and self._by_transaction:
                self.idle.append(session)
                session = None
            client.sendall(ready)

    def _answer(self, session: socket.socket, client: socket.socket) -> bytes:
        """Pass an answer back but its last message, which says whether a transaction is open."""
        while True:
            kind, message = _message(session)
            if kind == READY:
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
    """Run a pooler whose socket is in this directory, before the server with this socket."""
    pooler = Pooler(directory, server, by_transaction=by_transaction)
    try:
        yield pooler
    finally:
        pooler.close()
