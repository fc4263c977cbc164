"""Prepared statements behind a pooler that gives a session to each transaction."""

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
from tests.factories import drawn, form
from tests.pooler import PORT, Pooler, pooled
from workflows.db import locks
from workflows.db.prepared import UNPREPARED, SharedSession, Statement, shares_sessions
from workflows_project.checks import pooler_is_known

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

ONE = Statement("SELECT 'one ' || $1", ("text",))
FIRST, SECOND = "first", "second"


class Pooled:
    """Two connections, as of two processes, and the pooler before the test's database."""

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
        """Let the next transaction have another session than the last had."""
        self.pooler.idle.reverse()

    def _forget(self, alias: str) -> None:
        connections[alias].close()
        del connections[alias]


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose name is short enough for a socket."""
    return tmp_path_factory.mktemp("pooler")


@pytest.fixture
def by_transaction(directory: Path) -> Iterator[Pooled]:
    with ExitStack() as stack:
        yield Pooled(directory, stack, by_transaction=True)


@pytest.fixture
def by_session(directory: Path) -> Iterator[Pooled]:
    with ExitStack() as stack:
        yield Pooled(directory, stack, by_transaction=False)


@pytest.fixture
def another_process() -> ModuleType:
    """``workflows.db.prepared`` as another process has it, which has prepared nothing yet."""
    spec = importlib.util.find_spec("workflows.db.prepared")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def is_unprepared(alias: str) -> bool:
    return bool(connections[alias].settings_dict.get(UNPREPARED))


def test_statement_runs_as_itself_when_processes_share_a_session(
    by_transaction: Pooled, another_process: ModuleType
) -> None:
    two = another_process.Statement("SELECT 'two ' || $1", ("text",))
    for number in range(6):
        assert ONE.execute([number], using=FIRST) == [(f"one {number}",)]
        assert two.execute([number], using=SECOND) == [(f"two {number}",)]
        if number % 2:
            by_transaction.change_session()


def test_statement_is_planned_when_another_process_has_prepared_it(
    by_transaction: Pooled, another_process: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    same = another_process.Statement(ONE.sql, ONE.types)
    assert ONE.execute(["a"], using=FIRST) == same.execute(["a"], using=SECOND)
    assert not is_unprepared(FIRST) and is_unprepared(SECOND)
    assert "DISABLE_SERVER_SIDE_CURSORS=True" in caplog.text


def test_statement_is_planned_when_its_session_was_given_to_others(
    by_transaction: Pooled, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(4):
        assert ONE.execute([number], using=FIRST) == [(f"one {number}",)]
        by_transaction.change_session()
    assert is_unprepared(FIRST)
    assert caplog.text.count("pooler in transaction mode") == 1


def test_statement_fails_loudly_when_the_session_changed_before_a_transaction(
    by_transaction: Pooled,
) -> None:
    ONE.execute(["a"], using=FIRST)
    by_transaction.change_session()
    with (
        pytest.raises(SharedSession, match="“default”") as raised,
        transaction.atomic(FIRST),
    ):
        ONE.execute(["b"], using=FIRST)
    assert locks.is_transient(raised.value)
    with transaction.atomic(FIRST):
        assert ONE.execute(["b"], using=FIRST) == [("one b",)]


@pytest.fixture
def product(by_transaction: Pooled, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pooled]:
    """The pooler before all that the product does; nobody has told it so."""
    connection.close()
    with monkeypatch.context() as patch:
        for name in ("HOST", "PORT"):
            patch.setitem(connection.settings_dict, name, connections[FIRST].settings_dict[name])
        patch.setitem(connection.settings_dict, UNPREPARED, False)
        yield by_transaction
        connection.close()


def test_edit_begins_anew_when_the_session_changed_before_it(
    scenario: Scenario, product: Pooled
) -> None:
    execution = scenario.start()
    for _ in range(2):
        # Each takes several statements in one transaction.
        running.cancel(scenario.start())
        product.change_session()
    assert running.cancel(execution).status == "cancelled"
    assert is_unprepared("default")


@pytest.mark.usefixtures("laws")
def test_job_is_kept_and_done_when_the_session_changes_before_each_statement(
    scenario: Scenario, product: Pooled
) -> None:
    drawn(scenario.caller, {"id": "nap", "type": "wait", "data": {"interval": "PT1H"}}, form())

    def on_another_session(execute: Callable[..., Any], *arguments: Any) -> Any:
        if not connection.in_atomic_block:
            product.change_session()
        return execute(*arguments)

    with connection.execute_wrapper(on_another_session):
        execution = scenario.start()
        assert Job.objects.filter(step__execution=execution).update(due_at=timezone.now()) == 1
        assert queue.serve_due() == 1
        assert running.submit(execution, node="form", data={"note": "n"}).status == "completed"


def test_statement_stays_prepared_when_it_fails_by_itself() -> None:
    failing = Statement("SELECT 1 / $1", ("int",))
    with pytest.raises(DatabaseError):
        failing.execute([0])
    assert not is_unprepared("default")


def test_name_of_a_statement_is_the_same_in_every_process_and_release() -> None:
    assert ONE.name == "holdfast_8216b5b6c90aaa0960be00ea92f6805634093fce"
    assert len(ONE.name) <= 63


def test_name_of_a_statement_differs_when_its_sql_or_its_types_do() -> None:
    others = [
        Statement(ONE.sql, ("varchar",)),
        Statement(ONE.sql, ("text", "text")),
        Statement(ONE.sql + " "),
        Statement(f"{ONE.sql} text"),
    ]
    assert len({ONE.name, *(other.name for other in others)}) == 5


def test_pooler_is_found_when_it_gives_a_session_to_each_transaction(
    by_transaction: Pooled,
) -> None:
    assert shares_sessions(FIRST)
    [found] = pooler_is_known(None, [FIRST])
    assert found.id == "workflows_project.E002"
    by_transaction.change_session()
    assert shares_sessions(FIRST)
    connections[FIRST].settings_dict[UNPREPARED] = True
    assert pooler_is_known(None, [FIRST]) == []


def test_pooler_by_the_session_is_none_that_has_to_be_known(by_session: Pooled) -> None:
    assert pooler_is_known(None, [FIRST, SECOND]) == []
    assert ONE.execute(["a"], using=FIRST) == [("one a",)]
    assert not is_unprepared(FIRST)


def test_server_itself_is_no_pooler() -> None:
    assert not shares_sessions()
