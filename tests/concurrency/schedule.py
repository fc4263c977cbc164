"""Transactions interleaved step by step: threads on connections of their own, held at named points.

Nothing sleeps for luck. An actor stands at a point that was named, or waits for a row lock of
another, which PostgreSQL itself is asked about, or has ended. Every wait is bounded.
"""

from __future__ import annotations

import functools
import pkgutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections, transaction

from executions.engine import closures
from executions.engine.store import PostgreSQLStore
from executions.services import advancing, submitting
from tests.factories import line
from workflows import editing
from workflows.db import locks
from workflows.models import Workflow
from workflows.refusals import Refusal

MARKS = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,  # SQLite has one writer and no row locks.
]

LEVELS = pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
EVERY_LEVEL = pytest.mark.parametrize(
    "level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
)

WAIT = 5.0
POLL = 0.002


class Stuck(AssertionError):
    """The schedule did not go the way that the test says."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A point to be held at: just before or after a function, the nth time it is called."""

    path: str
    after: bool
    nth: int = 1


def before(path: str, nth: int = 1) -> Stop:
    return Stop(path, after=False, nth=nth)


def after(path: str, nth: int = 1) -> Stop:
    return Stop(path, after=True, nth=nth)


HERE = before("here")


def here() -> None:
    """A point of the test's own, inside a transaction that the test itself opens."""
    actor: Actor | None = getattr(_here, "actor", None)
    if actor is not None:
        actor.pass_by(HERE.path, after=HERE.after)


# Runners.
WALKED = after("workflows.models.call_queries.walk")
SHARED = after("executions.services.starting._lock_closure")
UNWRITTEN = before("executions.engine.tree.Tree.write")
WRITTEN = after("executions.engine.tree.Tree.write")
# Editors; the last of each stands before the commit.
LOCKED = after("workflows.db.locks.lock_rows")
JUDGED = after("workflows.editing.context_change.ContextChange.judge")
JUDGED_EDIT = after("workflows.editing.save_workflow.WorkflowEdit.judge")
EXCLUSIVE = after("workflows.editing.context_change.lock_for_edit")
MADE_WAY = after("workflows.editing.context_change.ContextChange.release_versions")
CHANGED = after("workflows.editing.context_change.ContextChange.append_versions")
LOCKED_FOR_SAVE = after("workflows.editing.graph_save._lock_for_save")
JUDGED_CALLS = after("workflows.editing.graph_save._judge_calls")
GIVEN_UP = after("workflows.models.version._delete_unused")
SAVED = after("workflows.editing.graph_save.release_superseded")
FOLLOWED_UP = after("workflows.editing.save_workflow.WorkflowEdit.update_versions")

_here = threading.local()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an actor's work: its value, or the refusal."""

    value: Any
    refusal: Refusal | locks.Contention | None

    @property
    def refused(self) -> type[Exception] | None:
        """The class of the refusal; None when the work was accepted."""
        return None if self.refusal is None else type(self.refusal)

    @property
    def blockers(self) -> int:
        """How many blockers the refusal names."""
        return self.refusal.blockers.total if isinstance(self.refusal, Refusal) else 0

    @property
    def code(self) -> str:
        """The code of the refusal; nothing when the work was accepted or has to be repeated."""
        return self.refusal.code if isinstance(self.refusal, Refusal) else ""

    @property
    def by_database(self) -> bool:
        """Whether it was refused by a key of the database, and so past every guard."""
        return self.refusal is not None and isinstance(self.refusal.__cause__, IntegrityError)


