"""The files in ``deploy/``: settings, containers, services and the proxy."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet
from django.conf import settings as project

from tests.programs import require_program
from tests.settings.environments import manage, python
from tests.test_reference_pages import settings_rows

ROOT = Path(project.BASE_DIR)
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
# Settings of gunicorn, which Holdfast does not read.
SERVER_SETTINGS = {"WEB_CONCURRENCY", "GUNICORN_BIND"}


def example() -> dict[str, str]:
    """Return the settings of the example, with the values that an operator fills in."""
    text = (DEPLOY / "example.env").read_text()
    found = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    empty = {name for name, value in found.items() if not value}
    assert empty == {"SECRET_KEY", "SECRETS_KEY", "METRICS_TOKEN"}
    found.update(SECRET_KEY="".join(map(str, range(40))), METRICS_TOKEN="a-token")
    found.update(SECRETS_KEY=Fernet.generate_key().decode())
    return found


def test_example_has_every_setting() -> None:
    text = (DEPLOY / "example.env").read_text()
    names = re.findall(r"^#?([A-Z0-9_]+)=", text, re.MULTILINE)
    assert sorted(names) == sorted({*settings_rows(), *SERVER_SETTINGS})


def test_check_deploy_is_clean_with_the_example() -> None:
    done = python(
        str(ROOT / "manage.py"), "check", "--deploy", "--fail-level", "WARNING", **example()
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_example_without_its_secrets_is_refused() -> None:
    done = manage("check", **{**example(), "SECRET_KEY": ""})
    assert done.returncode == 1
    assert "SECRET_KEY is not set" in done.stderr


def own_services() -> list[str]:
    return [name for name, service in SERVICES.items() if service.get("image") == "holdfast"]


@cache
def read_help(*arguments: str) -> str:
    """Return what a program of Python prints with ``--help``."""
    done = python(*arguments, "--help", DEBUG="1", PYTHONSAFEPATH="1")
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_command(words: list[str]) -> None:
    """Run the program of a service with ``--help``, and let it parse the options."""
    program, *arguments = words
    if program == "python":
        known = read_help(str(ROOT / "manage.py"), arguments[1])
    elif program == "gunicorn":
        assert "workflows_project.wsgi" in arguments
        done = subprocess.run(
            [Path(sys.executable).parent / "gunicorn", *arguments, "--check-config"],
            cwd=ROOT,
            env={"DEBUG": "1", "DATABASE_URL": "sqlite://:memory:", "PATH": ""},
            capture_output=True,
            text=True,
        )
        # The configuration is read before the application refuses the empty database.
        assert "migrations are not applied" in done.stderr, done.stderr
        return
    else:
        assert arguments[:2] == ["-A", "workflows_project"]
        known = read_help("-m", "celery", *arguments[:3])
    for option in [word for word in arguments[3:] if word.startswith("-")]:
        assert option in known, option


@pytest.mark.parametrize("name", own_services())
def test_compose_service_has_a_command_that_runs(name: str) -> None:
    check_command(SERVICES[name]["command"])


def test_compose_services_have_health_checks_and_wait_for_the_migrations() -> None:
    for name, service in SERVICES.items():
        if name == "proxy":
            continue
        # The web service has the health check of the image.
        assert "healthcheck" in service or name == "web", name
    for name in own_services():
        if name != "migrate":
            assert SERVICES[name]["depends_on"]["migrate"] == {
                "condition": "service_completed_successfully"
            }
    assert {"web", "worker", "timers", "beat", "postgres", "redis", "proxy"} <= set(SERVICES)


def test_compose_file_mounts_files_that_exist() -> None:
    for mount in SERVICES["proxy"]["volumes"]:
        source = DEPLOY / mount.split(":")[0]
        assert source.exists() or source.name == "certificates"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_is_valid(unit: Path, tmp_path: Path) -> None:
    program = require_program("systemd-analyze")
    # The tool looks for the programs, which are here in another place.
    text = unit.read_text().replace("/opt/holdfast/.venv/bin", str(Path(sys.executable).parent))
    copy = tmp_path / unit.name
    copy.write_text(text)
    done = subprocess.run(
        [program, "verify", "--recursive-errors=no", "--man=no", copy],
        capture_output=True,
        text=True,
    )
    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    assert complaints == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_runs_a_command_that_exists(unit: Path) -> None:
    [line] = re.findall(r"^ExecStart=/opt/holdfast/.venv/bin/(.*)$", unit.read_text(), re.MULTILINE)
    check_command(shlex.split(line.replace("%%", "%")))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_is_hardened(unit: Path) -> None:
    program = require_program("systemd-analyze")
    done = subprocess.run(
        [program, "security", "--offline=yes", "--threshold=30", "--no-pager", unit],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr


@pytest.mark.parametrize("upstream", ["compose", "systemd"])
def test_nginx_accepts_its_configuration(upstream: str, tmp_path: Path) -> None:
    program = require_program("nginx", "/usr/sbin/nginx")
    openssl = require_program("openssl")
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
        + ["-keyout", certificates / "privkey.pem", "-out", certificates / "fullchain.pem"],
        check=True,
        capture_output=True,
    )
    servers = (DEPLOY / "nginx" / f"upstream-{upstream}.conf").read_text()
    # Names of containers are known only to the containers.
    (tmp_path / "upstream.conf").write_text(servers.replace("web:", "127.0.0.1:"))
    host = (DEPLOY / "nginx" / "holdfast.conf").read_text()
    (tmp_path / "host.conf").write_text(host.replace("/etc/nginx/holdfast", str(tmp_path)))
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ include {tmp_path}/host.conf; }}\n"
    )
    done = subprocess.run([program, "-t", "-c", main], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_dockerfile_is_clean() -> None:
    program = require_program("hadolint", str(Path(sys.executable).parent / "hadolint"))
    done = subprocess.run([program, DEPLOY / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_image_contains_what_its_commands_need() -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    for needed in ("manage.py", "requirements.txt", "deploy/gunicorn.conf.py"):
        assert f"!{needed}" in lines and (ROOT / needed).exists()
    apps = {path.parent.name for path in ROOT.glob("*/apps.py")}
    assert {f"!{name}/**" for name in apps} <= set(lines)
