"""Prepared statements behind a pooler in transaction mode."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.utils import timezone

from executions import services as running
from executions.models import Job
from executions.worker import queue
from tests.conftest import Scenario
from tests.factories import form, save_line
from tests.pooler import PORT, Pooler, pooled
from workflows.db import locks
from workflows.db.prepared import UNPREPARED, SharedSession, Statement, shares_sessions
from workflows_project.checks import check_pooler

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

ONE = Statement("SELECT 'one ' || $1", ("text",))
FIRST, SECOND = "first", "second"


class PooledConnections:
    """Two connections, as of two processes, through a pooler to the test database."""

    def __init__(self, directory: Path, stack: ExitStack, *, by_transaction: bool) -> None:
        configured: dict[str, Any] = connection.settings_dict
        server = f"{configured['HOST']}/.s.PGSQL.{configured['PORT'] or PORT}"
        self.pooler: Pooler = stack.enter_context(
            pooled(directory, server, by_transaction=by_transaction)
        )
        for alias in (FIRST, SECOND):
            copy: Any = connections["default"].copy()
            copy.settings_dict.update(HOST=str(directory), PORT=PORT)
            connections[alias] = copy
            stack.callback(self._forget, alias)
            copy.ensure_connection()

    def change_session(self) -> None:
        """Give the next transaction another session."""
        self.pooler.idle.reverse()

    def _forget(self, alias: str) -> None:
        connections[alias].close()
        del connections[alias]


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory whose name is short enough for a socket."""
    return tmp_path_factory.mktemp("pooler")


@pytest.fixture
def transaction_pooling(directory: Path) -> Iterator[PooledConnections]:
    with ExitStack() as stack:
        yield PooledConnections(directory, stack, by_transaction=True)


@pytest.fixture
def session_pooling(directory: Path) -> Iterator[PooledConnections]:
    with ExitStack() as stack:
        yield PooledConnections(directory, stack, by_transaction=False)


@pytest.fixture
def other_process() -> ModuleType:
    """Return ``workflows.db.prepared`` as a new process has it, with nothing prepared."""
    spec = importlib.util.find_spec("workflows.db.prepared")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def is_unprepared(alias: str) -> bool:
    return bool(connections[alias].settings_dict.get(UNPREPARED))


def test_statement_runs_unchanged_when_processes_share_a_session(
    transaction_pooling: PooledConnections, other_process: ModuleType
) -> None:
    two = other_process.Statement("SELECT 'two ' || $1", ("text",))
    for number in range(6):
        assert ONE.execute([number], using=FIRST) == [(f"one {number}",)]
        assert two.execute([number], using=SECOND) == [(f"two {number}",)]
        if number % 2:
            transaction_pooling.change_session()


def test_statement_is_planned_when_another_process_has_prepared_it(
    transaction_pooling: PooledConnections,
    other_process: ModuleType,
    caplog: pytest.LogCaptureFixture,
) -> None:
    same = other_process.Statement(ONE.sql, ONE.types)
    assert ONE.execute(["a"], using=FIRST) == same.execute(["a"], using=SECOND)
    assert not is_unprepared(FIRST) and is_unprepared(SECOND)
    assert "DISABLE_SERVER_SIDE_CURSORS=True" in caplog.text


def test_statement_is_planned_when_its_session_was_reassigned(
    transaction_pooling: PooledConnections, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(4):
        assert ONE.execute([number], using=FIRST) == [(f"one {number}",)]
        transaction_pooling.change_session()
    assert is_unprepared(FIRST)
    assert caplog.text.count("pooler in transaction mode") == 1


def test_statement_raises_when_the_session_changed_before_a_transaction(
    transaction_pooling: PooledConnections,
) -> None:
    ONE.execute(["a"], using=FIRST)
    transaction_pooling.change_session()
    with (
        pytest.raises(SharedSession, match="“default”") as raised,
        transaction.atomic(FIRST),
    ):
        ONE.execute(["b"], using=FIRST)
    assert locks.is_transient(raised.value)
    with transaction.atomic(FIRST):
        assert ONE.execute(["b"], using=FIRST) == [("one b",)]


@pytest.fixture
def product_behind_pooler(
    transaction_pooling: PooledConnections, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PooledConnections]:
    """Connect the product through the pooler without declaring the pooler."""
    connection.close()
    with monkeypatch.context() as patch:
        for name in ("HOST", "PORT"):
            patch.setitem(connection.settings_dict, name, connections[FIRST].settings_dict[name])
        patch.setitem(connection.settings_dict, UNPREPARED, False)
        yield transaction_pooling
        connection.close()


def test_edit_is_retried_when_the_session_changed_before_it(
    scenario: Scenario, product_behind_pooler: PooledConnections
) -> None:
    execution = scenario.start()
    for _ in range(2):
        # Each cancellation takes several statements in one transaction.
        running.cancel(scenario.start())
        product_behind_pooler.change_session()
    assert running.cancel(execution).status == "cancelled"
    assert is_unprepared("default")


@pytest.mark.usefixtures("invariants")
def test_job_is_done_when_the_session_changes_before_each_statement(
    scenario: Scenario, product_behind_pooler: PooledConnections
) -> None:
    save_line(scenario.caller, {"id": "nap", "type": "wait", "data": {"interval": "PT1H"}}, form())

    def on_another_session(execute: Callable[..., Any], *arguments: Any) -> Any:
        if not connection.in_atomic_block:
            product_behind_pooler.change_session()
        return execute(*arguments)

    with connection.execute_wrapper(on_another_session):
        execution = scenario.start()
        assert Job.objects.filter(step__execution=execution).update(due_at=timezone.now()) == 1
        assert queue.serve_due() == 1
        assert running.submit(execution, node="form", data={"note": "n"}).status == "completed"


def test_statement_stays_prepared_when_it_fails() -> None:
    failing = Statement("SELECT 1 / $1", ("int",))
    with pytest.raises(DatabaseError):
        failing.execute([0])
    assert not is_unprepared("default")


def test_statement_name_is_stable() -> None:
    assert ONE.name == "holdfast_8216b5b6c90aaa0960be00ea92f6805634093fce"
    assert len(ONE.name) <= 63


def test_statement_name_depends_on_sql_and_types() -> None:
    others = [
        Statement(ONE.sql, ("varchar",)),
        Statement(ONE.sql, ("text", "text")),
        Statement(ONE.sql + " "),
        Statement(f"{ONE.sql} text"),
    ]
    assert len({ONE.name, *(other.name for other in others)}) == 5


def test_transaction_pooler_is_detected(
    transaction_pooling: PooledConnections,
) -> None:
    assert shares_sessions(FIRST)
    [found] = check_pooler(None, [FIRST])
    assert found.id == "workflows_project.E002"
    transaction_pooling.change_session()
    assert shares_sessions(FIRST)
    connections[FIRST].settings_dict[UNPREPARED] = True
    assert check_pooler(None, [FIRST]) == []


def test_session_pooler_needs_no_setting(session_pooling: PooledConnections) -> None:
    assert check_pooler(None, [FIRST, SECOND]) == []
    assert ONE.execute(["a"], using=FIRST) == [("one a",)]
    assert not is_unprepared(FIRST)


def test_direct_connection_is_not_a_pooler() -> None:
    assert not shares_sessions()
