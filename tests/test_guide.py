"""The guide is true: its commands are run as they stand, and print what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from executions import demo, services
from tests.factories import UserFactory, user_in
from workflows_project.auth.roles import ROLES

GUIDE = Path(__file__).parent.parent / "docs" / "how-to"
PAGES = sorted(path.stem for path in GUIDE.glob("*.md") if path.stem != "README")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PASSWORD = "in the guide"


def blocks(page: str) -> list[tuple[str, str]]:
    """What stands on a page in its fences: the language and the text."""
    return BLOCK.findall((GUIDE / f"{page}.md").read_text())


def test_every_role_has_a_page() -> None:
    assert {*ROLES} <= {*PAGES}
    assert all(f"]({page}.md)" in (GUIDE / "README.md").read_text() for page in PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_the_page_print_what_it_says(live_server: Any, page: str) -> None:
    for role in ROLES:
        who(role, role)
    if page == "first-execution":
        who("everything", *ROLES)
    else:
        played = demo.make()[0]
        services.start(played.caller, played.finding)
    commands = [text for language, text in blocks("README") if language == "sh"]
    said: list[str] = []
    for language, text in blocks(page):
        (commands if language == "sh" else said).append(text)
    user = "everything" if page == "first-execution" else "operator"
    script = "".join(commands).replace('"operator:', f'"{user}:')
    # Each line of the guide starts python3. This one starts without a slow wrapper script.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=GUIDE.parent.parent,
        env={**os.environ, "PATH": path, "HOLDFAST": live_server.url, "PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace("\r\n", "\n") == "".join(said), done.stderr


def who(name: str, *roles: str) -> None:
    """A user with these roles, and the password of the guide."""
    user = UserFactory(username=name)
    user.set_password(PASSWORD)
    user.save()
    for role in roles:
        user.groups.add(user_in(role, username=f"{name} {role}").groups.get())
