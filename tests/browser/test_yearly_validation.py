"""The yearly validation of a model by a risk team, in a browser, as the guide describes it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dateutil.relativedelta import relativedelta
from django.conf import settings as project
from django.contrib.auth.models import Group
from django.utils import timezone

from executions.models import Execution, Finding, Job
from executions.worker import rounds
from tests.factories import FindingTypeFactory, WorkflowFactory, user_in
from workflows import editing
from workflows.models import AuditEntry, Workflow

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

GUIDE = Path(project.BASE_DIR) / "docs" / "how-to" / "yearly-validation.md"
MODEL = "Credit scoring model"
PEOPLE = {
    "ann": ["owners", "heads"],
    "ben": ["reviewers"],
    "cora": ["reviewers"],
    "dora": ["heads"],
    "eve": ["board"],
}
Open = Callable[[str], Any]


def graphs() -> list[dict[str, Any]]:
    """Return the graphs of the guide: the review and the validation."""
    return [json.loads(text) for text in re.findall(r"```json\n(.*?)```", GUIDE.read_text(), re.S)]


@pytest.fixture
def open_as(transactional_db: None, walking: Any, tmp_path: Path) -> Open:
    """Return a function that opens the admin as one of the team."""
    users = {}
    for name, groups in PEOPLE.items():
        users[name] = user_in("participant", username=name, is_staff=True)
        users[name].groups.add(*(Group.objects.get_or_create(name=group)[0] for group in groups))
        users[name].groups.add(*user_in("viewer").groups.all())
    return lambda name: walking(users[name], viewport={"width": 1280, "height": 900})


@pytest.fixture
def validation(open_as: Open) -> Workflow:
    """Save both workflows of the guide, and a model whose validation is due in a moment."""
    kind = FindingTypeFactory(name="Model")
    review = WorkflowFactory(title="Review a validation", entity_name_type=kind)
    workflow = WorkflowFactory(title="Yearly validation", entity_name_type=kind)
    of_review, of_validation, _ = graphs()
    editing.save_graph(review, of_review, based_on=1)
    text = json.dumps(of_validation).replace("CUID OF THE REVIEW", review.cuid)
    editing.save_graph(workflow, json.loads(text), based_on=1)
    Finding.objects.create(
        title=MODEL,
        entity_name_type=kind,
        fields={"validated_on": last_year().isoformat(), "reviewers": ["ben", "cora"]},
    )
    workflow.trigger, workflow.trigger_data = (
        "schedule",
        {"every": "P1Y", "from_field": "validated_on"},
    )
    workflow.save()
    return workflow


def last_year() -> datetime:
    now: datetime = timezone.now() - relativedelta(years=1)
    return now + timedelta(seconds=1)


def take_task(team: Any, title: str) -> Any:
    """Open the inbox and return its first task, which has this title."""
    team.click("link", "Inbox")
    task = team.page.locator(".desk-task").filter(has_text=title)
    task.wait_for()
    return task


def validate(ann: Any, evidence: Path, assessment: str) -> None:
    task = take_task(ann, "Validate the model")
    task.get_by_label("Assessment:", exact=True).fill(assessment)
    task.get_by_label("Evidence:", exact=True).set_input_files(evidence)
    ann.click("button", "Submit validation", within=task)


def review(team: Any, button: str, comment: str) -> None:
    task = take_task(team, "Review the validation")
    task.get_by_label("Comment:", exact=True).fill(comment)
    team.click("button", button, within=task)


def test_yearly_validation_of_a_model(
    validation: Workflow, open_as: Open, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    folder = pytestconfig.getoption("--photographs")

    def photograph(walk: Any, name: str) -> None:
        if folder:
            walk.page.screenshot(path=Path(folder) / f"validation-{name}.png")

    evidence = tmp_path / "backtest.csv"
    evidence.write_text("year,default rate\n2025,0.02\n")
    # The schedule starts it, a year after the last validation.
    while not Execution.objects.exists():
        rounds.run_due()
    ann, ben, cora = (open_as(name) for name in ("ann", "ben", "cora"))
    validate(ann, evidence, "The model is stable.")
    review(ben, "Accept", "Fine.")
    take_task(cora, "Review the validation")
    photograph(cora, "inbox")
    review(cora, "Return for rework", "Which years does the backtest cover?")
    # The owner works on it again, and both review it again.
    validate(ann, evidence, "The model is stable from 2015 to 2025.")
    review(ben, "Accept", "Still fine.")
    review(cora, "Accept", "Now it is complete.")
    execution = Execution.objects.get(parent=None)
    assert set(execution.steps.open().values_list("node_id", flat=True)) == {"approve"}
    # Four eyes: the owner is a head too, but has submitted the validation.
    ann.click("link", "Inbox")
    assert ann.page.get_by_role("button", name="Approve").count() == 0
    # The heads do not answer: after a week, the board may approve too.
    eve = open_as("eve")
    assert eve.page.get_by_text("Approve the validation").count() == 0
    Job.objects.update(due_at=timezone.now() - timedelta(days=1))
    rounds.run_due()
    task = take_task(eve, "Approve the validation")
    photograph(eve, "escalated")
    eve.click("button", "Approve", within=task)
    execution.refresh_from_db()
    assert execution.status == "completed"
    execution.entity.refresh_from_db()
    fields = execution.entity.fields
    assert fields["validated_on"] == timezone.localdate().isoformat()
    assert fields["evidence"]["name"] == "backtest.csv"
    # The audit trail names who did what.
    done = AuditEntry.objects.filter(cuid=execution.cuid).order_by("pk")
    assert [(row.action, row.who) for row in done if row.who][-1] == ("voted", "eve")
    eve.page.goto(f"/admin/executions/execution/{execution.pk}/change/")
    assert eve.sees("Completed") and eve.sees("backtest.csv")
    history = eve.page.locator("#history").inner_text()
    assert "ann" in history and "eve" in history
    photograph(eve, "done")
