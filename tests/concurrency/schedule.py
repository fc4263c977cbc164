"""Step-by-step schedules of concurrent transactions, with threads that pause at named points.

There are no sleeps. An actor is paused at a point, waits for a row lock of another (which
PostgreSQL reports), or has ended. Every wait has a time limit.
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


class ScheduleError(AssertionError):
    """The schedule did not run as the test expects."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A point to pause at: before or after the nth call of a function."""

    path: str
    after: bool
    nth: int = 1


def before(path: str, nth: int = 1) -> Stop:
    return Stop(path, after=False, nth=nth)


def after(path: str, nth: int = 1) -> Stop:
    return Stop(path, after=True, nth=nth)


HERE = before("here")


def here() -> None:
    """Mark a point of the test, inside a transaction that the test opens."""
    actor: Actor | None = getattr(_here, "actor", None)
    if actor is not None:
        actor.pause_at(HERE.path, after=HERE.after)


# Runners.
CALLS_READ = after("workflows.models.call_queries.follow_calls")
CLOSURE_LOCKED = after("executions.services.starting.lock_closure")
BEFORE_CLOSURE = before("executions.engine.closures.get_closure")
BEFORE_WRITE = before("executions.engine.tree.Tree.write")
AFTER_WRITE = after("executions.engine.tree.Tree.write")
# Editors. The last point of each is before the commit.
LOCKED = after("workflows.db.locks.lock_rows")
CHECKED = after("workflows.editing.context_change.ContextChange.judge")
CHECKED_EDIT = after("workflows.editing.save_workflow.WorkflowEdit.judge")
EXCLUSIVE = after("workflows.editing.context_change.lock_for_edit")
RELEASED = after("workflows.editing.context_change.ContextChange.release_versions")
CHANGED = after("workflows.editing.context_change.ContextChange.append_versions")
LOCKED_FOR_SAVE = after("workflows.editing.graph_save._lock_for_save")
CHECKED_CALLS = after("workflows.editing.graph_save._judge_calls")
DELETED_UNUSED = after("workflows.models.version._delete_unused")
SAVED = after("workflows.editing.graph_save.release_superseded")
VERSIONS_UPDATED = after("workflows.editing.save_workflow.WorkflowEdit.update_versions")

_here = threading.local()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an actor's work: its value, or the refusal."""

    value: Any
    refusal: Refusal | locks.Contention | None

    @property
    def refused(self) -> type[Exception] | None:
        """The class of the refusal; None when the work was accepted."""
        return None if self.refusal is None else type(self.refusal)

    @property
    def blockers(self) -> int:
        """The number of blockers that the refusal names."""
        return self.refusal.blockers.total if isinstance(self.refusal, Refusal) else 0

    @property
    def code(self) -> str:
        """The code of the refusal; empty if the work was accepted or must be repeated."""
        return self.refusal.code if isinstance(self.refusal, Refusal) else ""

    @property
    def by_database(self) -> bool:
        """True if a database key refused the work, after it had passed the guards."""
        return self.refusal is not None and isinstance(self.refusal.__cause__, IntegrityError)