class Actor:
    """One thread with one connection, doing one piece of work."""

    def __init__(self, work: Callable[[], Any], stops: Iterable[Stop]) -> None:
        self.pid = 0
        self.passing: list[str] = []
        self.raised: list[BaseException] = []
        self._work = work
        self._stops = set(stops)
        self._passed: Counter[tuple[str, bool]] = Counter()
        self._value: Any = None
        self._error: BaseException | None = None
        self._ready, self._held, self._go = (threading.Event() for _ in range(3))
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        _here.actor = self
        try:
            connection.ensure_connection()
            self.pid = connection.connection.get_backend_pid()
            with connection.cursor() as cursor:
                cursor.execute("SET deadlock_timeout = '50ms'")
                cursor.execute("SET statement_timeout = '20s'")
            self._ready.set()
            self._value = self._work()
        except BaseException as error:
            self._error = error
        finally:
            connections.close_all()
            self._stops.clear()
            self._ready.set()
            self._held.set()

    def pass_by(self, path: str, *, after: bool) -> None:
        """Called on the actor's own thread: stay here while the schedule says so."""
        self._passed[path, after] += 1
        if self._abandoned or Stop(path, after, self._passed[path, after]) not in self._stops:
            return
        self._held.set()
        if not self._go.wait(4 * WAIT):
            raise Stuck(f"nobody let it go on from {path}")
        self._go.clear()

    def begin(self) -> Actor:
        self._thread.start()
        self._await(self._ready, "it did not begin")
        if self._stops:
            self.held()
        return self

    def _await(self, event: threading.Event, otherwise: str) -> None:
        if not event.wait(WAIT):
            raise Stuck(otherwise)

    def held(self) -> None:
        """Wait until the actor stands at one of its stops."""
        self._await(self._held, f"it stands at none of {self._stops}, nor has it ended")
        if not self._thread.is_alive() or not self._stops:
            raise Stuck(f"it ended ({self._value!r}) and was never held") from self._error
        self._held.clear()

    def go(self) -> Actor:
        self._go.set()
        return self

    def waits_for(self, *others: Actor) -> None:
        """Wait until a row lock of one of the others keeps this actor from going on."""
        deadline = time.monotonic() + WAIT
        wanted = [other.pid for other in others]
        while time.monotonic() < deadline:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_blocking_pids(%s) && %s", [self.pid, wanted])
                if cursor.fetchone()[0]:
                    return
            if not self._thread.is_alive():
                raise Stuck(f"it went through ({self._value!r}) and waited for nobody") from (
                    self._error
                )
            time.sleep(POLL)
        raise Stuck("it neither waits for a lock nor ends")

    def end(self) -> Outcome:
        """Wait for the end. Raises whatever escaped that is no refusal."""
        self._thread.join(WAIT)
        if self._thread.is_alive():
            raise Stuck("it does not end")
        if self._error is None or isinstance(self._error, (Refusal, locks.Contention)):
            return Outcome(self._value, self._error)
        raise self._error

    def abandon(self) -> None:
        self._abandoned = True
        self._go.set()
        self._thread.join(WAIT)
        if self._thread.is_alive():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [self.pid])
            self._thread.join(WAIT)


