"""The list of tasks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions import services
from executions.models import Execution, Step
from tests.executions.assignees import approval_graph, create_member, log_in
from tests.factories import (
    FindingFactory,
    WorkflowFactory,
    accounts,
    call,
    form,
    save_line,
    user_in,
)
from tests.workflows.api.clients import Client, assert_problem
from workflows import editing
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def reader() -> Client:
    return log_in(user_in("viewer"))


def start(workflow: Workflow, **entity: Any) -> Execution:
    finding = FindingFactory(entity_name_type=workflow.entity_name_type, **entity)
    return services.start(workflow, finding)


def start_form(**data: Any) -> Execution:
    workflow = WorkflowFactory()
    save_line(workflow, form(**data))
    return start(workflow)


def cuids(api: Client, **query: Any) -> list[str]:
    answer = api.get("tasks/", query)
    assert answer.status_code == 200, answer.json()
    return [row["execution"] for row in answer.json()["results"]]


def test_task_has_its_execution_and_form(reader: Client) -> None:
    accounts(groups=["empty"])
    execution = start_form(assignees={"groups": ["empty"]}, deadline="P1D", title="Review it")
    (row,) = reader.get("tasks/").json()["results"]
    (step,) = reader.get(f"executions/{execution.cuid}/").json()["open_steps"]
    assert row.pop("cuid") == step["step"]
    assert row.pop("execution") == execution.cuid
    assert row.pop("workflow") == execution.workflow.cuid
    assert row.pop("workflow_title") == execution.workflow.title
    entity = execution.entity
    named = {"cuid": entity.cuid, "title": entity.title, "entity_name": "Finding"}
    assert row.pop("entity") == named
    assert row == {name: step[name] for name in row}
    assert row["unassigned"] and row["due"] and row["form"]["title"] == "Review it"


def test_most_urgent_task_comes_first(reader: Client) -> None:
    late, none, soon = (
        start_form(**data) for data in ({"deadline": "P3D"}, {}, {"deadline": "P1D"})
    )
    order = [soon.cuid, late.cuid, none.cuid]
    assert cuids(reader) == cuids(reader, ordering="due") == order
    assert cuids(reader, ordering="-due") == [late.cuid, soon.cuid, none.cuid]
    assert cuids(reader, ordering="since") == [late.cuid, none.cuid, soon.cuid]
    assert cuids(reader, ordering="-since") == [soon.cuid, none.cuid, late.cuid]


def test_mine_lists_the_steps_that_the_user_may_do() -> None:
    ada = create_member("ada", "board")
    ada.groups.add(*user_in("viewer").groups.all())
    own = start_form(assignees={"groups": ["board"]})
    free = start_form()
    create_member("bob")
    other = start_form(assignees={"users": ["bob"]})
    api = log_in(ada)
    assert cuids(api, mine="true", ordering="since") == [own.cuid, free.cuid]
    assert cuids(api, mine="false") == [other.cuid]


def test_mine_leaves_out_votes_of_excluded_users() -> None:
    ada = create_member("ada", "board")
    ada.groups.add(*user_in("viewer").groups.all())
    workflow = WorkflowFactory()
    source = approval_graph(groups=["board"], exclude=["starter"])
    editing.save_graph(workflow, source, based_on=1)
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    services.start(workflow, finding, by=ada)
    (row,) = log_in(ada).get("tasks/").json()["results"]
    assert row["unassigned"] and cuids(log_in(ada), mine="true") == []


def test_filters_by_claim_workflow_type_and_deadline(reader: Client) -> None:
    ada = create_member("ada")
    claimed = start_form(deadline="P1D")
    services.claim(claimed, node="form", by=ada)
    workflow = WorkflowFactory()
    save_line(workflow, {"id": "nap", "type": "wait", "data": {"interval": "P5D"}})
    asleep = start(workflow)
    (row,) = reader.get("tasks/", {"claimed": "true"}).json()["results"]
    assert (row["execution"], row["claimed_by"]) == (claimed.cuid, "ada")
    assert cuids(reader, claimed="false") == [asleep.cuid]
    assert cuids(reader, workflow=workflow.cuid) == [asleep.cuid]
    kind = claimed.entity.entity_name_type
    assert kind and cuids(reader, finding_type=kind.cuid) == [claimed.cuid]
    assert cuids(reader, type="wait") == [asleep.cuid]
    before = (timezone.now() + timedelta(days=2)).isoformat()
    assert cuids(reader, due_before=before) == [claimed.cuid]
    assert cuids(reader, search=workflow.title) == [asleep.cuid]
    services.submit(claimed, node="form", data={"note": "n"}, by=ada)
    assert cuids(reader) == [asleep.cuid]


def test_calling_step_and_incident_are_listed(reader: Client) -> None:
    callee = WorkflowFactory()
    save_line(callee, form())
    caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
    save_line(caller, call(callee))
    execution = start(caller)
    assert len(cuids(reader)) == 2
    services.cancel(execution.children.get())
    (row,) = reader.get("tasks/").json()["results"]
    assert row["incident"]["code"] == "child_cancelled" and not row["unassigned"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"type": "nope"}, "invalid_choice"),
        ({"mine": "me"}, "invalid_choice"),
        ({"due_before": "soon"}, "invalid"),
        ({"ordering": "due_at"}, "invalid"),
        ({"assignee": "ada"}, "unknown_parameter"),
    ],
)
def test_invalid_parameter_is_refused(reader: Client, query: dict[str, str], code: str) -> None:
    assert_problem(reader.get("tasks/", query), 400, code)


def test_tasks_need_permission_to_read_executions() -> None:
    assert_problem(log_in(create_member("ada")).get("tasks/"), 403, "permission_denied")


def test_tasks_are_available_as_csv(reader: Client) -> None:
    execution = start_form()
    answer = reader.get("tasks/", {"format": "csv", "fields": "cuid,execution,entity"})
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    step = Step.objects.get(execution=execution, node_id="form")
    assert text.splitlines()[0] == "cuid,execution,entity.cuid,entity.title,entity.entity_name"
    assert f"{step.cuid},{execution.cuid}" in text
