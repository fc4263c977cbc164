"""``manage.py import_legacy``: stranded executions continue, and an import is all or nothing."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from executions.integrity import find_violations
from executions.models import Execution, Finding, FormDraft, Job
from tests.executions.legacy import (
    SAMPLE,
    ImportData,
    complete,
    execution,
    import_sample,
    row,
    row_counts,
    sample,
    workflow,
)
from tests.factories import FindingTypeFactory, UserFactory
from workflows.models import AuditEntry, FindingType, PendingChange, Version, Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.sqlite,
    pytest.mark.usefixtures("invariants"),
]


@pytest.mark.both_databases
def test_import_of_sample_writes_all_rows_and_keeps_invariants(import_data: ImportData) -> None:
    result = import_sample(import_data)
    assert find_violations() == []
    assert result["imported"] == {
        "finding type": 3,
        "record type": 1,
        "workflow": 6,
        "version": 7,
        "inventory model": 1,
        "finding": 7,
        "execution": 12,
        "step": 7,
    }
    assert result["undecided"] == [] and result["skipped"] == {"draft": 1}
    assert {row.status for row in map(execution, (101, 102, 103, 104, 105, 111))} == {"waiting"}
    assert execution(108).status == "scheduled"
    assert (execution(110).status, execution(110).message) == ("cancelled", "A mistake.")
    assert execution(106).children.get() == execution(107)
    assert execution(111).version.number == 1
    assert execution(111).version.created_at.isoformat() == "2026-01-05T08:00:00+00:00"


def test_draft_is_imported_for_single_assignee(import_data: ImportData) -> None:
    data = sample()
    ada = UserFactory(username="ada")
    review = next(node for node in row(data, "versions", 41)["source"]["nodes"] if "data" in node)
    review["data"]["assignees"] = {"users": ["ada"]}
    result = import_data(data)
    assert result["imported"]["draft"] == 1 and "draft" not in result["skipped"]
    draft = FormDraft.objects.get()
    assert (draft.user, draft.data) == (ada, {"note": "half a sen"})
    assert draft.step == execution(101).steps.open().get()


def test_workflows_of_stranded_executions_get_first_type_back(import_data: ImportData) -> None:
    result = import_sample(import_data)
    taken = {(row["model"], row["id"], row["type"], row["later"]) for row in result["retyped"]}
    assert taken == {
        ("workflow", "4", "Model Limitation", "Policy Exception"),
        ("workflow", "6", "Overlay", "Policy Exception"),
    }
    assert str(workflow(4).entity_name_type) == "Model Limitation"
    assert {row["id"] for row in result["resumed"]} == {"101", "102", "103", "104"}
    for version in Version.objects.filter(workflow__in=[workflow(4), workflow(6)]):
        assert version.context_key == version.workflow.context_key
        version.validate_source()


@pytest.mark.parametrize(
    ("ending", "group"), [((101, 102, 112), (3, 4)), ((103, 104), (5, 6))], ids=["caller", "callee"]
)
def test_later_type_is_applied_when_stranded_executions_have_completed(
    import_data: ImportData, ending: tuple[int, ...], group: tuple[int, ...]
) -> None:
    result = import_sample(import_data)
    titles = sorted(workflow(pk).title for pk in group)
    (later,) = [row for row in result["later_types"] if row["workflows"] == titles]
    assert (later["type"], later["outcome"]) == ("Policy Exception", "on_hold")
    for pk in ending:
        assert PendingChange.objects.get(cuid=later["cuid"]).state == "waiting"
        data = complete(pk)
        assert data["status"] == "completed"
    assert PendingChange.objects.get(cuid=later["cuid"]).state == "applied"
    for pk in group:
        assert str(workflow(pk).entity_name_type) == "Policy Exception"
    assert find_violations() == []


@pytest.mark.both_databases
def test_every_live_execution_can_be_completed(import_data: ImportData) -> None:
    import_sample(import_data)
    for pk in (101, 102, 103, 104, 108, 109, 111, 112):
        assert complete(pk)["status"] == "completed", pk
    assert not Execution.objects.live().exists()
    assert not Job.objects.exists()
    finding = Finding.objects.get(pk=execution(111).entity_id)
    assert finding.fields == {"statement": "all is well"}


def test_execution_keeps_version_and_pins(import_data: ImportData) -> None:
    """A version saved after the start of a root is not pinned."""
    data = sample()
    later = {**row(data, "versions", 31), "id": 32, "number": 2}
    data["versions"].append({**later, "created_at": "2026-06-01T08:00:00Z"})
    assert import_data(data)["error"] == ""
    pinned = execution(101).pins.get().version
    assert (pinned.number, pinned.workflow) == (1, workflow(3))
    assert workflow(3).latest_version.number == 2
    assert execution(102).children.get().version == pinned


def test_import_preserves_times(import_data: ImportData) -> None:
    import_sample(import_data)
    nap = execution(109).steps.open().get()
    assert nap.due_at is not None and nap.due_at.isoformat() == "2026-05-31T08:00:00+00:00"
    assert Job.objects.get(step=nap).due_at == nap.due_at
    assert execution(101).started_at.isoformat() == "2026-05-04T09:30:00+00:00"
    start = execution(108).steps.open().get()
    assert start.type == "start" and start.due_at == execution(108).scheduled_for


def test_import_preserves_existing_users(import_data: ImportData) -> None:
    ada = UserFactory(username="ada")
    import_sample(import_data)
    assert execution(101).started_by == ada
    steps = execution(106).steps.order_by("pk")
    assert [step.closed_by for step in steps] == [ada, None]
    assert steps[0].output == {"note": "ok"}
    assert steps[1].child == execution(107)


def test_dry_run_reports_the_same_and_writes_nothing(import_data: ImportData) -> None:
    before = row_counts()
    planned = import_data(sample(), "--dry-run")
    assert row_counts() == before
    done = import_sample(import_data)
    assert row_counts() != before
    for result in (planned, done):
        result.pop("dry_run")
        for later in result["later_types"]:
            later.pop("cuid")
    assert planned == done


def test_second_import_changes_nothing(import_data: ImportData) -> None:
    import_sample(import_data)
    before = row_counts()
    result = import_sample(import_data)
    assert row_counts() == before
    assert result["imported"] == {}
    assert result["existing"] == {"workflow": 6, "entity": 8, "execution": 12}
    out = StringIO()
    call_command("import_legacy", str(SAMPLE), stdout=out)
    counts = "6 workflows, 8 entities, 12 executions"
    assert out.getvalue() == f"already imported: {counts}. Nothing was changed.\n"


def test_existing_types_are_matched_by_name(import_data: ImportData) -> None:
    own = FindingTypeFactory(name="Model Limitation")
    import_sample(import_data)
    assert workflow(3).entity_name_type == own
    assert FindingType.objects.filter(name="Model Limitation").count() == 1


def test_import_preserves_cuids(import_data: ImportData) -> None:
    data = sample()
    cuid = "cmnnax6gd002m73i5xjmwdn9q"
    row(data, "workflows", 9)["id"] = cuid
    for table in ("versions", "executions"):
        for one in data[table]:
            one["workflow"] = cuid if one["workflow"] == 9 else one["workflow"]
    assert import_data(data)["error"] == ""
    assert Workflow.objects.get(cuid=cuid).title == "Quarterly attestation"


# Inference of types


def test_findings_of_two_types_need_a_decision(
    import_data: ImportData,
) -> None:
    data = sample()
    row(data, "findings", "F-4")["finding_type"] = 1
    before = row_counts()
    result = import_data(data)
    assert result["error"] == "1 row undecided. Nothing was imported."
    (undecided,) = result["undecided"]
    assert undecided["model"] == "workflow" and "--context 5=TYPE" in undecided["remedy"]
    assert "finding F-3, which has “Overlay”" in undecided["detail"]
    assert row_counts() == before
    result = import_data(data, "--context", "5=Overlay")
    assert result["error"] == ""
    taken = [row for row in result["retyped"] if row["model"] == "finding"]
    assert [(row["id"], row["type"], row["later"]) for row in taken] == [
        ("F-4", "Overlay", "Model Limitation")
    ]
    assert complete(104)["status"] == "completed"


def test_decision_can_be_in_the_file(import_data: ImportData) -> None:
    data = sample()
    row(data, "findings", "F-4")["finding_type"] = 1
    assert import_data({**data, "contexts": {"6": 3}})["error"] == ""
    assert str(workflow(6).entity_name_type) == "Overlay"


def test_undecided_component_is_skipped_with_option(import_data: ImportData) -> None:
    data = sample()
    row(data, "findings", "F-4")["finding_type"] = 1
    result = import_data(data, "--leave-out-undecided")
    assert result["error"] == "1 row undecided. The other rows were imported."
    assert result["skipped"] == {"workflow": 2, "entity": 2, "execution": 3, "draft": 1}
    assert sorted(Workflow.objects.values_list("title", flat=True)) == [
        "Model Limitation Artifact Workflow 1",
        "Model registration",
        "Policy Exception Artifact Workflow 1",
        "Quarterly attestation",
    ]
    assert not Finding.objects.filter(title__startswith="Overlay").exists()
    assert find_violations() == []
    # After a decision, the same file imports the skipped rows.
    result = import_data(data, "--context", "5=3")
    assert result["error"] == "" and result["existing"]["workflow"] == 4
    assert result["imported"]["workflow"] == 2
    assert complete(103)["status"] == "completed"


def test_finding_gets_type_before_its_change(import_data: ImportData) -> None:
    data = sample()
    finding = row(data, "findings", "F-4")
    finding |= {"finding_type": 1, "type_changes": [{"at": "2026-05-09T08:00:00Z", "from": 3}]}
    result = import_data(data)
    assert result["error"] == ""
    assert [row["id"] for row in result["retyped"] if row["model"] == "finding"] == ["F-4"]


def test_history_that_contradicts_finding_needs_a_decision(
    import_data: ImportData,
) -> None:
    data = sample()
    row(data, "workflows", 4)["type_changes"] = [{"at": "2026-05-05T12:00:00Z", "from": 3}]
    result = import_data(data)
    (undecided,) = result["undecided"]
    assert "workflow 4 had “Overlay” when execution 101 started" in undecided["detail"]


def test_finding_with_later_type_needs_a_decision(import_data: ImportData) -> None:
    data = sample()
    row(data, "findings", "F-1")["finding_type"] = 2
    (undecided,) = import_data(data)["undecided"]
    assert "finding F-1, which has “Policy Exception”" in undecided["detail"]
    result = import_data(data, "--context", "4=Model Limitation")
    assert result["error"] == ""
    assert {(row["model"], row["id"]) for row in result["retyped"]} >= {("finding", "F-1")}
    assert complete(101)["status"] == "completed"


def test_call_across_types_needs_a_decision_without_live_executions(
    import_data: ImportData,
) -> None:
    data = sample()
    live = {103, 104, 105}
    data["executions"] = [one for one in data["executions"] if one["id"] not in live]
    result = import_data(data)
    (undecided,) = result["undecided"]
    assert undecided["id"] == "5"
    result = import_data(data, "--context", "6=Policy Exception")
    assert result["error"] == ""
    assert str(workflow(5).entity_name_type) == "Policy Exception"
    assert not [row for row in result["later_types"] if "Overlay intake" in row["workflows"]]


def test_two_later_types_of_one_group_are_refused(import_data: ImportData) -> None:
    data = sample()
    row(data, "workflows", 5)["entity_name_type"] = 1
    result = import_data(data)
    assert result["error"] == ""
    outcomes = [
        (row["type"], row["outcome"])
        for row in result["later_types"]
        if "Overlay check" in row["workflows"]
    ]
    assert outcomes == [("Model Limitation", "refused"), ("Policy Exception", "refused")]
    assert PendingChange.objects.count() == 1
    assert complete(104)["status"] == "completed"


def test_later_type_is_pending_for_callee_alone_without_latest_call(
    import_data: ImportData,
) -> None:
    """The latest version of the caller has no call; the live execution runs the previous one."""
    data = sample()
    latest = {**row(data, "versions", 91), "id": 52, "workflow": 5, "number": 2}
    data["versions"].append({**latest, "created_at": "2026-05-07T08:00:00Z"})
    result = import_data(data)
    assert result["error"] == ""
    (later,) = [row for row in result["later_types"] if "Overlay check" in row["workflows"]]
    assert later["workflows"] == ["Overlay check"] and later["outcome"] == "on_hold"


def test_import_writes_audit_entries(import_data: ImportData) -> None:
    import_sample(import_data)
    entry = AuditEntry.objects.get(kind="workflow", cuid=workflow(4).cuid, action="created")
    assert entry.after["entity_name_type"] == workflow(4).entity_name_type.cuid
    assert entry.why == "Imported by import_legacy." and entry.face == "command"
    assert AuditEntry.objects.filter(kind="execution", cuid=execution(101).cuid).count() == 1


def test_example_in_docs_can_be_imported(import_data: ImportData) -> None:
    page = (SAMPLE.parents[2] / "docs" / "reference" / "legacy-file.md").read_text()
    example = page.split("```json\n")[1].split("```")[0]
    result = import_data(example)
    assert result["error"] == "" and [row["id"] for row in result["resumed"]] == ["101"]
