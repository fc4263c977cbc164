"""Starts without locks, inside a transaction of the client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from executions.models import Entity
from tests.concurrency.cached_closure import EDITS, CachedStart, assert_result_after, cached_fixture  # noqa: F401  the fixture that the tests ask for
from tests.concurrency.invariants import assert_nothing_is_stranded
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


def in_client_transaction(level: str, work: Work) -> Work:
    def within() -> Any:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            assert Workflow.objects.exists()
            here()
            try:
                return work()
            finally:
                # The client's transaction is still usable.
                assert Entity.objects.count() >= 0

    return within


@pytest.mark.parametrize("name", ["type", "graph replaced", "retired", "entity's field", "raw SQL"])
def test_start_uses_the_edit_when_its_transaction_sees_commits(
    cached: CachedStart, name: str
) -> None:
    edit = EDITS[name]
    work = in_client_transaction("READ COMMITTED", cached.start)
    started, _ = cached.schedule.interleave(work, HERE, lambda: edit.make(cached), waits=False)
    assert_result_after(edit, cached, started)


@LEVELS
@pytest.mark.parametrize(
    "name",
    ["type", "graph replaced", "retired", "deleted", "entity's field", "entity deleted", "hold"],
)
def test_start_is_retried_when_its_snapshot_misses_the_edit(
    cached: CachedStart, name: str, level: str
) -> None:
    if name == "hold":
        cached.start_other()
    make = CachedStart.hold if name == "hold" else EDITS[name].make
    work = in_client_transaction(level, cached.start)
    started, _ = cached.schedule.interleave(work, HERE, lambda: make(cached), waits=False)
    assert started.refused is Contention
    assert_nothing_is_stranded()


def test_transaction_continues_when_the_version_is_replaced_meanwhile(
    cached: CachedStart,
) -> None:
    def uncommitted() -> None:
        with transaction.atomic():
            cached.replace()
            here()

    one = cached.schedule.begin(uncommitted, HERE)
    start = cached.schedule.begin(in_client_transaction("READ COMMITTED", cached.start))
    start.assert_waits_for(one)
    one.go().end()
    assert start.end().refused is Contention
    assert_nothing_is_stranded()
