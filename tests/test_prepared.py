"""Statements that are prepared once per connection, through the services that use them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from django.test.utils import CaptureQueriesContext

from executions import services as running
from executions.engine.store.write_statement import Shape, write_statement
from executions.models import Execution
from tests.conftest import Scenario
from tests.factories import FindingFactory
from workflows.db.prepared import Statement

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
]


def count_prepared() -> int:
    """Return the number of statements that this connection has prepared."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'holdfast_%'")
        return int(cursor.fetchone()[0])


def enable_health_check() -> None:
    """Let the next query check the connection once, as at the start of a request."""
    current: Any = connection
    current.health_check_enabled, current.health_check_done = True, False


def run_once(scenario: Scenario) -> Execution:
    execution = scenario.start()
    return running.submit(execution, node="form", data={"note": "n"})


def statement_words(scenario: Scenario) -> list[str]:
    """Return the first words of the statements of a start and a submit."""
    with CaptureQueriesContext(connection) as captured:
        assert run_once(scenario).status == "completed"
    return [query["sql"].split()[0] for query in captured]


def test_start_takes_one_statement_and_submit_with_a_call_two(scenario: Scenario) -> None:
    for _ in range(2):
        run_once(scenario)
    # As if the caller had just read it.
    scenario.finding.refresh_from_db()
    assert statement_words(scenario) == ["EXECUTE"] * 3


def test_connection_prepares_statements_once(scenario: Scenario) -> None:
    run_once(scenario)
    run_once(scenario)
    again = statement_words(scenario)
    assert "EXECUTE" in again
    assert "PREPARE" not in again


def test_reopened_connection_prepares_again(scenario: Scenario) -> None:
    run_once(scenario)
    run_once(scenario)
    assert count_prepared() > 0
    connection.close()
    assert count_prepared() == 0
    again = statement_words(scenario)
    assert "PREPARE" in again
    assert count_prepared() > 0


def test_dead_connection_is_reopened_between_requests(scenario: Scenario) -> None:
    execution = scenario.start()
    pid = connection.connection.info.backend_pid
    with connections["default"].copy().cursor() as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    enable_health_check()
    assert running.submit(execution, node="form", data={"note": "n"}).status == "completed"


def test_live_connection_is_not_checked_by_a_query(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = scenario.start()
    checks: list[object] = []
    monkeypatch.setattr(DatabaseWrapper, "is_usable", checks.append)
    enable_health_check()
    assert running.submit(execution, node="form", data={"note": "n"}).status == "completed"
    current: Any = connection
    assert current.health_check_done
    assert not checks


def test_nothing_is_prepared_behind_a_pooler(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    for _ in range(2):
        assert not {"PREPARE", "EXECUTE"} & set(statement_words(scenario))
    assert count_prepared() == 0


def test_statement_stays_prepared_after_a_rollback(scenario: Scenario) -> None:
    connection.close()
    with transaction.atomic():
        run_once(scenario)
        transaction.set_rollback(True)
    assert run_once(scenario).status == "completed"


def test_connection_is_usable_after_a_failed_statement(scenario: Scenario) -> None:
    divide = Statement("SELECT 1 / $1", ("int",))
    for _ in range(2):
        with pytest.raises(DatabaseError):
            divide.execute([0])
        assert divide.execute([1]) == [(1,)]
    with transaction.atomic():
        with pytest.raises(DatabaseError), transaction.atomic():
            divide.execute([0])
        assert divide.execute([1]) == [(1,)]
        assert run_once(scenario).status == "completed"


def test_statement_is_prepared_again_after_a_failed_preparation() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS not_yet")
    late = Statement("SELECT count(*) FROM not_yet")
    with pytest.raises(DatabaseError):
        late.execute()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE not_yet (id int)")
    assert late.execute() == [(0,)]


def test_rejected_start_undoes_only_itself_inside_a_transaction(
    scenario: Scenario,
) -> None:
    run_once(scenario)
    with transaction.atomic():
        finding = FindingFactory(entity_name_type=scenario.limitation)
        with pytest.raises(DatabaseError), transaction.atomic():
            # A key connects the entity with its live executions.
            running.start(scenario.caller, finding)
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM executions_entity WHERE id = %s", [finding.pk])
        assert not finding.executions.exists()
    assert scenario.start().status == "waiting"
    finding.refresh_from_db()


@pytest.mark.postgresql
def test_tables_that_an_advance_writes_are_not_analyzed_while_they_are_small() -> None:
    """A plan made for a few rows would scan the whole table until the next analysis."""
    sql = write_statement("closure", Shape(1, 1, 1, 1, 1, 1, True, True, True)).sql
    written = set(re.findall(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)", sql))
    assert len(written) == 6
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE reloptions @> %s",
            [["autovacuum_analyze_threshold=2000", "autovacuum_vacuum_threshold=2000"]],
        )
        assert written <= {row[0] for row in cursor.fetchall()}
