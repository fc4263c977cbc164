"""Events for webhooks: the database queues them in the transaction of the change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from executions import services as running
from executions.models import Execution, OutgoingDelivery, Subscription
from executions.services.merging import merge_finding_types
from executions.webhooks import outgoing
from tests.conftest import Scenario
from tests.executions.assignees import start_approval
from tests.executions.receivers import create_webhook, queued_events
from tests.factories import (
    FindingFactory,
    RecordTypeFactory,
    WorkflowFactory,
    call,
    end_unseen,
    form,
    save_line,
    voter,
)
from tests.test_query_counts import statements
from tests.test_written_statements import written
from workflows import editing, guards
from workflows.models import AuditEntry

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("invariants", "allowed"),
]

FAILS = {"id": "fail", "type": "fail", "data": {"message": "no"}}


@pytest.fixture
def allowed(settings: Any) -> None:
    settings.HTTP_REQUEST_HOSTS = ["hooks.example"]
    settings.SECRETS_KEY = ["0" * 43 + "="]


def add_webhook(**fields: Any) -> Subscription:
    return create_webhook("https://hooks.example/queued_events", **fields)[0]


def start_failing() -> dict[str, Any]:
    nodes = [{"id": "start", "type": "start"}, FAILS]
    return {"nodes": nodes, "edges": [{"source": "start", "target": "fail"}]}


def test_events_of_execution_are_queued_in_order(scenario: Scenario) -> None:
    add_webhook()
    execution = scenario.start()
    assert queued_events() == ["execution.started", "execution.waiting"]
    running.submit(execution, node="form", data={"note": "n"})
    row = OutgoingDelivery.objects.get(event="execution.completed", data__execution=execution.cuid)
    assert row.data == {
        "execution": execution.cuid,
        "status": "completed",
        "workflow": scenario.caller.cuid,
        "version": execution.version.number,
        "entity": scenario.finding.cuid,
        "root": None,
        "parent": None,
        "item": None,
    }
    child = execution.children.get()
    of_child = OutgoingDelivery.objects.filter(data__execution=child.cuid).order_by("pk")
    assert [one.event for one in of_child] == ["execution.started", "execution.completed"]
    assert {one.data["parent"] for one in of_child} == {execution.cuid}
    running.cancel(scenario.start())
    assert queued_events()[-1] == "execution.cancelled"
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    editing.save_graph(workflow, start_failing(), based_on=1)
    running.start(workflow, scenario.finding)
    assert queued_events()[-2:] == ["execution.started", "execution.failed"]


def test_scheduled_execution_queues_started_event_when_it_begins(scenario: Scenario) -> None:
    add_webhook()
    at = timezone.now() + timedelta(hours=1)
    later = running.start(scenario.caller, scenario.finding, scheduled_for=at)
    other = running.start(scenario.caller, scenario.finding, scheduled_for=at)
    assert queued_events() == []
    running.wake(later, node="start")
    assert queued_events() == ["execution.started", "execution.waiting"]
    running.cancel(other)
    assert queued_events() == ["execution.started", "execution.waiting", "execution.cancelled"]


def test_raw_sql_queues_event(scenario: Scenario) -> None:
    execution = scenario.start()
    add_webhook()
    end_unseen(execution)
    assert queued_events() == ["execution.cancelled"]
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("UPDATE executions_execution SET stage = 'x' WHERE id = %s", [execution.pk])
    assert queued_events() == ["execution.cancelled"]


def test_rollback_queues_nothing(scenario: Scenario) -> None:
    add_webhook()
    with pytest.raises(RuntimeError), transaction.atomic():
        scenario.start()
        assert queued_events() == ["execution.started", "execution.waiting"]
        raise RuntimeError
    assert queued_events() == [] and not Execution.objects.exists()


def test_webhook_gets_only_its_events(scenario: Scenario) -> None:
    other = FindingFactory()
    rows = {
        "one event": add_webhook(events=["execution.waiting"]),
        "the workflow": add_webhook(workflow=scenario.caller),
        "another workflow": add_webhook(workflow=scenario.callee),
        "the type": add_webhook(entity_name_type=scenario.limitation),
        "another type": add_webhook(entity_name_type=other.entity_name_type),
        "nothing any more": add_webhook(state="disabled"),
    }
    scenario.start()
    both = ["execution.started", "execution.waiting"]
    assert {name: queued_events(subscription=row) for name, row in rows.items()} == {
        "one event": ["execution.waiting"],
        "the workflow": both,
        "another workflow": [],
        "the type": both,
        "another type": [],
        "nothing any more": [],
    }


class TestChanges:
    def test_refused_and_applied_changes_queue_events(self, scenario: Scenario) -> None:
        execution = scenario.start()
        add_webhook(events=["change.applied", "change.refused"])
        with pytest.raises(guards.ActiveExecutions):
            editing.change_entity_context(
                [scenario.caller, scenario.callee], entity_name_type=scenario.exception
            )
        refused = list(OutgoingDelivery.objects.order_by("pk"))
        assert {row.data["workflow"] for row in refused} == {
            scenario.caller.cuid,
            scenario.callee.cuid,
        }
        context = {"entity_name": "Finding", "primary_record_type_id": None}
        for row in refused:
            assert row.event == "change.refused"
            assert row.data["code"] == "active_executions"
            assert row.data["from"] == {**context, "entity_name_type": scenario.limitation.cuid}
            assert row.data["to"] == {**context, "entity_name_type": scenario.exception.cuid}
        scenario.hold()
        assert queued_events() == ["change.refused"] * 2
        running.cancel(execution)
        assert queued_events() == ["change.refused"] * 2 + ["change.applied"] * 2
        applied = OutgoingDelivery.objects.first()
        assert applied is not None and "code" not in applied.data
        assert applied.data["to"]["entity_name_type"] == scenario.exception.cuid

    def test_change_to_record_type_queues_event(self, scenario: Scenario) -> None:
        add_webhook(events=["change.applied"])
        workflow, kind = WorkflowFactory(), RecordTypeFactory()
        editing.change_entity_context([workflow], primary_record_type=kind)
        assert OutgoingDelivery.objects.get().data["to"] == {
            "entity_name": "InventoryModel",
            "entity_name_type": None,
            "primary_record_type_id": kind.cuid,
        }

    def test_failed_change_on_hold_queues_refused_event(self, scenario: Scenario) -> None:
        execution = scenario.start()
        scenario.hold()
        add_webhook(events=["change.applied", "change.refused"])
        save_line(scenario.callee, call(WorkflowFactory(entity_name_type=scenario.limitation)))
        running.cancel(execution)
        rows = list(OutgoingDelivery.objects.all())
        assert [(row.event, row.data["code"]) for row in rows] == [
            ("change.refused", "incompatible_entity_types")
        ] * 2

    def test_other_edits_and_refusals_queue_nothing(self, scenario: Scenario) -> None:
        scenario.start()
        add_webhook(events=["change.applied", "change.refused"])
        scenario.caller.title = "t"
        scenario.caller.save()
        scenario.callee.state = "retired"
        with pytest.raises(guards.Refusal):
            scenario.callee.save()
        assert queued_events() == []

    def test_change_event_goes_to_webhooks_of_the_type(self, scenario: Scenario) -> None:
        names = ["change.applied", "change.refused"]
        old = add_webhook(events=names, entity_name_type=scenario.limitation)
        new = add_webhook(events=names, entity_name_type=scenario.exception)
        other = add_webhook(events=names, entity_name_type=WorkflowFactory().entity_name_type)
        scenario.start()
        scenario.hold()
        scenario.caller.entity_name_type = scenario.exception
        with pytest.raises(guards.Refusal):
            scenario.caller.save()
        assert [queued_events(subscription=row) for row in (old, new, other)] == [
            ["change.refused"],
            ["change.refused"],
            [],
        ]


class TestStatements:
    @pytest.mark.parametrize("listeners", [0, 3])
    def test_start_and_submit_take_no_further_statement(
        self, scenario: Scenario, listeners: int
    ) -> None:
        def both() -> list[int]:
            made: list[Execution] = []
            start = statements(lambda: made.append(scenario.start()))
            submit = statements(lambda: running.submit(made[0], node="form", data={"note": "n"}))
            return [start, submit]

        both()
        before = both()
        for _ in range(listeners):
            add_webhook()
        assert both() == before
        assert bool(queued_events()) == bool(listeners)

    def test_start_writes_no_further_statement(self, scenario: Scenario) -> None:
        # The first start stores the closure.
        scenario.start()
        before = len(written(scenario.start))
        add_webhook()
        assert len(written(scenario.start)) == before

    def test_start_succeeds_when_webhook_is_deleted_meanwhile(self, scenario: Scenario) -> None:
        row = add_webhook()
        with transaction.atomic():
            scenario.start()
            # Simulates another transaction that deletes the webhook and commits first.
            row.secrets.all().delete()
            Subscription._base_manager.filter(pk=row.pk)._raw_delete("default")
        assert Execution.objects.live().count() == 1
        assert outgoing.purge_outgoing_deliveries() == 0


class TestWebhooks:
    @pytest.mark.parametrize("events", [[], ["execution.launched"], "execution.started", [1]])
    def test_unknown_event_is_refused(self, db: None, events: Any) -> None:
        with pytest.raises(ValidationError) as caught:
            add_webhook(events=events)
        assert caught.value.code == "invalid_webhook"
        assert not Subscription.objects.exists()

    @pytest.mark.parametrize(
        "url",
        [
            "http://hooks.example/",
            "https://other.example/",
            "https://user:pass@hooks.example/",
            "https://hooks.example/ a",
            "nonsense",
            "",
        ],
    )
    def test_disallowed_url_is_refused(self, db: None, url: str) -> None:
        with pytest.raises(ValidationError) as caught:
            create_webhook(url)
        assert caught.value.code == "webhook_url_refused"
        assert not Subscription.objects.exists()

    def test_activation_resets_failures(self, db: None) -> None:
        row = add_webhook()
        failed = {"state": "disabled", "given_up_in_a_row": 5, "disabled_because": "why"}
        Subscription._base_manager.filter(pk=row.pk).update(**failed)
        row.refresh_from_db()
        row.state = "active"
        row.save(update_fields=["state"])
        row.refresh_from_db()
        assert (row.given_up_in_a_row, row.disabled_because) == (0, "")


def test_webhook_of_workflow_is_deleted_with_it(scenario: Scenario) -> None:
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(workflow, form())
    add_webhook(workflow=workflow)
    workflow.delete()
    assert not Subscription.objects.exists()


def test_webhook_of_merged_type_gets_target_type(scenario: Scenario) -> None:
    row = add_webhook(entity_name_type=scenario.limitation)
    merge_finding_types(scenario.limitation, scenario.exception)
    row.refresh_from_db()
    assert row.entity_name_type == scenario.exception
    scenario.start()
    assert queued_events() == ["change.applied"] * 2 + ["execution.started", "execution.waiting"]


def test_events_about_a_step_name_it(scenario: Scenario) -> None:
    ada = voter("ada")
    execution = scenario.start()
    add_webhook()
    step = execution.steps.open().get()
    running.claim(execution, node="form", by=ada)
    running.unclaim(execution, node="form", by=ada)
    running.reassign(execution, node="form", users=["ada"], why="w")
    with pytest.raises(guards.Refusal):
        running.skip(execution, node="form", why="")
    running.skip(execution, node="form", why="w")
    named = ["execution.claimed", "execution.unclaimed", "execution.reassigned"]
    assert queued_events()[:3] == named and "execution.skipped" in queued_events()
    row = OutgoingDelivery.objects.get(event="execution.claimed")
    assert row.data == {
        "execution": execution.cuid,
        "status": "waiting",
        "workflow": scenario.caller.cuid,
        "version": execution.version.number,
        "entity": scenario.finding.cuid,
        "root": None,
        "parent": None,
        "item": None,
        "node": "form",
        "step": step.cuid,
    }
    assert OutgoingDelivery.objects.filter(event="execution.skipped").count() == 1


def test_unclaimed_event_is_sent_when_a_vote_ends_a_claim_and_the_approval_stays_open() -> None:
    ada, bob = voter("ada"), voter("bob")
    execution = start_approval(users=["ada", "bob"], needed=2)
    add_webhook()
    for user in (ada, bob):
        running.claim(execution, node="vote", by=user)
        running.vote(execution, approves=True, by=user)
    # The second vote leaves the step: its claim ends with it.
    assert queued_events() == [
        *("execution.claimed", "execution.unclaimed", "execution.claimed"),
        "execution.completed",
    ]
    (entry,) = AuditEntry.objects.filter(action="unclaimed")
    assert (entry.before["claimed_by"], entry.after["claimed_by"]) == ("ada", None)


def test_events_of_items_have_their_index(scenario: Scenario) -> None:
    add_webhook()
    loop = {"items": ["a", "b"], "as": "one"}
    node = {**call(scenario.callee), "data": {"workflow": scenario.callee.cuid, "for_each": loop}}
    save_line(scenario.caller, node)
    scenario.start()
    rows = OutgoingDelivery.objects.filter(event="execution.completed").order_by("pk")
    assert sorted(str(row.data["item"]) for row in rows) == ["0", "1", "None"]
