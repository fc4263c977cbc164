"""Forbidden edits are refused on every path to the data, and legal ones accepted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import pytest
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.management import CommandError
from django.db import IntegrityError

from executions.models import Execution
from tests.bypass import GROUPS
from tests.bypass.case import BypassCase
from tests.bypass.edit_paths import WRITES, Defense, Edit, EditPath
from tests.bypass.live_data import RUNNING, LiveData
from tests.factories import FindingTypeFactory, UserFactory
from workflows.guards.database_errors import find_refusal
from workflows.models import Version, Workflow
from workflows.refusals import Refusal

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("invariants"),
    pytest.mark.slow,
]

LEGAL = {
    name: found
    for name, cases in GROUPS.items()
    if (found := [one for one in cases if one.legal_edit])
}
"""The cases that also have a legal edit."""


@pytest.fixture(autouse=True)
def _editable_lists(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.bypass.sites"


@contextmanager
def collect(wrong: list[str], name: str) -> Iterator[None]:
    """Add the failure of the block to ``wrong``, so that the next edits are tried as well.

    A test tries hundreds of edits. Reporting each as a subtest takes as long as making it.
    """
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        wrong.append(f"{name}: {type(error).__name__}: {error}"[:300])


def assert_refused(
    case: BypassCase, target: str, path: EditPath, data: LiveData, edit: Edit
) -> None:
    """Make the edit; assert the answer of the path's defense."""
    message = case.message_for(target)
    if path.defense is Defense.KEY:
        with pytest.raises(IntegrityError) as key:
            path.apply(data, edit)
        # loaddata ends with Django's own check, which raises another error.
        assert find_refusal(key.value) or path.name == "loaddata"
    elif path.defense is Defense.API:
        response = path.apply(data, edit)
        assert response.status_code == 400
        assert response.headers["Content-Type"] == "application/problem+json"
        assert message in response.json()["detail"]
        assert response.json()["blockers"]["total"] or not case.has_blockers
    elif path.defense is Defense.PAGE:
        response = path.apply(data, edit)
        assert response.status_code == 200
        assert message in unescape(response.content.decode())
        if path.name == "change_form":
            errors = response.context["adminform"].form.errors
            assert set(errors) - {NON_FIELD_ERRORS}, "Attach the refusal to a field in explain()."
    elif path.defense is Defense.COMMAND:
        with pytest.raises(CommandError) as stopped:
            path.apply(data, edit)
        assert str(stopped.value).startswith(message)
        assert stopped.value.returncode == 1
    elif path.defense is Defense.NO_ACCESS:
        assert path.apply(data, edit).status_code in (403, 405)
    else:
        with pytest.raises(ValidationError) as refused:
            path.apply(data, edit)
        refusal = refused.value
        assert isinstance(refusal, Refusal)
        if path.defense is Defense.SERVICE:
            assert case.service in refusal.message
        else:
            assert isinstance(refusal, case.refusal)
            assert message in refusal.message
            assert refusal.blockers or not case.has_blockers


def try_forbidden_edits(cases: list[BypassCase], *, by_interface: bool) -> None:
    """Try each forbidden edit on each path of this kind; every execution can end afterwards."""
    # One data set for all edits, because a refused edit changes no row.
    data = LiveData(cases[0].entity_name)
    before = data.state()
    wrong: list[str] = []
    for case in cases:
        edits = case.edits(data)
        if by_interface:
            # One target for each message: the paths of code ask the same guard for all targets.
            edits = {
                name: edits[name]
                for name in {case.message_for(name): name for name in edits}.values()
            }
        for target, edit in edits.items():
            for path in case.paths:
                if path.defense.is_of_interface == by_interface and path.applies_to(edit):
                    with collect(wrong, f"{case.name}: {target}: {path.name}"):
                        assert_refused(case, target, path, data, edit)
            # All paths write the same values, so what one of them has written is still there.
            with collect(wrong, f"{case.name}: {target}"):
                was, before = before, data.state()
                assert before == was
    assert not wrong, "\n".join(wrong)
    data.finish()


@pytest.mark.parametrize("cases", GROUPS.values(), ids=GROUPS)
def test_forbidden_edit_is_refused_on_every_path_of_code_and_sql(cases: list[BypassCase]) -> None:
    try_forbidden_edits(cases, by_interface=False)


