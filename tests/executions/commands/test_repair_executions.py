"""``manage.py repair_executions``: what was damaged is mended, and what runs can be ended."""

from __future__ import annotations

import json
from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from executions import services as running
from executions.integrity import violations
from executions.models import Execution, Step
from tests.concurrency.laws import assert_nothing_is_stranded
from tests.conftest import Scenario
from tests.executions.damage import MENDABLE, World, unguarded
from workflows.models import AuditEntry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(scenario: Scenario) -> World:
    return World(scenario)


def told(*arguments: str, **options: Any) -> dict[str, Any]:
    """What the command prints as JSON, whether something is left or not."""
    out = StringIO()
    with suppress(CommandError):
        call_command("repair_executions", *arguments, json=True, stdout=out, **options)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


@pytest.mark.parametrize("name", MENDABLE)
def test_what_is_damaged_is_mended_and_whatever_runs_can_be_ended(world: World, name: str) -> None:
    _, damage = MENDABLE[name]
    live = set(Execution.objects.live().values_list("pk", flat=True))
    with unguarded():
        damage(world)
    found = violations()
    assert found
    planned = told(dry_run=True)
    assert violations() == found, "a dry run writes nothing"
    done = told()
    assert done["mended"] == planned["mended"]
    assert done["left"] == planned["left"] == []
    assert violations() == []
    entries = AuditEntry.objects.filter(why__startswith="Repair: ")
    assert entries.count() == len(done["mended"])
    assert told()["mended"] == []
    assert live - set(Execution.objects.live().values_list("pk", flat=True)) <= {
        world.waiting.pk,
        world.calling.pk,
        world.child.pk,
    }
    for step in Step.objects.filter(state="incident", incident__code="repaired"):
        running.retry(step.execution, step=step.cuid)
    assert_nothing_is_stranded()
