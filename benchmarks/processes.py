"""A Redis broker and Celery processes, which can be killed and restarted."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0


def until(holds: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
    """Wait until the condition holds. Raise ``TimeoutError``, which names the condition."""
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"After {patience:g} seconds still waiting for {what}.")
        time.sleep(0.02)


class Broker:
    """A Redis in memory, with a socket in a directory with a short path."""

    def __init__(self, directory: Path) -> None:
        import redis

        self.directory = directory
        self.path = directory / "redis.sock"
        self.client = redis.Redis(unix_socket_path=str(self.path))
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def is_installed() -> bool:
        return shutil.which("redis-server") is not None

    @property
    def url(self) -> str:
        return f"redis+socket://{self.path}"

    def start(self) -> None:
        address = ["--port", "0", "--unixsocket", str(self.path), "--dir", str(self.directory)]
        self._process = subprocess.Popen(
            ["redis-server", *address, "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
        )
        until(self._answers, "the broker")

    def _answers(self) -> bool:
        import redis

        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """Kill the broker, whose messages are lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.path.unlink(missing_ok=True)

    def waiting(self, queue: str = "holdfast") -> int:
        """Return the number of messages that no worker has received."""
        return int(self.client.llen(queue))

    def taken(self) -> int:
        """Return the number of received messages that are not acknowledged."""
        return int(self.client.hlen("unacked"))


class CeleryProcess:
    """A process of ``celery -A workflows_project …``, with its children."""

    def __init__(self, log: Path, environment: Mapping[str, str], *arguments: str) -> None:
        self.log = log
        with log.open("ab") as output:
            self._seen = log.stat().st_size
            self._process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "workflows_project", *arguments],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        """Return the output since the start."""
        with self.log.open("rb") as output:
            output.seek(self._seen)
            return output.read().decode(errors="replace")

    def wait_until_ready(self) -> None:
        until(lambda: " ready." in self.said() or self._has_ended(), "a worker")
        if self._has_ended():
            raise RuntimeError(f"The worker has ended:\n{self.said()}")

    def _has_ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        """Kill the process and its children."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def kill_one(self) -> bool:
        """Kill a child, which the process replaces. Return False if it has none."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        found = children.read_text().split() if children.exists() else []
        if found:
            os.kill(int(random.choice(found)), signal.SIGKILL)
        return bool(found)

    def end(self) -> None:
        """Stop the process. Kill it if it does not end."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if not self._has_ended():
                self.kill()
