"""The tutorials and how-to guides: their commands print what the pages say, in bash and zsh."""

from __future__ import annotations

import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet
from django.conf import settings as project
from django.core.management import get_commands, load_command_class
from django.db import connection
from django.test import Client

from tests.commands import run
from tests.guide import DOCS, INDEX, PAGES, SHELLS, Page, find_free_port, run_script
from tests.programs import require_program
from workflows_project.auth.roles import ROLES

PASSWORD = "in the guide"
NAMES = [Page(path).name for path in PAGES]
WITH_SCRIPT = [name for name in NAMES if Page(DOCS / name).blocks("sh")]
# Code, and commands of programs that the project does not install, are in the last three.
SYSTEM_PROGRAMS = {"cp", "docker", "systemctl", "/opt/holdfast/.venv/bin/pip"}
# Variables of compose.yaml.
OTHER_VARIABLES = {"POSTGRES_PASSWORD"}
# Graphs in JSON are run by the tests of patterns.
LANGUAGES = {"sh", "text", "console", "yaml", "bash", "python", "typescript", "json"}
ROOT = Path(project.BASE_DIR)


@pytest.mark.sqlite
@pytest.mark.parametrize("name", WITH_SCRIPT)
@pytest.mark.parametrize("shell", SHELLS)
def test_commands_of_page_print_what_it_says(
    live_server: Any,
    settings: Any,
    client: Client,
    tmp_path: Path,
    quickstart: sqlite3.Connection,
    shell: str,
    name: str,
) -> None:
    require_program(shell)
    page, port = Page(DOCS / name), str(find_free_port())
    settings.HTTP_REQUEST_HOSTS = [f"127.0.0.1:{port}"]
    settings.HTTP_REQUEST_ALLOW_HTTP = settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    load_quickstart(quickstart, settings)
    add_secrets(client, page.secrets)
    variables = {"HOLDFAST": live_server.url, "PASSWORD": PASSWORD, "PORT": port}
    done = run_script(shell, page.script, tmp_path, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.replace("\r\n", "\n") == page.output, done.stderr


@pytest.fixture(scope="module")
def quickstart() -> Iterator[sqlite3.Connection]:
    """A database for the data that ``quickstart`` leaves, which are created once."""
    with closing(sqlite3.connect(":memory:")) as copy:
        yield copy


def load_quickstart(copy: sqlite3.Connection, settings: Any) -> None:
    if copy.execute("SELECT 1 FROM sqlite_master").fetchone():
        copy.backup(connection.connection)
        return
    run("create_roles")  # a migration makes them, and a test before may have deleted them
    settings.DEBUG = True
    run("quickstart", no_serve=True, password=PASSWORD)
    settings.DEBUG = False
    connection.connection.backup(copy)


def add_secrets(client: Client, secrets: dict[str, str]) -> None:
    """Create secrets as an administrator does in the admin."""
    client.login(username="administrator", password=PASSWORD)
    for name, value in secrets.items():
        form = {"name": name, "value": value, "hosts": ""}
        response = client.post("/admin/executions/secret/add/", form)
        assert response.status_code == 302, response.content.decode()


@pytest.mark.parametrize("name", NAMES)
def test_every_block_of_page_is_run_or_checked(name: str) -> None:
    page, install = Page(DOCS / name), install_command()
    assert page.languages <= LANGUAGES
    for block in page.blocks("sh"):
        # An interactive zsh does not know comments.
        assert not re.search(r"^\s*# ", block, re.MULTILINE)
    for block in page.blocks("console"):
        for line in block.splitlines():
            if line != install:
                check_service(shlex.split(line))


def check_service(words: list[str]) -> None:
    """Check a command that runs until it is stopped: its settings, program and options."""
    files = (
        ROOT / "workflows_project" / f"{name}.py"
        for name in ("settings", "environment", "ops/metrics")
    )
    declared = "".join(path.read_text() for path in files)
    if words[0] in SYSTEM_PROGRAMS:
        check_system_command(words)
        return
    words = words[1:] if words[0] == "export" else words
    while words and re.match(r"[A-Z_]+=", words[0]):
        variable = words.pop(0).split("=")[0]
        assert f'"{variable.removesuffix("_FILE")}"' in declared or variable in OTHER_VARIABLES
    if words[:3] == ["python", "-m", "venv"]:
        return
    if words[:2] == ["python", "manage.py"]:
        name, *arguments = words[2:]
        command = load_command_class(get_commands()[name], name)
        command.create_parser("manage.py", name).parse_args(arguments)
    elif words:
        assert words[0] in {"celery", "gunicorn"}, words
        assert any(word.startswith("workflows_project") for word in words)


def check_system_command(words: list[str]) -> None:
    """Check that a command of another program names files and services that exist."""
    units = {path.stem for path in ROOT.glob("deploy/systemd/*.service")}
    for word in words:
        if word.startswith("deploy/"):
            assert (ROOT / word).exists(), word
        if word.startswith("holdfast-"):
            assert word in units, word
    if words[:2] == ["docker", "compose"] and "exec" in words:
        service, *command = words[words.index("exec") + 1 :]
        services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
        assert service in services
        check_service(command)


def test_every_role_has_a_page() -> None:
    assert {f"how-to/{role}.md" for role in ROLES} <= {*NAMES}


def test_index_links_every_how_to_page() -> None:
    linked = set(re.findall(r"\]\(([\w./-]+\.md)", INDEX.read_text()))
    assert {str(path.relative_to(INDEX.parent)) for path in INDEX.parent.rglob("*.md")} - {
        "index.md"
    } <= linked


def test_website_has_every_page_in_its_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text()
    pages = [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")]
    assert [page for page in pages if page not in nav] == []


def test_tutorial_has_the_install_command_of_the_readme() -> None:
    assert install_command() in (DOCS / "tutorial" / "first-workflow.md").read_text()


def install_command() -> str:
    readme = (ROOT / "README.md").read_text()
    return next(line for line in readme.splitlines() if "manage.py quickstart" in line)


def test_tests_that_the_patterns_page_names_exist() -> None:
    named = re.findall(r"`(test_\w+?)(?:\.py)?`", Page(DOCS / "how-to" / "patterns.md").text)
    sources = "".join(path.read_text() for path in ROOT.glob("tests/executions/engine/*.py"))
    files = {path.stem for path in ROOT.glob("tests/executions/engine/*.py")}
    assert (
        named
        and [name for name in named if f"def {name}(" not in sources and name not in files] == []
    )


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_python_client_prints_what_curl_prints(
    live_server: Any,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
    quickstart: sqlite3.Connection,
) -> None:
    page = Page(DOCS / "how-to" / "python-client.md")
    load_quickstart(quickstart, settings)
    monkeypatch.setenv("HOLDFAST", live_server.url)
    monkeypatch.setenv("PASSWORD", PASSWORD)
    capsys.readouterr()
    namespace: dict[str, Any] = {}
    exec("\n".join(page.blocks("python")), namespace)
    assert capsys.readouterr().out == page.output
    namespace["client"].close()
