"""Run a command of manage.py, and send this process a signal after one of its statements.

Arguments: the signal's number, which statement of all that begin so, their beginning, the command.
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
    """Sends the signal after the statement, inside the transaction of the statement."""

    def __init__(self, number: int, nth: int, beginning: str) -> None:
        self.number, self.left, self.beginning = number, nth, beginning

    def install(self, connection: Any, **kwargs: Any) -> None:
        if self not in connection.execute_wrappers:
            connection.execute_wrappers.append(self)

    def __call__(self, execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        result = execute(sql, *arguments)
        if sql.startswith(self.beginning):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), self.number)
        return result


if __name__ == "__main__":
    interruption = Interruption(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    connection_created.connect(interruption.install)
    # A process that is started in the background of a shell ignores the signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["manage.py", *sys.argv[4:]]
    manage.main()
