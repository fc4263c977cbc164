"""Random requests: the API responds as its OpenAPI document says, never with a server error.

A short run each time; ``--hypothesis-profile=long`` sends thousands of requests as every role, on
either database.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis.configuration import storage_directory

from executions import demo
from tests.factories import user_in
from tests.openapi import schema
from workflows_project.auth.roles import ROLES

CONFIG = Path(__file__).parent / "schemathesis.toml"
PASSWORD = "sent with each"
SENT = re.compile(r"(\d+) generated")


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_random_requests_get_described_responses(
    live_server: Any,
    settings: Any,
    pytestconfig: pytest.Config,
    tmp_path: Path,
    vendor: str,
    role: str,
) -> None:
    is_long = pytestconfig.getoption("--hypothesis-profile") == "long"
    # Requests with invalid credentials must not lock the account.
    settings.LOGIN_FAILURES_PER_ACCOUNT = settings.LOGIN_FAILURES_PER_ADDRESS = 0
    if not is_long and (vendor == "sqlite" or role != "administrator"):
        pytest.skip("A short run asks PostgreSQL, as those who may do most.")
    demo.make()
    user = user_in(role, username=role)
    user.set_password(PASSWORD)
    user.save()
    phases = "examples,coverage,fuzzing,stateful" if is_long else "examples,fuzzing,stateful"
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run"]
    # The committed document equals that of the server, which takes seconds to generate it.
    description = tmp_path / "openapi.json"
    description.write_text(json.dumps(schema()))
    command += [str(description), "--url", live_server.url, "--auth", f"{role}:{PASSWORD}"]
    command += ["--checks", "all", "--phases", phases, "--continue-on-failure"]
    command += ["--max-examples", "60" if is_long else "2", "--seed", "1"]
    command += ["--generation-database", "none"]
    # Hypothesis caches its Unicode tables here: without them it needs two more seconds.
    storage = storage_directory(intent_to_write=False).home_directory
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(storage)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    sent = SENT.search(done.stdout)
    assert sent and int(sent[1]) >= (5_000 if is_long else 100), done.stdout[-2_000:]
