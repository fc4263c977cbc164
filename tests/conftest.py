"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.servers.basehttp import WSGIRequestHandler
from django.db import connection
from hypothesis import HealthCheck
from hypothesis import settings as properties

from executions import integrity, services
from executions.admin import work_banner
from executions.integrity.safeguards import check_foreign_keys
from executions.models import Execution, Finding
from executions.worker.status import WorkStatus
from tests.databases import django_db_modify_db_settings  # noqa: F401  replaces pytest-django's
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    UserFactory,
    WorkflowFactory,
    call,
    form,
    save_line,
)
from workflows import editing
from workflows.models import FindingType, PendingChange, Workflow

# The time of an example depends only on the machine.
UNTIMED: dict[str, Any] = {
    "database": None,
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
}
properties.register_profile("quick", max_examples=8, derandomize=True, **UNTIMED)
properties.register_profile("long", max_examples=500, print_blob=True, **UNTIMED)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--photographs", help="a folder for pictures of the admin's pages")


def pytest_configure(config: pytest.Config) -> None:
    # The same examples each time; ``--hypothesis-profile=long`` looks for others.
    if not config.getoption("--hypothesis-profile", None):
        properties.load_profile("quick")
    # Strong password hashes are slow, and no test needs them.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Files of forms stay in the memory of the test process.
    settings.STORAGES["default"] = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    # Otherwise the body of an answer waits 40 ms for the client to acknowledge its headers.
    WSGIRequestHandler.disable_nagle_algorithm = True


@pytest.fixture(autouse=True)
def _working_workers() -> None:
    """Let the admin see no fault of background work, so that its pages take no statements for it.

    A test of the banner clears the cache.
    """
    cache.set(work_banner.CACHE_KEY, WorkStatus(0.0, 0.0), None)


@pytest.fixture
def vendor() -> str:
    """The database that the tests run on: ``sqlite`` or ``postgresql``."""
    return connection.vendor


@pytest.fixture
def exchanges(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Compare each exchange of the test with the OpenAPI document; see ``tests.exchanges``."""
    # Most tests need no openapi-core, which takes long to import.
    from tests.exchanges import compare_exchanges

    yield from compare_exchanges(monkeypatch)


@dataclass
class Scenario:
    """The scenario of the report: workflow 4 waits at a form, then calls workflow 3."""

    limitation: FindingType
    exception: FindingType
    callee: Workflow
    caller: Workflow
    finding: Finding

    def start(self) -> Execution:
        return services.start(self.caller, self.finding)

    def hold(self, *workflows: Workflow, **options: Any) -> editing.ContextChangeResult:
        """Put a change to the other type on hold, for both workflows or for these."""
        return editing.change_entity_context(
            workflows or [self.caller, self.callee],
            **{"entity_name_type": self.exception, "when": "drained", **options},
        )


@pytest.fixture
def scenario(db: None) -> Scenario:
    limitation = FindingTypeFactory(name="Model Limitation")
    exception = FindingTypeFactory(name="Policy Exception")
    callee = WorkflowFactory(title="Workflow 3", entity_name_type=limitation)
    caller = WorkflowFactory(title="Workflow 4", entity_name_type=limitation)
    save_line(caller, form(), call(callee))
    finding = FindingFactory(title="Finding 1", entity_name_type=limitation)
    return Scenario(limitation, exception, callee, caller, finding)


@pytest.fixture
def pending(scenario: Scenario) -> PendingChange:
    """A pending change of both workflows, which an execution of the caller blocks."""
    scenario.start()
    found = scenario.hold(by=UserFactory(username="ada"), why="Reclassified").pending
    assert found is not None
    return found


@pytest.fixture
def invariants(db: None) -> Iterator[None]:
    """Check every invariant after the test, and every key if the test is rolled back.

    The keys of a committed test are checked when it commits.
    """
    yield
    if connection.in_atomic_block:
        connection.check_constraints()
    with integrity.stable_snapshot():
        # The database has already checked its foreign keys, here or at each commit.
        checks = [check for check in integrity.INVARIANTS if check is not check_foreign_keys]
        assert [violation for check in checks for violation in check()] == []
