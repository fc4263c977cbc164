"""Bringing a file in: one transaction, through the services that every other edit takes.

The order is one in which each step is allowed whenever all of them together are: types; who no
longer starts on creation; new workflows; whoever is to call others, and calls across contexts
meanwhile, lets go of its calls; contexts, a group for each; graphs, callees first; and last, with
callers first, who retires. Versions that come and go in between leave none behind: a version that
nothing has is replaced.

Locks: workflows by id, as an editor of all of them together takes them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connections, transaction

from workflows import guards
from workflows.audit.log import record_refusal
from workflows.db import locks
from workflows.db.json_values import canonical
from workflows.editing.change_context import change_entity_context
from workflows.editing.context_edit import lock_for_edit
from workflows.editing.graph_save import save_graph
from workflows.editing.retirement import set_state
from workflows.files.file_schema import FINDING, WorkflowFile
from workflows.files.import_plan import Item, Plan, type_key
from workflows.files.matching import CUID, planned
from workflows.graph import START_TO_END
from workflows.guards import count
from workflows.guards.database_errors import NotUnique, as_refusal
from workflows.models import FindingType, RecordType, Workflow
from workflows.refusals import Refusal

DB = "default"
RETIRED = Workflow.State.RETIRED
MANUAL: dict[str, Any] = {"trigger": Workflow.Trigger.MANUAL, "trigger_data": {}}


class NotBroughtIn(Exception):
    """A guard has refused a step, so nothing of the file is in.

    Args:
        refusal: what the guard said.
        plan: what was to be done.
        items: the workflows of which the step was; none where it was all of them.
        pointer: where in the file the first of them stands.
    """

    def __init__(self, refusal: Refusal, plan: Plan, items: Sequence[Item]) -> None:
        super().__init__(str(refusal.message))
        self.refusal = refusal
        self.plan = plan
        self.items = items
        self.pointer = items[0].entry.named.pointer if items else ""


Told = Callable[[str], None]


def _nobody(text: str) -> None:
    """Nobody wants to be told."""


def bring_in(
    file: WorkflowFile,
    *,
    match: str = CUID,
    apply: bool = False,
    by: Any = None,
    why: str = "",
    told: Told = _nobody,
    allow_unknown: bool = False,
) -> Plan:
    """Make the workflows of this file what it says they are: all of them, or nothing.

    Args:
        match: ``cuid`` or ``title``: what a workflow or a type is known by.
        apply: without it, all of it is done and taken back: what is refused is refused then too.
        why: kept with the versions.
        told: is told now and then how far it has come.
        allow_unknown: take graphs that name groups, users or secrets which do not exist here, and
            triggers that name such secrets.

    Returns:
        What was done, or would be, with the numbers of the versions.

    Raises:
        layout.InvalidFile: what it names is missing or ambiguous here.
        NotBroughtIn: what a guard has refused.
    """
    try:
        with guards.allowing_unknown(allow_unknown):
            return _bring_in(file, match, apply, by, why, told, allow_unknown)
    except NotBroughtIn as stopped:
        if apply:
            # What was recorded inside has gone with the transaction.
            record_refusal(stopped.refusal, using=DB)
        raise


@locks.retrying
def _bring_in(
    file: WorkflowFile,
    match: str,
    apply: bool,
    by: Any,
    why: str,
    told: Told,
    allow_unknown: bool,
) -> Plan:
    plan: Plan | None = None
    try:
        with transaction.atomic():
            before = planned(file, match)
            _lock(before)
            plan = planned(file, match)
            if plan.reached - before.reached:
                raise locks.TryAgain
            if not plan.is_empty:
                _Bringing(plan, by, why, told, allow_unknown).run()
            connection = connections[DB]
            if not apply:
                if connection.vendor == "postgresql":
                    # What would be refused at the commit is refused here.
                    connection.check_constraints()
                transaction.set_rollback(True)
        return plan
    except DatabaseError as error:
        refusal = as_refusal(error)
        if isinstance(refusal, NotUnique):
            # Somebody has created it meanwhile: it is found, and compared.
            raise locks.TryAgain from error
        if refusal is None or plan is None:
            raise
        raise NotBroughtIn(refusal, plan, []) from error


def _lock(plan: Plan) -> None:
    """Lock all that the steps will lock, in the one order, before the first of them."""
    lock_for_edit(plan.reached, DB, locks.Strength.NO_KEY_UPDATE)
    rows = Workflow._base_manager.using(DB)
    moving = [item.row.pk for item in plan.items if item.row and item.changes_type]
    locks.lock_rows(rows.all(), moving, locks.Strength.UPDATE)


class _Bringing:
    def __init__(self, plan: Plan, by: Any, why: str, told: Told, allow_unknown: bool) -> None:
        self.allow_unknown = allow_unknown
        self.plan = plan
        self.by = by
        self.why = why
        self.told = told
        self.there = [item for item in plan.items if item.stored is not None]

    def run(self) -> None:
        self.create_types()
        for item in self.there:
            self.save(item, self.early(item))
        for item in self.plan.items:
            if item.row is None:
                self.create(item)
        for item in self.there:
            if self.calls_across(item):
                self.draw(item, START_TO_END)
        self.change_types()
        for number, item in enumerate(self.plan.order, 1):
            self.told(f"Drawing {number} of {count(len(self.plan.order), 'workflow')}")
            if item.redrawn:
                self.draw(item, item.source)
            if item.stored and item.stored.state == RETIRED and item.entry.state != RETIRED:
                with self.step(item):
                    set_state(self.stored(item), item.entry.state)
        for item in reversed(self.plan.order):
            self.save(item, item.values)
        for item in self.plan.items:
            if item.redrawn or item.changes_type:
                item.version = self.stored(item).latest_version.number

    @contextmanager
    def step(self, *items: Item) -> Iterator[None]:
        """What is refused inside is refused of these workflows."""
        try:
            yield
        except Refusal as refusal:
            raise NotBroughtIn(refusal, self.plan, items) from refusal

    def stored(self, item: Item) -> Workflow:
        assert item.row is not None
        rows = Workflow.objects.select_related("entity_name_type", "primary_record_type")
        row: Workflow = rows.get(pk=item.row.pk)
        return row

    def create_types(self) -> None:
        for target in self.plan.types:
            model: Any = FindingType if target.noun == FINDING else RecordType
            about = target.entry.description if target.entry else ""
            row = model(cuid=target.cuid, name=target.name, description=about)
            with self.step():
                row.save()
            target.row = row

    def early(self, item: Item) -> dict[str, Any]:
        """What is written first: whoever is to start on creation instead finds the place free."""
        stored = item.stored
        assert stored is not None
        values = {name: item.values[name] for name in ("title", "description")}
        created = Workflow.Trigger.CREATED
        if item.entry.trigger != created:
            return values | {name: item.values[name] for name in MANUAL}
        leaves = stored.starts_on_creation and (item.changes_type or not item.starts_on_creation)
        if leaves and any(
            other.starts_on_creation and other.kind.key == stored.type_key
            for other in self.plan.items
            if other is not item
        ):
            return values | MANUAL
        return values

    def save(self, item: Item, values: dict[str, Any]) -> None:
        row = self.stored(item)
        # Compared as JSON: to Python, true equals 1.
        names = [
            name
            for name, value in values.items()
            if canonical(getattr(row, name)) != canonical(value)
        ]
        if not names:
            return
        for name in names:
            setattr(row, name, values[name])
        with self.step(item):
            row.save(update_fields=[*names, "updated_at"])

    def create(self, item: Item) -> None:
        values = item.values
        if item.entry.trigger == Workflow.Trigger.CREATED:
            values |= MANUAL
        if item.entry.state == RETIRED:
            # Until those that call it are drawn.
            values["state"] = Workflow.State.DRAFT
        item.row = Workflow(cuid=item.cuid, **values, **item.kind.context)
        with self.step(item):
            item.row.save()

    def calls_across(self, item: Item) -> bool:
        """Whether it calls now, and is not to any more, what will be of another type."""
        row = item.row
        assert row is not None and item.stored is not None
        if not item.redrawn or item.stored.state == RETIRED:
            return False
        becomes = {other.cuid: other.kind.key for other in self.plan.items}
        called = Workflow._base_manager.filter(callers__version=row.latest_version)
        return any(
            becomes.get(callee.cuid, type_key(callee)) != item.kind.key
            for callee in called.select_related("entity_name_type", "primary_record_type")
        )

    def draw(self, item: Item, source: dict[str, Any]) -> None:
        row = self.stored(item)
        number = row.latest_version.number
        with self.step(item):
            save_graph(
                row,
                source,
                based_on=number,
                by=self.by,
                notes=self.why,
                allow_unknown=self.allow_unknown,
            )

    def change_types(self) -> None:
        groups: dict[tuple[str, str], list[Item]] = defaultdict(list)
        for item in self.there:
            if item.changes_type:
                groups[item.kind.key].append(item)
        for items in groups.values():
            rows = [self.stored(item) for item in items]
            with self.step(*items):
                change_entity_context(rows, **items[0].kind.context, by=self.by, why=self.why)
