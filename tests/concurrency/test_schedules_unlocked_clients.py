"""Starts that read without locks, inside a transaction that the client holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from executions.models import Entity
from tests.concurrency.laws import assert_nothing_is_stranded
from tests.concurrency.remembered import (
    EDITS,
    Remembered,
    assert_as_after,
    remembered_fixture,  # noqa: F401  the fixture that the tests ask for
)
from tests.concurrency.schedule import (
    HERE,
    LEVELS,
    MARKS,
    here,
    unlocked_fixture,  # noqa: F401  the fixture that the tests ask for
)
from workflows.db.locks import Contention
from workflows.models import Workflow

pytestmark = MARKS

Work = Callable[[], Any]


def in_a_clients(level: str, work: Work) -> Work:
    def within() -> Any:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            assert Workflow.objects.exists()
            here()
            try:
                return work()
            finally:
                # Whatever came of it, the client can go on.
                assert Entity.objects.count() >= 0

    return within


@pytest.mark.parametrize("name", ["type", "graph replaced", "retired", "entity's field", "raw SQL"])
def test_a_client_that_sees_what_is_committed_starts_as_after_the_edit(
    remembered: Remembered, name: str
) -> None:
    edit = EDITS[name]
    work = in_a_clients("READ COMMITTED", remembered.start)
    started, _ = remembered.schedule.overtaken(
        work, HERE, lambda: edit.make(remembered), waits=False
    )
    assert_as_after(edit, remembered, started)


@LEVELS
@pytest.mark.parametrize(
    "name",
    ["type", "graph replaced", "retired", "deleted", "entity's field", "entity deleted", "hold"],
)
def test_a_client_that_does_not_see_the_edit_begins_anew_and_can_go_on(
    remembered: Remembered, name: str, level: str
) -> None:
    if name == "hold":
        remembered.running_already()
    make = Remembered.hold if name == "hold" else EDITS[name].make
    work = in_a_clients(level, remembered.start)
    started, _ = remembered.schedule.overtaken(work, HERE, lambda: make(remembered), waits=False)
    assert started.refused is Contention
    assert_nothing_is_stranded()


def test_a_client_whose_version_is_replaced_while_it_writes_can_go_on(
    remembered: Remembered,
) -> None:
    def uncommitted() -> None:
        with transaction.atomic():
            remembered.replace()
            here()

    one = remembered.schedule.begin(uncommitted, HERE)
    start = remembered.schedule.begin(in_a_clients("READ COMMITTED", remembered.start))
    start.waits_for(one)
    one.go().end()
    assert start.end().refused is Contention
    assert_nothing_is_stranded()
