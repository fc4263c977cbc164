"""Run a command of manage.py, and send its process a signal after one of its SQL statements.

Arguments: the number of the signal, n, the beginning of a statement, and the command. The signal is
sent after the n-th statement with that beginning.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from django.db.backends.signals import connection_created

import manage


class Interruption:
    """Sends the signal after the statement, inside its transaction."""

    def __init__(self, number: int, nth: int, beginning: str) -> None:
        self.number, self.remaining, self.beginning = number, nth, beginning

    def install(self, connection: Any, **kwargs: Any) -> None:
        if self not in connection.execute_wrappers:
            connection.execute_wrappers.append(self)

    def __call__(self, execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        result = execute(sql, *arguments)
        if sql.startswith(self.beginning):
            self.remaining -= 1
            if self.remaining == 0:
                os.kill(os.getpid(), self.number)
        return result


if __name__ == "__main__":
    interruption = Interruption(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    connection_created.connect(interruption.install)
    # A process in the background of a shell ignores SIGINT by default.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["manage.py", *sys.argv[4:]]
    manage.main()