class Actor:
    """A thread with a connection of its own that does one piece of work."""

    def __init__(self, work: Callable[[], Any], stops: Iterable[Stop]) -> None:
        self.pid = 0
        self.pg_errors: list[str] = []
        self.raised: list[BaseException] = []
        self._work = work
        self._stops = set(stops)
        self._passed: Counter[tuple[str, bool]] = Counter()
        self._value: Any = None
        self._error: BaseException | None = None
        self._ready, self._paused, self._go = (threading.Event() for _ in range(3))
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
            self._paused.set()

    def pause_at(self, path: str, *, after: bool) -> None:
        """Pause the actor's own thread here if the schedule says so."""
        self._passed[path, after] += 1
        if self._abandoned or Stop(path, after, self._passed[path, after]) not in self._stops:
            return
        self._paused.set()
        if not self._go.wait(4 * WAIT):
            raise ScheduleError(f"it was not continued at {path}")
        self._go.clear()

    def begin(self) -> Actor:
        self._thread.start()
        self._await(self._ready, "it did not start")
        if self._stops:
            self.wait_until_paused()
        return self

    def _await(self, event: threading.Event, otherwise: str) -> None:
        if not event.wait(WAIT):
            raise ScheduleError(otherwise)

    def wait_until_paused(self) -> None:
        """Wait until the actor has paused at one of its stops."""
        self._await(self._paused, f"it has neither paused at one of {self._stops} nor ended")
        if not self._thread.is_alive() or not self._stops:
            raise ScheduleError(f"it ended ({self._value!r}) and never paused") from self._error
        self._paused.clear()

    def go(self) -> Actor:
        self._go.set()
        return self

    def assert_waits_for(self, *others: Actor) -> None:
        """Wait until this actor waits for a row lock of one of the others."""
        deadline = time.monotonic() + WAIT
        wanted = [other.pid for other in others]
        while time.monotonic() < deadline:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_blocking_pids(%s) && %s", [self.pid, wanted])
                if cursor.fetchone()[0]:
                    return
            if not self._thread.is_alive():
                raise ScheduleError(
                    f"it went through ({self._value!r}) and waited for nobody"
                ) from (self._error)
            time.sleep(POLL)
        raise ScheduleError("it neither waits for a lock nor ends")

    def end(self) -> Outcome:
        """Wait for the end. Raise any exception that is no refusal."""
        self._thread.join(WAIT)
        if self._thread.is_alive():
            raise ScheduleError("it does not end")
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
    """The actors of one test, and the defences that it has switched off."""

    patch: pytest.MonkeyPatch
    actors: list[Actor] = field(default_factory=list)
    _watched: set[str] = field(default_factory=set)
    _dropped: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        judge = locks.is_transient

        def is_transient(error: DatabaseError) -> bool:
            actor = getattr(_here, "actor", None)
            if actor is not None and judge(error):
                actor.pg_errors.append(getattr(error.__cause__, "pgcode", ""))
            return judge(error)

        self.patch.setattr(locks, "is_transient", is_transient)

    def begin(self, work: Callable[[], Any], *stops: Stop) -> Actor:
        """Begin this work; with stops, return when it stands at the first of them."""
        for stop in set(stops) - {HERE}:
            self.watch(stop.path)
        actor = Actor(work, stops)
        self.actors.append(actor)
        return actor.begin()

    def interleave(
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
            other.assert_waits_for(one)
        else:
            other.end()
        ended = one.go().end()
        return ended, other.end()

    def watch(self, path: str) -> None:
        """Make this function a point to pause at, and record the errors that it raises."""
        if path in self._watched:
            return
        self._watched.add(path)
        function = pkgutil.resolve_name(path)

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            actor: Actor | None = getattr(_here, "actor", None)
            if actor is None:
                return function(*args, **kwargs)
            actor.pause_at(path, after=False)
            try:
                value = function(*args, **kwargs)
            except BaseException as error:
                actor.raised.append(error)
                raise
            actor.pause_at(path, after=True)
            return value

        self.patch.setattr(path, watched)

    @property
    def deadlocks(self) -> int:
        return sum(actor.pg_errors.count("40P01") for actor in self.actors)

    def lock_before_reading(self) -> None:
        """Let starts and submits lock before they read, as after a conflict."""
        self.patch.setattr(closures, "cached_closure", lambda _: None)
        self.patch.setattr(locks, "single_writer", transaction.atomic)
        self.patch.setattr(submitting, "read_tree", advancing.lock_tree)

    # Switching off a defence proves that a test can fail.

    def without_comparing_basis(self) -> None:
        """Write without comparing the basis that was read without locks."""
        write_rows = PostgreSQLStore._write_rows
        self.patch.setattr(
            PostgreSQLStore,
            "_write_rows",
            lambda store, changes, _: write_rows(store, changes, None),
        )

    def without_locks(self) -> None:
        """Let ``lock_rows`` return the ids as usual, but lock nothing."""

        def lock_rows(queryset: Any, ids: Iterable[int], *args: Any, **kwargs: Any) -> list[int]:
            return sorted(set(ids))

        self.patch.setattr(locks, "lock_rows", lock_rows)

    def without_keys(self) -> None:
        """Drop every foreign key among workflows and executions, Django's own included."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT conname FROM pg_constraint WHERE contype = 'f' AND conparentid = 0"
                " AND conrelid::regclass::text IN ('workflows_version', 'workflows_reference',"
                " 'executions_execution', 'executions_closure', 'executions_closuremember')"
            )
            names = [name for (name,) in cursor.fetchall()]
        self.without(*names)

    def without(self, *names: str) -> None:
        """Drop these foreign keys and triggers."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', table_name, conname),"
                " format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', table_name, conname,"
                " pg_get_constraintdef(oid)) FROM pg_constraint,"
                " LATERAL (SELECT conrelid::regclass AS table_name) t WHERE conname = ANY(%s)"
                " UNION ALL SELECT format('DROP TRIGGER %%I ON %%s', tgname, tgrelid::regclass),"
                " pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = ANY(%s)",
                [list(names), list(names)],
            )
            found = cursor.fetchall()
            assert len(found) == len(names)
            for drop, create in found:
                cursor.execute(drop)
                self._dropped.append(create)

    def close(self) -> None:
        for actor in self.actors:
            actor.abandon()
        if self._dropped:
            with connection.cursor() as cursor:
                # The rows of the test may violate the restored keys.
                cursor.execute(
                    "TRUNCATE workflows_workflow, workflows_version, workflows_reference,"
                    " executions_entity, executions_execution, executions_closure,"
                    " executions_closuremember CASCADE"
                )
                for create in self._dropped:
                    cursor.execute(create)


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
    schedule.lock_before_reading()
    try:
        yield schedule
    finally:
        schedule.close()


def at_isolation(level: str, work: Callable[[], Any]) -> Callable[[], Any]:
    """Return ``work`` on a connection with this isolation level."""

    def within() -> Any:
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {level}")
        return work()

    return within


def save(workflow: Workflow, *nodes: dict[str, Any]) -> editing.SavedGraph:
    """Save a line of nodes as the workflow's graph, based on its latest version."""
    number = workflow.latest_version.number
    return editing.save_graph(workflow, line(*nodes), based_on=number)
