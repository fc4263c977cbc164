"""Statements that are prepared once for each connection, through the doors that use them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from django.test.utils import CaptureQueriesContext

from executions import services as running
from executions.models import Execution
from tests.conftest import Scenario
from tests.factories import FindingFactory
from workflows.db.prepared import Statement

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
]


def prepared() -> int:
    """How many statements this connection has prepared."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'holdfast_%'")
        return int(cursor.fetchone()[0])


def let_health_be_checked() -> None:
    """As at the beginning of a request: whether the connection lives is checked once."""
    current: Any = connection
    current.health_check_enabled, current.health_check_done = True, False


def run_once(scenario: Scenario) -> Execution:
    execution = scenario.start()
    return running.submit(execution, node="form", data={"note": "n"})


def said(scenario: Scenario) -> list[str]:
    """How the statements of a start and a submit begin."""
    with CaptureQueriesContext(connection) as captured:
        assert run_once(scenario).status == "completed"
    return [query["sql"].split()[0] for query in captured]


def test_a_start_takes_one_statement_and_a_submit_through_a_call_two(scenario: Scenario) -> None:
    for _ in range(2):
        run_once(scenario)
    # As a caller has it who has just read it.
    scenario.finding.refresh_from_db()
    assert said(scenario) == ["EXECUTE"] * 3


def test_a_connection_prepares_once(scenario: Scenario) -> None:
    run_once(scenario)
    run_once(scenario)
    again = said(scenario)
    assert "EXECUTE" in again
    assert "PREPARE" not in again


def test_a_connection_that_was_closed_and_opened_again_prepares_again(scenario: Scenario) -> None:
    run_once(scenario)
    run_once(scenario)
    assert prepared() > 0
    connection.close()
    assert prepared() == 0
    again = said(scenario)
    assert "PREPARE" in again
    assert prepared() > 0


def test_a_connection_that_died_between_two_requests_is_opened_again(scenario: Scenario) -> None:
    execution = scenario.start()
    pid = connection.connection.info.backend_pid
    with connections["default"].copy().cursor() as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    let_health_be_checked()
    assert running.submit(execution, node="form", data={"note": "n"}).status == "completed"


def test_a_connection_that_lives_is_not_asked_by_a_statement(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = scenario.start()
    asked: list[object] = []
    monkeypatch.setattr(DatabaseWrapper, "is_usable", asked.append)
    let_health_be_checked()
    assert running.submit(execution, node="form", data={"note": "n"}).status == "completed"
    current: Any = connection
    assert current.health_check_done
    assert not asked


def test_behind_a_pooler_nothing_is_prepared(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    for _ in range(2):
        assert not {"PREPARE", "EXECUTE"} & set(said(scenario))
    assert prepared() == 0


def test_what_was_prepared_in_a_transaction_that_is_rolled_back_stays(scenario: Scenario) -> None:
    connection.close()
    with transaction.atomic():
        run_once(scenario)
        transaction.set_rollback(True)
    assert run_once(scenario).status == "completed"


def test_an_error_in_a_statement_leaves_the_connection_usable(scenario: Scenario) -> None:
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


def test_a_statement_that_cannot_be_prepared_is_not_taken_for_prepared() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS not_yet")
    late = Statement("SELECT count(*) FROM not_yet")
    with pytest.raises(DatabaseError):
        late.execute()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE not_yet (id int)")
    assert late.execute() == [(0,)]


def test_a_refusal_of_the_key_inside_a_transaction_undoes_no_more_than_the_start(
    scenario: Scenario,
) -> None:
    run_once(scenario)
    with transaction.atomic():
        kept = FindingFactory(entity_name_type=scenario.limitation)
        with pytest.raises(DatabaseError), transaction.atomic():
            # The entity is bound by a key to what runs on it.
            running.start(scenario.caller, kept)
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM executions_entity WHERE id = %s", [kept.pk])
        assert not kept.executions.exists()
    assert scenario.start().status == "waiting"
    kept.refresh_from_db()
