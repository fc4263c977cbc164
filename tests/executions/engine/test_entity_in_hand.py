"""A start uses the caller's copy of the entity, and compares it when it writes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions import services
from executions.models import Entity, Execution, Finding
from tests.executions.engine.test_branches import source
from tests.factories import FindingFactory, WorkflowFactory
from workflows.db import prepared
from workflows.db.prepared import ON_POSTGRESQL
from workflows.editing import save_graph
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def workflow() -> Workflow:
    """A workflow with a condition on the field ``a`` and a cached closure."""
    workflow = WorkflowFactory()
    rule = {"field": "a", "op": "eq", "value": 1}
    nodes: dict[str, Any] = {
        "start": "start",
        "which": {"type": "condition", "data": {"branches": [{"handle": "one", "rule": rule}]}},
        "one": "user_action",
        "other": "user_action",
        "end": "end",
    }
    edges = ("start>which", "which.one>one", "which.default>other", "one>end", "other>end")
    save_graph(workflow, source(nodes, *edges), based_on=1)
    services.start(workflow, FindingFactory(entity_name_type=workflow.entity_name_type))
    return workflow


@pytest.fixture
def finding(workflow: Workflow) -> Finding:
    """A stored finding with ``a`` set to 1."""
    made = FindingFactory(entity_name_type=workflow.entity_name_type, fields={"a": 1})
    found: Finding = Finding.objects.get(pk=made.pk)
    return found


def current_node(execution: Execution) -> str:
    return execution.steps.open().get().node_id


@pytest.mark.postgresql  # On SQLite, reads happen in the transaction of the write.
def test_start_takes_one_statement_when_the_entity_is_current(
    workflow: Workflow, finding: Finding
) -> None:
    services.start(workflow, finding)
    with CaptureQueriesContext(connection) as captured:
        services.start(workflow, Finding.objects.get(pk=finding.pk))
    assert len(captured) == 2, "the read of the finding, and the start"


@pytest.mark.parametrize(
    "stored",
    [{"a": 2}, {"a": True}, {"a": "1"}, {"a": 1, "b": 2}, {}, {"a": 1.5}, {"a": 10**30}],
)
def test_start_uses_the_stored_fields(
    workflow: Workflow, finding: Finding, stored: dict[str, Any]
) -> None:
    Entity.objects.filter(pk=finding.pk).update(fields=stored)
    fresh = services.start(workflow, Finding.objects.get(pk=finding.pk))
    assert current_node(services.start(workflow, finding)) == current_node(fresh)
    assert finding.fields == {"a": 1}, "the caller's copy is not changed"


@pytest.mark.parametrize(
    "unsaved",
    [{"a": 2}, {"a": Decimal(2)}, {"a": "\0"}, {"a": "\ud800"}, {"a": float("nan")}, None, [1], 3],
    ids=repr,
)
def test_start_ignores_unsaved_fields(workflow: Workflow, finding: Finding, unsaved: Any) -> None:
    finding.fields = unsaved
    assert current_node(services.start(workflow, finding)) == "one"


def test_start_reads_an_entity_with_deferred_fields(workflow: Workflow, finding: Finding) -> None:
    assert (
        current_node(services.start(workflow, Finding.objects.only("title").get(pk=finding.pk)))
        == "one"
    )


def test_reserved_ids_expire(
    workflow: Workflow, finding: Finding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executions.engine.store.postgresql.IDS_LIFETIME", 0)
    prepared.session_data().clear()
    first = services.start(workflow, finding)
    with connection.cursor() as cursor:
        if ON_POSTGRESQL:
            cursor.execute("SELECT nextval(pg_get_serial_sequence('executions_execution', 'id'))")
            others = cursor.fetchone()[0]
            assert services.start(workflow, finding).pk > others > first.pk
        else:
            assert services.start(workflow, finding).pk == first.pk + 1
