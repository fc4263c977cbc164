"""Saving a row that was read earlier writes only the changes of that instance."""

from __future__ import annotations

from typing import Any

import pytest

from executions.models import Entity, Finding
from tests.factories import FindingFactory, FindingTypeFactory, WorkflowFactory
from workflows.guards import MISSING, apply_merge_patch, merge, overlay
from workflows.models import AuditEntry, FindingType, Workflow


class TestRows:
    pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

    def test_workflow_saved_from_an_old_instance_stays_retired(self) -> None:
        row = WorkflowFactory(state="active")
        old, other = (Workflow.objects.get(pk=row.pk) for _ in range(2))
        other.state = "retired"
        other.save()
        old.title = "Renamed"
        old.save()
        row.refresh_from_db()
        assert (row.title, row.state) == ("Renamed", "retired")
        entry = AuditEntry.objects.filter(cuid=row.cuid).first()
        assert entry.after == {"title": "Renamed"}

    def test_type_saved_from_an_old_instance_keeps_its_new_name(self) -> None:
        old = FindingTypeFactory(name="A")
        FindingType.objects.filter(pk=old.pk).update(name="B")
        old.description = "Typed"
        old.save()
        old.refresh_from_db()
        assert (old.name, old.description) == ("B", "Typed")

    def test_entity_saved_from_an_old_instance_keeps_what_others_wrote(self) -> None:
        row = FindingFactory(title="A", fields={"owner": "ann", "gone": 1})
        old = Finding.objects.get(pk=row.pk)
        Finding.objects.filter(pk=row.pk).update(title="B", fields={"owner": "ann", "decision": 1})
        old.fields["owner"] = "bea"
        old.save()
        assert old.fields == {"owner": "bea", "decision": 1}
        row.refresh_from_db()
        assert (row.title, row.fields) == ("B", {"owner": "bea", "decision": 1})
        Finding.objects.filter(pk=row.pk).update(fields={"owner": "bea", "other": 2})
        del old.fields["decision"]
        old.save(update_fields=["fields"])
        row.refresh_from_db()
        assert row.fields == {"owner": "bea", "other": 2}

    def test_instance_that_was_just_created_writes_its_own_changes(self) -> None:
        row = Finding.objects.create(
            title="A", entity_name_type=FindingTypeFactory(), fields={"a": True}
        )
        Entity.objects.filter(pk=row.pk).update(title="B")
        row.fields["a"] = 1
        row.save()
        row.refresh_from_db()
        assert (row.title, repr(row.fields)) == ("B", "{'a': 1}")

    def test_refreshed_column_is_not_written_again(self) -> None:
        row = FindingFactory(title="A")
        row.title = "Typed"
        Finding.objects.filter(pk=row.pk).update(fields={"a": 1})
        row.refresh_from_db(fields=["fields"])
        Finding.objects.filter(pk=row.pk).update(fields={"a": 2})
        row.save()
        row.refresh_from_db()
        assert (row.title, row.fields) == ("Typed", {"a": 2})


@pytest.mark.parametrize(
    ("read", "own", "now", "whole", "conflicts"),
    [
        ({}, {}, {"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, {"a": 1, "b": 1}, {"a": 2, "b": 1}, []),
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 3}, ["a"]),
        ({"a": 1}, {}, {"a": 3}, {"a": 3}, ["a"]),
        ({"a": 1}, {"a": 2}, {}, {}, ["a"]),
        ({}, {"a": 2}, {"a": 3}, {"a": 3}, ["a"]),
        ({}, {"a": 1}, {"a": True}, {"a": True}, ["a"]),
        ({"a": 1}, {"a": 2}, {"a": 2}, {"a": 2}, []),
        ({"a": None}, {}, {"a": None}, {}, []),
    ],
)
def test_merge_takes_each_name_from_the_side_that_changed_it(
    read: Any, own: Any, now: Any, whole: Any, conflicts: list[str]
) -> None:
    assert merge(read, own, now) == (whole, conflicts)
    over = overlay(read, own, now)
    assert {name: over.get(name, MISSING) for name in conflicts} == {
        name: own.get(name, MISSING) for name in conflicts
    }


@pytest.mark.parametrize(
    ("now", "patch", "expected"),
    [
        # The examples of RFC 7396, appendix A, that begin and end with an object.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_follows_rfc_7396(now: Any, patch: Any, expected: Any) -> None:
    assert apply_merge_patch(now, patch) == expected
