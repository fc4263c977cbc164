"""The number of statements on the hot paths, for any number of executions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken

from executions import services as running
from executions import workflow_manager
from executions.engine.store.postgresql import _RESERVE_IDS
from executions.models import Execution
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    WorkflowFactory,
    call,
    form,
    line,
    save_line,
    user_in,
)
from tests.workflows.api.clients import Client, client_of
from workflows import editing, guards
from workflows.db import prepared
from workflows.models import StoredAnswer

pytestmark = pytest.mark.django_db(transaction=True)

CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PREPARE")


def statements(function: Callable[[], Any]) -> int:
    """Return the number of statements with empty caches, without transaction control."""
    workflow_manager._graphs.clear()
    # Reserved ids would save a statement.
    prepared.session_data().clear()
    with CaptureQueriesContext(connection) as captured:
        function()
    return sum(not query["sql"].startswith(CONTROL) for query in captured)


@pytest.mark.parametrize("others", [0, 30])
def test_start_and_submit_take_at_most_twelve_statements(others: int) -> None:
    workflow = WorkflowFactory()
    save_line(workflow, form())
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    for _ in range(others):
        running.start(workflow, finding)
    started = []
    assert statements(lambda: started.append(running.start(workflow, finding))) <= 12
    submit = statements(lambda: running.submit(started[0], node="form", data={"note": "n"}))
    assert submit <= 12


@pytest.fixture
def ordinary(transactional_db: None) -> Client:
    """A client with a token of a user whose permissions come from two groups."""
    user = user_in("operator")
    user.groups.add(*user_in("participant").groups.all())
    client = Client()
    client.credentials(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(user=user)[1]}")
    return client


def start_and_submit(client: Client, scenario: Scenario, **headers: str) -> list[list[str]]:
    """Return the statements of a start and of a submit, with warm caches."""
    found = []
    for number in range(2):
        keys: Any = {"headers": {name: f"{value}{number}" for name, value in headers.items()}}
        body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
        with CaptureQueriesContext(connection) as start:
            started = client.post("executions/", body, **keys)
        assert started.status_code == 201
        path = f"executions/{started.json()['cuid']}/submit/"
        with CaptureQueriesContext(connection) as submit:
            submitted = client.post(path, {"node": "form", "data": {"note": "n"}}, **keys)
        assert submitted.json()["status"] == "completed"
        found = [[query["sql"] for query in captured] for captured in (start, submit)]
    # Ids of executions are reserved ahead, once a second; the clock is read every ten.
    seldom = ("PREPARE", f"EXECUTE {_RESERVE_IDS.name}", "SELECT clock_timestamp()")
    return [[sql for sql in sqls if not sql.startswith(seldom)] for sqls in found]


@pytest.mark.postgresql
def test_start_and_submit_of_an_ordinary_user_take_three_statements(
    ordinary: Client, scenario: Scenario
) -> None:
    start, submit = start_and_submit(ordinary, scenario)
    # The token with user and permissions; what is started or submitted; the write.
    assert (len(start), len(submit)) == (3, 3)


@pytest.mark.postgresql
def test_idempotency_key_of_a_start_or_submit_takes_no_further_statement(
    ordinary: Client, scenario: Scenario
) -> None:
    start, submit = start_and_submit(ordinary, scenario, **{"Idempotency-Key": "k"})
    assert (len(start), len(submit)) == (3, 3)
    assert StoredAnswer.objects.count() == 4, "two of them from the first time"


@pytest.mark.postgresql
def test_session_takes_a_statement_for_itself_and_one_for_its_answer(scenario: Scenario) -> None:
    client = client_of(superuser=True)
    start, submit = start_and_submit(client, scenario)
    assert (len(start), len(submit)) == (3 + 1, 3 + 2)


def test_submit_through_a_call_takes_at_most_thirteen_statements(scenario: Scenario) -> None:
    execution = scenario.start()
    assert statements(lambda: running.submit(execution, node="form", data={"note": "n"})) <= 13


@pytest.mark.parametrize("others", [0, 30])
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_refused_type_change_takes_at_most_fourteen_statements(
    scenario: Scenario, who: str, others: int
) -> None:
    for _ in range(others + 1):
        scenario.start()
    workflow = getattr(scenario, who)
    kind = FindingTypeFactory()

    workflow.refresh_from_db()

    def change() -> None:
        workflow.entity_name_type = kind
        with pytest.raises(guards.Refusal):
            workflow.save()

    assert statements(change) <= 14


@pytest.mark.both_databases
def test_execution_without_variables_and_optional_exits_takes_exactly_these_statements(
    scenario: Scenario,
) -> None:
    """Start, condition, form, stored waiting; submit, set field, call, end: with warm caches."""
    rule = {"field": "severity", "op": "gte", "value": 3}
    way = {"branches": [{"handle": "high", "rule": rule}]}
    source = line(
        {"id": "way", "type": "condition", "data": way},
        form(),
        {"id": "set", "type": "set_field", "data": {"values": {"done": True}}},
        call(scenario.callee),
    )
    source["edges"][1]["sourceHandle"] = "high"
    source["edges"].append({"source": "way", "target": "end", "sourceHandle": "default"})
    editing.save_graph(scenario.caller, source, based_on=scenario.caller.latest_version.number)
    counts: list[int] = []
    # The first executions fill the caches.
    for _ in range(3):
        kind = scenario.caller.entity_name_type
        finding = FindingFactory(entity_name_type=kind, fields={"severity": 5})
        started: list[Execution] = []
        with CaptureQueriesContext(connection) as of_start:
            started.append(running.start(scenario.caller, finding))
        with CaptureQueriesContext(connection) as of_submit:
            running.submit(started[0], node="form", data={"note": "n"})
        counts = [
            sum(not query["sql"].startswith(CONTROL) for query in captured)
            for captured in (of_start, of_submit)
        ]
    assert counts == {"postgresql": [1, 2], "sqlite": [6, 9]}[connection.vendor]
