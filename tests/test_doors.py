"""The table of doors: each tried against everything that a live execution needs."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError
from django.db import IntegrityError

from executions.models import Execution
from tests.doors import SUBJECTS
from tests.doors.house import RUNS, House
from tests.doors.subject import Subject
from tests.doors.ways import WRITES, Behind, Edit, Way
from tests.factories import FindingTypeFactory, UserFactory
from workflows.guards.database_errors import as_refusal
from workflows.models import Version, Workflow
from workflows.refusals import Refusal

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("laws"),
    pytest.mark.slow,
]


@pytest.fixture(autouse=True)
def _lists_that_edit(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.doors.sites"


def answer(subject: Subject, target: str, way: Way, house: House, edit: Edit) -> None:
    """Open the door; whatever is not the answer that the table names fails the test."""
    words = subject.words(target)
    if way.behind is Behind.KEY:
        with pytest.raises(IntegrityError) as key:
            way.open(house, edit)
        # Django's own check after a fixture speaks in its own words.
        assert as_refusal(key.value) or way.name == "loaddata"
    elif way.behind is Behind.API:
        response = way.open(house, edit)
        assert response.status_code == 400
        assert response.headers["Content-Type"] == "application/problem+json"
        assert words in response.json()["detail"]
        assert response.json()["blockers"]["total"] or not subject.has_blockers
    elif way.behind is Behind.PAGE:
        response = way.open(house, edit)
        assert response.status_code == 200
        assert words in unescape(response.content.decode())
    elif way.behind is Behind.COMMAND:
        with pytest.raises(CommandError) as stopped:
            way.open(house, edit)
        assert str(stopped.value).startswith(words)
        assert stopped.value.returncode == 1
    elif way.behind is Behind.WALL:
        assert way.open(house, edit).status_code in (403, 405)
    else:
        with pytest.raises(ValidationError) as refused:
            way.open(house, edit)
        refusal = refused.value
        assert isinstance(refusal, Refusal)
        if way.behind is Behind.SERVICE:
            assert subject.service in refusal.message
        else:
            assert isinstance(refusal, subject.refusal)
            assert words in refusal.message
            assert refusal.blockers or not subject.has_blockers


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_every_way_is_shut(subject: Subject, subtests: pytest.Subtests) -> None:
    # One house for all of them: after each refused try every row is as it was before.
    house = House(subject.entity_name)
    before = house.state()
    for target, edit in subject.edits(house).items():
        for way in subject.ways:
            if not way.leads_to(edit):
                continue
            with subtests.test(f"{target}: {way.name}"):
                try:
                    answer(subject, target, way, house, edit)
                finally:
                    was, before = before, house.state()
                assert before == was
    house.finish()


@pytest.mark.parametrize(
    "subject", [row for row in SUBJECTS if row.twin], ids=lambda subject: subject.name
)
def test_the_legal_twin_is_accepted(subject: Subject, subtests: pytest.Subtests) -> None:
    house = House(subject.entity_name)
    assert subject.twin is not None
    for way in subject.legal:
        edit = subject.twin(house)
        if not way.leads_to(edit):
            continue
        with subtests.test(way.name):
            way.open(house, edit)
            left = edit.model._base_manager.filter(pk=edit.row.pk).first()
            assert (left is not None) == bool(edit.values)
            for name, value in edit.values.items():
                assert getattr(left, name) == value
            if isinstance(left, Workflow):
                assert left.latest_version.context_key == left.context_key
    house.finish()


def test_every_way_accepts_every_other_field(subtests: pytest.Subtests) -> None:
    house = House()
    rows = {
        "workflow": Edit(house.workflows[RUNS], {"title": "Renamed", "description": "d"}),
        "type": Edit(house.kind, {"name": "Renamed"}),
        "entity": Edit(house.entity, {"title": "Renamed"}),
        "execution": Edit(house.waiting, {"message": "Noted"}),
        "version": Edit(house.waiting.version, {"created_by": UserFactory()}),
    }
    for target, edit in rows.items():
        [*_, (name, value)] = edit.values.items()
        for way in WRITES:
            if not way.leads_to(edit):
                continue
            with subtests.test(f"{target}: {way.name}"):
                was = getattr(edit.stored, name)
                way.open(house, edit)
                assert getattr(edit.stored, name) == value
                edit.model._base_manager.filter(pk=edit.row.pk).update(**{name: was})
    house.finish()


def test_every_way_but_bulk_statements_lets_pass_what_changes_nothing(
    subtests: pytest.Subtests,
) -> None:
    house = House()
    pin, reference = house.waiting.pins.all()[0], house.waiting.version.references.get()
    before = house.state()
    for row in (house.waiting.version, house.waiting, pin, reference):
        edit = Edit(row, {name: getattr(row, name) for name in _names(row)}, row)
        for way in WRITES:
            if way.behind is Behind.SERVICE or not way.leads_to(edit):
                continue
            with subtests.test(f"{row._meta.verbose_name}: {way.name}"):
                way.open(house, edit)
                assert house.state() == before
    house.finish()


def _names(row: Any) -> list[str]:
    return [row._meta.get_field(name).name for name in row.FROZEN]


def test_workflows_created_in_bulk_have_their_first_version() -> None:
    kind = FindingTypeFactory()
    Workflow.objects.bulk_create(
        [Workflow(title=f"Bulk {number}", entity_name_type=kind) for number in range(3)]
    )
    assert list(Version.objects.values_list("number", flat=True)) == [1, 1, 1]


def test_a_status_is_not_changed_in_bulk_past_the_services() -> None:
    house = House()
    with pytest.raises(ValidationError, match=r"executions\.services"):
        Execution.objects.live().update(status="completed")
    house.finish()