@dataclass
class Schedule:
    """The actors of one test, and what was taken out of the product for it."""

    patch: pytest.MonkeyPatch
    actors: list[Actor] = field(default_factory=list)
    _watched: set[str] = field(default_factory=set)
    _dropped: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        judge = locks.is_transient

        def is_transient(error: DatabaseError) -> bool:
            actor = getattr(_here, "actor", None)
            if actor is not None and judge(error):
                actor.passing.append(getattr(error.__cause__, "pgcode", ""))
            return judge(error)

        self.patch.setattr(locks, "is_transient", is_transient)

    def begin(self, work: Callable[[], Any], *stops: Stop) -> Actor:
        """Begin this work; with stops, return when it stands at the first of them."""
        for stop in set(stops) - {HERE}:
            self.watch(stop.path)
        actor = Actor(work, stops)
        self.actors.append(actor)
        return actor.begin()

    def overtaken(
        self,
        first: Callable[[], Any],
        at: Stop,
        second: Callable[[], Any],
        *,
        waits: bool,
    ) -> tuple[Outcome, Outcome]:
        """Hold ``first`` at a point, run ``second``, let ``first`` go on; what became of both.

        ``waits`` says whether ``second`` has to wait for a lock of ``first``, or ends while
        ``first`` is held.
        """
        one = self.begin(first, at)
        other = self.begin(second)
        if waits:
            other.waits_for(one)
        else:
            other.end()
        ended = one.go().end()
        return ended, other.end()

    def watch(self, path: str) -> None:
        """Let this function be a point to be held at, and note what it raises."""
        if path in self._watched:
            return
        self._watched.add(path)
        function = pkgutil.resolve_name(path)

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            actor: Actor | None = getattr(_here, "actor", None)
            if actor is None:
                return function(*args, **kwargs)
            actor.pass_by(path, after=False)
            try:
                value = function(*args, **kwargs)
            except BaseException as error:
                actor.raised.append(error)
                raise
            actor.pass_by(path, after=True)
            return value

        self.patch.setattr(path, watched)

    @property
    def deadlocks(self) -> int:
        return sum(actor.passing.count("40P01") for actor in self.actors)

    def under_locks(self) -> None:
        """Let starts and submits lock before they read, as they do when others were there."""
        self.patch.setattr(closures, "cached_closure", lambda _: None)
        self.patch.setattr(locks, "single_writer", transaction.atomic)
        self.patch.setattr(submitting, "unlocked_advance", advancing.locked_advance)

    # What proves that a test can fail

    def without_looking_again(self) -> None:
        """Let what was read without a lock be written, whatever has become of it."""
        write_rows = PostgreSQLStore._write_rows
        self.patch.setattr(
            PostgreSQLStore,
            "_write_rows",
            lambda store, changes, _: write_rows(store, changes, None),
        )

    def without_locks(self) -> None:
        """Let ``lock_rows`` answer as always, and lock nothing."""

        def lock_rows(queryset: Any, ids: Iterable[int], *args: Any, **kwargs: Any) -> list[int]:
            return sorted(set(ids))

        self.patch.setattr(locks, "lock_rows", lock_rows)

    def without_keys(self) -> None:
        """Drop every foreign key among workflows and executions, Django's own included."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
                " FROM pg_constraint WHERE contype = 'f' AND conparentid = 0"
                " AND conrelid::regclass::text IN ('workflows_version', 'workflows_reference',"
                " 'executions_execution', 'executions_pin')"
            )
            self._dropped = cursor.fetchall()
            for table, name, _ in self._dropped:
                cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')

    def close(self) -> None:
        for actor in self.actors:
            actor.abandon()
        if self._dropped:
            with connection.cursor() as cursor:
                # What the test left would not pass the keys that come back.
                cursor.execute(
                    "TRUNCATE workflows_workflow, workflows_version, workflows_reference,"
                    " executions_entity, executions_execution, executions_pin CASCADE"
                )
                for table, name, definition in self._dropped:
                    cursor.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')


@pytest.fixture(name="unlocked")
def unlocked_fixture(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Schedule]:
    """A schedule whose starts and submits read without locks."""
    schedule = Schedule(monkeypatch)
    try:
        yield schedule
    finally:
        schedule.close()


@pytest.fixture(name="schedule")
def schedule_fixture(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Schedule]:
    """A schedule whose starts and submits lock before they read."""
    schedule = Schedule(monkeypatch)
    schedule.under_locks()
    try:
        yield schedule
    finally:
        schedule.close()


def isolated(level: str, work: Callable[[], Any]) -> Callable[[], Any]:
    """``work`` on a connection whose transactions isolate so."""

    def within() -> Any:
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {level}")
        return work()

    return within


def save(workflow: Workflow, *nodes: dict[str, Any]) -> editing.SavedGraph:
    """Save a line of nodes as the workflow's graph, drawn from its latest version."""
    number = workflow.latest_version.number
    return editing.save_graph(workflow, line(*nodes), based_on=number)