# The interfaces ask the guards that the paths of code ask on both databases.
@pytest.mark.sqlite
@pytest.mark.parametrize("cases", GROUPS.values(), ids=GROUPS)
def test_forbidden_edit_is_refused_by_every_interface(cases: list[BypassCase]) -> None:
    try_forbidden_edits(cases, by_interface=True)


def try_legal_edits(cases: list[BypassCase], *, by_interface: bool) -> None:
    """Make each legal edit on each path of this kind; every execution can end afterwards."""
    data = LiveData(cases[0].entity_name)
    wrong: list[str] = []
    for case in cases:
        assert case.legal_edit is not None
        for path in case.legal_paths:
            if path.defense.is_of_interface != by_interface:
                continue
            edit = case.legal_edit(data)
            if not path.applies_to(edit):
                continue
            with collect(wrong, f"{case.name}: {path.name}"):
                path.apply(data, edit)
                left = edit.model._base_manager.filter(pk=edit.row.pk).first()
                assert (left is not None) == bool(edit.values)
                for name, value in edit.values.items():
                    assert getattr(left, name) == value
                if isinstance(left, Workflow):
                    assert left.latest_version.context_key == left.context_key
    assert not wrong, "\n".join(wrong)
    data.finish()


@pytest.mark.parametrize("cases", LEGAL.values(), ids=LEGAL)
def test_legal_edit_of_unused_row_is_accepted_on_every_path_of_code(
    cases: list[BypassCase],
) -> None:
    try_legal_edits(cases, by_interface=False)


@pytest.mark.sqlite
@pytest.mark.parametrize("cases", LEGAL.values(), ids=LEGAL)
def test_legal_edit_of_unused_row_is_accepted_by_every_interface(cases: list[BypassCase]) -> None:
    try_legal_edits(cases, by_interface=True)


def test_other_fields_can_be_written_on_every_path() -> None:
    data = LiveData()
    wrong: list[str] = []
    rows = {
        "workflow": Edit(data.workflows[RUNNING], {"title": "Renamed", "description": "d"}),
        "type": Edit(data.current_type, {"name": "Renamed"}),
        "entity": Edit(data.entity, {"title": "Renamed"}),
        "execution": Edit(data.waiting, {"message": "Noted"}),
        "version": Edit(data.waiting.version, {"created_by": UserFactory()}),
    }
    for target, edit in rows.items():
        [*_, (name, value)] = edit.values.items()
        for path in WRITES:
            if not path.applies_to(edit):
                continue
            with collect(wrong, f"{target}: {path.name}"):
                was = getattr(edit.stored, name)
                path.apply(data, edit)
                assert getattr(edit.stored, name) == value
                edit.model._base_manager.filter(pk=edit.row.pk).update(**{name: was})
    assert not wrong, "\n".join(wrong)
    data.finish()


def test_unchanged_values_are_accepted_except_in_bulk_statements() -> None:
    data = LiveData()
    wrong: list[str] = []
    pin, reference = data.waiting.pins.all()[0], data.waiting.version.references.get()
    before = data.state()
    for row in (data.waiting.version, data.waiting, pin, reference):
        edit = Edit(row, {name: getattr(row, name) for name in _names(row)}, row)
        for path in WRITES:
            if path.defense is Defense.SERVICE or not path.applies_to(edit):
                continue
            with collect(wrong, f"{row._meta.verbose_name}: {path.name}"):
                path.apply(data, edit)
                assert data.state() == before
    assert not wrong, "\n".join(wrong)
    data.finish()


def _names(row: Any) -> list[str]:
    return [row._meta.get_field(name).name for name in row.FROZEN]


def test_bulk_create_gives_each_workflow_version_1() -> None:
    finding_type = FindingTypeFactory()
    Workflow.objects.bulk_create(
        [Workflow(title=f"Bulk {number}", entity_name_type=finding_type) for number in range(3)]
    )
    assert list(Version.objects.values_list("number", flat=True)) == [1, 1, 1]


def test_bulk_update_of_status_names_the_services() -> None:
    data = LiveData()
    with pytest.raises(ValidationError, match=r"executions\.services"):
        Execution.objects.live().update(status="completed")
    data.finish()
