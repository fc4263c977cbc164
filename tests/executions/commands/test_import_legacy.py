"""``manage.py import_legacy``: what was stuck goes on, and nothing comes in by halves."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from executions import services as running
from executions.integrity import violations
from executions.models import Execution, Finding, FormDraft, Job
from tests.executions.legacy import (
    SAMPLE,
    Importing,
    carry_to_the_end,
    client,
    come_in,
    execution,
    row,
    rows,
    sample,
    with_endless_loop,
    workflow,
)
from tests.factories import FindingTypeFactory, UserFactory
from workflows.models import AuditEntry, FindingType, PendingChange, Version, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("laws")]


def test_all_of_the_sample_comes_in_and_every_law_holds(importing: Importing) -> None:
    told = come_in(importing)
    assert violations() == []
    assert told["brought"] == {
        "finding type": 3,
        "record type": 1,
        "workflow": 6,
        "version": 7,
        "inventory model": 1,
        "finding": 7,
        "execution": 12,
        "step": 7,
    }
    assert told["undecided"] == [] and told["left_out"] == {"draft": 1}
    assert {row.status for row in map(execution, (101, 102, 103, 104, 105, 111))} == {"waiting"}
    assert execution(108).status == "scheduled"
    assert (execution(110).status, execution(110).message) == ("cancelled", "A mistake.")
    assert execution(106).children.get() == execution(107)
    assert execution(111).version.number == 1
    assert execution(111).version.created_at.isoformat() == "2026-01-05T08:00:00+00:00"


def test_draft_comes_in_for_the_only_user_that_its_step_asks(importing: Importing) -> None:
    data = sample()
    ada = UserFactory(username="ada")
    review = next(node for node in row(data, "versions", 41)["source"]["nodes"] if "data" in node)
    review["data"]["assignees"] = {"users": ["ada"]}
    told = importing(data)
    assert told["brought"]["draft"] == 1 and "draft" not in told["left_out"]
    draft = FormDraft.objects.get()
    assert (draft.user, draft.data) == (ada, {"note": "half a sen"})
    assert draft.step == execution(101).steps.open().get()


def test_the_workflows_of_what_was_stuck_take_back_their_type(importing: Importing) -> None:
    told = come_in(importing)
    taken = {(row["kind"], row["id"], row["type"], row["later"]) for row in told["taken_back"]}
    assert taken == {
        ("workflow", "4", "Model Limitation", "Policy Exception"),
        ("workflow", "6", "Overlay", "Policy Exception"),
    }
    assert str(workflow(4).entity_name_type) == "Model Limitation"
    assert {row["id"] for row in told["revived"]} == {"101", "102", "103", "104"}
    for version in Version.objects.filter(workflow__in=[workflow(4), workflow(6)]):
        assert version.context_key == version.workflow.context_key
        version.validate_source()


@pytest.mark.parametrize(
    ("ending", "group"), [((101, 102, 112), (3, 4)), ((103, 104), (5, 6))], ids=["caller", "callee"]
)
def test_what_was_stuck_ends_through_the_api_and_then_the_later_type_comes(
    importing: Importing, ending: tuple[int, ...], group: tuple[int, ...]
) -> None:
    told = come_in(importing)
    titles = sorted(workflow(pk).title for pk in group)
    (later,) = [row for row in told["later"] if row["workflows"] == titles]
    assert (later["type"], later["outcome"]) == ("Policy Exception", "on_hold")
    for pk in ending:
        assert PendingChange.objects.get(cuid=later["cuid"]).state == "waiting"
        shown = carry_to_the_end(pk)
        assert shown["status"] == "completed"
    assert PendingChange.objects.get(cuid=later["cuid"]).state == "applied"
    for pk in group:
        assert str(workflow(pk).entity_name_type) == "Policy Exception"
    assert violations() == []


def test_every_live_execution_can_be_carried_to_its_end(importing: Importing) -> None:
    come_in(importing)
    for pk in (101, 102, 103, 104, 108, 109, 111, 112):
        assert carry_to_the_end(pk)["status"] == "completed", pk
    assert not Execution.objects.live().exists()
    assert not Job.objects.exists()
    finding = Finding.objects.get(pk=execution(111).entity_id)
    assert finding.fields == {"statement": "all is well"}


def test_what_runs_is_what_ran_there(importing: Importing) -> None:
    """A version saved after a root began is not what it calls."""
    data = sample()
    later = {**row(data, "versions", 31), "id": 32, "number": 2}
    data["versions"].append({**later, "created_at": "2026-06-01T08:00:00Z"})
    assert importing(data)["error"] == ""
    pinned = execution(101).pins.get().version
    assert (pinned.number, pinned.workflow) == (1, workflow(3))
    assert workflow(3).latest_version.number == 2
    assert execution(102).children.get().version == pinned


def test_times_are_those_of_the_old_system(importing: Importing) -> None:
    come_in(importing)
    nap = execution(109).steps.open().get()
    assert nap.due_at is not None and nap.due_at.isoformat() == "2026-05-31T08:00:00+00:00"
    assert Job.objects.get(step=nap).due_at == nap.due_at
    assert execution(101).started_at.isoformat() == "2026-05-04T09:30:00+00:00"
    start = execution(108).steps.open().get()
    assert start.type == "start" and start.due_at == execution(108).scheduled_for


def test_who_did_it_is_kept_where_the_user_is_known(importing: Importing) -> None:
    ada = UserFactory(username="ada")
    come_in(importing)
    assert execution(101).started_by == ada
    steps = execution(106).steps.order_by("pk")
    assert [step.closed_by for step in steps] == [ada, None]
    assert steps[0].output == {"note": "ok"}
    assert steps[1].child == execution(107)


def test_a_dry_run_tells_the_same_and_does_nothing(importing: Importing) -> None:
    before = rows()
    planned = importing(sample(), "--dry-run")
    assert rows() == before
    done = come_in(importing)
    assert rows() != before
    for told in (planned, done):
        told.pop("dry_run")
        for later in told["later"]:
            later.pop("cuid")
    assert planned == done


def test_a_second_run_finds_it_there(importing: Importing) -> None:
    come_in(importing)
    before = rows()
    told = come_in(importing)
    assert rows() == before
    assert told["brought"] == {}
    assert told["known"] == {"workflow": 6, "entity": 8, "execution": 12}
    out = StringIO()
    call_command("import_legacy", str(SAMPLE), stdout=out)
    assert (
        out.getvalue() == "in already: 6 workflows, 8 entities, 12 executions. Nothing is done.\n"
    )


def test_types_that_are_here_already_are_taken(importing: Importing) -> None:
    own = FindingTypeFactory(name="Model Limitation")
    come_in(importing)
    assert workflow(3).entity_name_type == own
    assert FindingType.objects.filter(name="Model Limitation").count() == 1


def test_ids_that_are_cuids_stay(importing: Importing) -> None:
    data = sample()
    cuid = "cmnnax6gd002m73i5xjmwdn9q"
    row(data, "workflows", 9)["id"] = cuid
    for table in ("versions", "executions"):
        for one in data[table]:
            one["workflow"] = cuid if one["workflow"] == 9 else one["workflow"]
    assert importing(data)["error"] == ""
    assert Workflow.objects.get(cuid=cuid).title == "Quarterly attestation"


# What proves what


def test_two_findings_of_different_types_decide_nothing_until_somebody_does(
    importing: Importing,
) -> None:
    data = sample()
    row(data, "findings", "F-4")["finding_type"] = 1
    before = rows()
    told = importing(data)
    assert told["error"] == "1 row undecided; nothing is brought in."
    (undecided,) = told["undecided"]
    assert undecided["kind"] == "workflow" and "--context 5=TYPE" in undecided["choice"]
    assert "finding F-3, which has “Overlay”" in undecided["detail"]
    assert rows() == before
    told = importing(data, "--context", "5=Overlay")
    assert told["error"] == ""
    taken = [row for row in told["taken_back"] if row["kind"] == "finding"]
    assert [(row["id"], row["type"], row["later"]) for row in taken] == [
        ("F-4", "Overlay", "Model Limitation")
    ]
    assert carry_to_the_end(104)["status"] == "completed"


def test_the_choice_may_stand_in_the_file(importing: Importing) -> None:
    data = sample()
    row(data, "findings", "F-4")["finding_type"] = 1
    assert importing({**data, "contexts": {"6": 3}})["error"] == ""
    assert str(workflow(6).entity_name_type) == "Overlay"


def test_the_undecided_can_be_left_out_whole(importing: Importing) -> None:
    data = sample()
    row(data, "findings", "F-4")["finding_type"] = 1
    told = importing(data, "--leave-out-undecided")
    assert told["error"] == "1 row undecided; the rest is brought in."
    assert told["left_out"] == {"workflow": 2, "entity": 2, "execution": 3, "draft": 1}
    assert sorted(Workflow.objects.values_list("title", flat=True)) == [
        "Model Limitation Artifact Workflow 1",
        "Model registration",
        "Policy Exception Artifact Workflow 1",
        "Quarterly attestation",
    ]
    assert not Finding.objects.filter(title__startswith="Overlay").exists()
    assert violations() == []
    # Once it is decided, the same file brings in what was left out.
    told = importing(data, "--context", "5=3")
    assert told["error"] == "" and told["known"]["workflow"] == 4
    assert told["brought"]["workflow"] == 2
    assert carry_to_the_end(103)["status"] == "completed"


def test_the_type_of_a_finding_that_was_changed_is_what_it_was(importing: Importing) -> None:
    data = sample()
    finding = row(data, "findings", "F-4")
    finding |= {"finding_type": 1, "type_changes": [{"at": "2026-05-09T08:00:00Z", "from": 3}]}
    told = importing(data)
    assert told["error"] == ""
    assert [row["id"] for row in told["taken_back"] if row["kind"] == "finding"] == ["F-4"]


def test_a_history_that_says_otherwise_than_a_finding_decides_nothing(
    importing: Importing,
) -> None:
    data = sample()
    row(data, "workflows", 4)["type_changes"] = [{"at": "2026-05-05T12:00:00Z", "from": 3}]
    told = importing(data)
    (undecided,) = told["undecided"]
    assert "workflow 4 had “Overlay” when execution 101 began" in undecided["detail"]


def test_the_story_of_the_report_whose_finding_has_the_later_type(importing: Importing) -> None:
    data = sample()
    row(data, "findings", "F-1")["finding_type"] = 2
    (undecided,) = importing(data)["undecided"]
    assert "finding F-1, which has “Policy Exception”" in undecided["detail"]
    told = importing(data, "--context", "4=Model Limitation")
    assert told["error"] == ""
    assert {(row["kind"], row["id"]) for row in told["taken_back"]} >= {("finding", "F-1")}
    assert carry_to_the_end(101)["status"] == "completed"


def test_calls_across_types_where_nothing_runs_are_undecided(importing: Importing) -> None:
    data = sample()
    live = {103, 104, 105}
    data["executions"] = [one for one in data["executions"] if one["id"] not in live]
    told = importing(data)
    (undecided,) = told["undecided"]
    assert undecided["id"] == "5"
    told = importing(data, "--context", "6=Policy Exception")
    assert told["error"] == ""
    assert str(workflow(5).entity_name_type) == "Policy Exception"
    assert not [row for row in told["later"] if "Overlay intake" in row["workflows"]]


def test_two_later_types_of_one_group_are_not_put_on_hold(importing: Importing) -> None:
    data = sample()
    row(data, "workflows", 5)["entity_name_type"] = 1
    told = importing(data)
    assert told["error"] == ""
    outcomes = [
        (row["type"], row["outcome"])
        for row in told["later"]
        if "Overlay check" in row["workflows"]
    ]
    assert outcomes == [("Model Limitation", "not_made"), ("Policy Exception", "not_made")]
    assert PendingChange.objects.count() == 1
    assert carry_to_the_end(104)["status"] == "completed"


def test_a_later_type_that_nothing_live_stands_in_the_way_of_is_taken(
    importing: Importing,
) -> None:
    """Its latest version calls nothing any more; what runs is of the one before."""
    data = sample()
    latest = {**row(data, "versions", 91), "id": 52, "workflow": 5, "number": 2}
    data["versions"].append({**latest, "created_at": "2026-05-07T08:00:00Z"})
    told = importing(data)
    assert told["error"] == ""
    (later,) = [row for row in told["later"] if "Overlay check" in row["workflows"]]
    assert later["workflows"] == ["Overlay check"] and later["outcome"] == "on_hold"


# Where what is live stands


def branches(data: dict[str, Any]) -> None:
    """Two branches that meet at a join: one has a form, the other a mail."""
    row(data, "versions", 91)["source"] = {
        "nodes": [
            {"id": "start", "type": "start"},
            {"id": "fork", "type": "parallel"},
            {
                "id": "attest",
                "type": "user_action",
                "data": {"fields": [{"name": "statement", "type": "text"}]},
            },
            {
                "id": "mail",
                "type": "notify",
                "data": {"to": ["ada@example.org"], "subject": "s", "body": "b"},
            },
            {"id": "join", "type": "join"},
            {"id": "end", "type": "end"},
        ],
        "edges": [
            {"source": "start", "target": "fork"},
            {"source": "fork", "target": "attest"},
            {"source": "fork", "target": "mail"},
            {"source": "attest", "target": "join"},
            {"source": "mail", "target": "join"},
            {"source": "join", "target": "end"},
        ],
    }


def test_a_branch_that_waits_at_a_join_waits_on(importing: Importing) -> None:
    data = sample()
    branches(data)
    row(data, "executions", 111)["current_nodes"] = [{"node": "join"}, {"node": "attest"}]
    assert importing(data)["error"] == ""
    assert execution(111).steps.open().count() == 2
    running.submit(execution(111), node="attest", data={"statement": "so"})
    assert execution(111).status == "completed"


def test_old_version_with_an_endless_loop_comes_in_when_it_is_not_the_latest(
    importing: Importing,
) -> None:
    data = sample()
    with_endless_loop(row(data, "versions", 91)["source"])
    assert importing(data)["error"] == ""
    assert execution(111).status == "waiting"


def test_branches_at_a_join_are_released_when_all_stand_there(importing: Importing) -> None:
    data = sample()
    branches(data)
    row(data, "executions", 111)["current_nodes"] = [{"node": "join"}, {"node": "join"}]
    assert importing(data)["error"] == ""
    assert execution(111).status == "completed"


def test_what_may_have_reached_outside_is_an_incident(importing: Importing) -> None:
    data = sample()
    branches(data)
    row(data, "executions", 111)["current_nodes"] = [{"node": "mail"}, {"node": "attest"}]
    assert importing(data)["error"] == ""
    step = execution(111).steps.get(node_id="mail")
    assert step.state == "incident" and step.incident["code"] == "brought_over"
    assert not Job.objects.filter(step=step).exists()
    sent = {"node": "mail", "why": "It was sent before."}
    response = client("operator").post(f"executions/{execution(111).cuid}/skip/", sent)
    assert response.status_code == 200, response.json()
    running.submit(execution(111), node="attest", data={"statement": "so"})
    assert execution(111).status == "completed"


def test_a_child_that_has_ended_without_its_caller_being_told_is_told_now(
    importing: Importing,
) -> None:
    data = sample()
    row(data, "executions", 105).update(status="completed", current_nodes=[])
    assert importing(data)["error"] == ""
    assert execution(104).status == "completed"


def test_the_log_tells_of_what_was_brought_over(importing: Importing) -> None:
    come_in(importing)
    entry = AuditEntry.objects.get(kind="workflow", cuid=workflow(4).cuid, action="created")
    assert entry.after["entity_name_type"] == workflow(4).entity_name_type.cuid
    assert entry.why == "Brought over by import_legacy." and entry.face == "command"
    assert AuditEntry.objects.filter(kind="execution", cuid=execution(101).cuid).count() == 1


def test_the_example_of_the_layout_is_one(importing: Importing) -> None:
    page = (SAMPLE.parents[2] / "docs" / "legacy-import.md").read_text()
    example = page.split("```json\n")[1].split("```")[0]
    told = importing(example)
    assert told["error"] == "" and [row["id"] for row in told["revived"]] == ["101"]
