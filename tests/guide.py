"""The pages of the guide as scripts: a shell that runs them, and the commands that they call."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

from tests.commands import main

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted([*DOCS.glob("tutorial/*.md"), *DOCS.glob("how-to/**/*.md")])
INDEX = DOCS / "how-to" / "index.md"
SHELLS = {"bash": ["bash", "--norc"], "zsh": ["zsh", "-f"]}
BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SECRET = re.compile(r"^<!-- secret (\w+) (\S+) -->$", re.MULTILINE)

# Runs ``manage.py`` in the process of the test, which has the database and is loaded already.
SHIM = """\
#!{python} -IS
import os, sys
if sys.argv[1:2] != ["manage.py"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
from multiprocessing.connection import Client
with Client({address!r}, "AF_UNIX") as commands:
    commands.send(sys.argv[2:])
    code, out, err = commands.recv()
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


@dataclass
class Page:
    """One page: its commands, and what they print."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(DOCS))

    @property
    def text(self) -> str:
        return self.path.read_text()

    def blocks(self, *languages: str) -> list[str]:
        """Return the fenced blocks in one of these languages."""
        return [text for _, language, text in BLOCK.findall(self.text) if language in languages]

    @property
    def languages(self) -> set[str]:
        return {language for _, language, _ in BLOCK.findall(self.text)}

    @property
    def script(self) -> str:
        """Return the commands of the page, after those of the index that prepare the shell."""
        before = Page(INDEX).blocks("sh") if self.path.is_relative_to(INDEX.parent) else []
        own = [] if self.path == INDEX else self.blocks("sh")
        return "".join([*before, *own])

    @property
    def output(self) -> str:
        return "".join(self.blocks("text"))

    @property
    def secrets(self) -> dict[str, str]:
        """Return the secrets that readers create in the admin, by name."""
        return dict(SECRET.findall(self.text))


def run_script(
    shell: str, script: str, directory: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a script in a shell, in this directory; serve its ``manage.py`` commands meanwhile."""
    address = str(directory / "commands")
    binaries = directory / ".venv" / "bin"
    binaries.mkdir(parents=True)
    shim = binaries / "python"
    shim.write_text(SHIM.format(python=sys.executable, address=address))
    shim.chmod(0o755)
    (binaries / "activate").write_text(f'PATH="{binaries}:$PATH"\n')
    (directory / "tests").symlink_to(DOCS.parent / "tests")
    # Each page starts python3 often. This one starts without a slow wrapper script.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run() -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [*SHELLS[shell], "-euo", "pipefail", "-c", script],
                cwd=directory,
                env={**os.environ, "PATH": path, **variables},
                capture_output=True,
                text=True,
                timeout=60,
            )
        finally:
            with Client(address, "AF_UNIX") as end:
                end.send(None)

    with Listener(address, "AF_UNIX") as listener, ThreadPoolExecutor(1) as pool:
        result = pool.submit(run)
        while True:
            with listener.accept() as connection:
                if not _serve(connection, directory):
                    return result.result()


def _serve(connection: Connection, directory: Path) -> bool:
    """Run one command for the script. Return False when the script has ended."""
    arguments = connection.recv()
    if arguments is None:
        return False
    before = Path.cwd()
    os.chdir(directory)
    try:
        connection.send(main(*arguments))
    finally:
        os.chdir(before)
    return True


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
