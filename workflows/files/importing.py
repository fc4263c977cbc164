"""Import of a file: one transaction, through the services of every other edit.

The steps have an order in which each is allowed if all of them together are:

1. Create types.
2. Stop workflows from starting on creation if another workflow of the file takes over.
3. Create workflows.
4. Remove the calls of workflows that would call another context in the meantime.
5. Change contexts, one group per context.
6. Save graphs, callees first.
7. Apply the remaining settings, callers first, so that a callee can retire.

Intermediate versions leave nothing behind: a version without references is replaced.

Locks: all workflows by id, as one editor of all of them takes them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connection, transaction

from workflows import guards
from workflows.audit.log import record_refusal
from workflows.db import locks
from workflows.db.json_values import canonical
from workflows.db.vendor import DATABASE
from workflows.editing.change_context import change_entity_context
from workflows.editing.context_change import lock_for_edit
from workflows.editing.graph_save import save_graph
from workflows.editing.graph_warnings import graph_warnings
from workflows.editing.workflow_state import set_state
from workflows.files.file_schema import FINDING, WorkflowFile
from workflows.files.import_plan import Plan, PlanItem, type_key
from workflows.files.matching import CUID, build_plan
from workflows.graph import START_TO_END
from workflows.guards import count
from workflows.guards.database_errors import NotUnique, find_refusal
from workflows.models import FindingType, RecordType, Workflow
from workflows.refusals import Refusal

RETIRED = Workflow.State.RETIRED
MANUAL: dict[str, Any] = {"trigger": Workflow.Trigger.MANUAL, "trigger_data": {}}


class ImportRefusal(Exception):
    """A guard has refused a step, so nothing of the file is imported.

    Attributes:
        refusal: The refusal of the guard.
        plan: The plan of the import.
        items: The workflows of the step; empty if the step concerned all of them.
        pointer: The place of the first of them in the file.
    """

    def __init__(self, refusal: Refusal, plan: Plan, items: Sequence[PlanItem]) -> None:
        super().__init__(str(refusal.message))
        self.refusal = refusal
        self.plan = plan
        self.items = items
        self.pointer = items[0].entry.ref.pointer if items else ""


Progress = Callable[[str], None]


def _ignore_progress(text: str) -> None:
    """Discard the text."""


def import_file(
    file: WorkflowFile,
    *,
    match: str = CUID,
    apply: bool = False,
    by: Any = None,
    why: str = "",
    on_progress: Progress = _ignore_progress,
    allow_unknown: bool = False,
) -> Plan:
    """Create and change the workflows of a file, all of them or none.

    Args:
        match: The key of workflows and types: ``cuid`` or ``title``.
        apply: Commit the import. Otherwise it is made and rolled back, so that refusals are
            reported too.
        why: The reason, stored with the versions.
        on_progress: Called with a text about the progress.
        allow_unknown: Import graphs that name groups, users or secrets which do not exist, and
            triggers that name such secrets.

    Returns:
        The plan, with the numbers of the new versions.

    Raises:
        InvalidFile: a name in the file is missing or ambiguous in the database.
        ImportRefusal: a guard has refused a step.
    """
    try:
        with guards.allow_unknown_secrets(allow_unknown):
            return _import_file(file, match, apply, by, why, on_progress, allow_unknown)
    except ImportRefusal as error:
        if apply:
            # The entry recorded inside was rolled back with the transaction.
            record_refusal(error.refusal)
        raise


@locks.retrying
def _import_file(
    file: WorkflowFile,
    match: str,
    apply: bool,
    by: Any,
    why: str,
    on_progress: Progress,
    allow_unknown: bool,
) -> Plan:
    plan: Plan | None = None
    try:
        with transaction.atomic():
            before = build_plan(file, match)
            _lock(before)
            plan = build_plan(file, match)
            if plan.workflow_ids - before.workflow_ids:
                raise locks.TryAgain
            if not plan.is_empty:
                _Import(plan, by, why, on_progress, allow_unknown).run()
            if not apply:
                # A dry run reports what the commit would reject.
                DATABASE.check_deferred_keys(connection)
                transaction.set_rollback(True)
        return plan
    except DatabaseError as error:
        refusal = find_refusal(error)
        if isinstance(refusal, NotUnique):
            # Another transaction has created the row; the next attempt finds it.
            raise locks.TryAgain from error
        if refusal is None or plan is None:
            raise
        raise ImportRefusal(refusal, plan, []) from error


def _lock(plan: Plan) -> None:
    """Take all locks of the steps in lock order, before the first step."""
    lock_for_edit(plan.workflow_ids, locks.Strength.NO_KEY_UPDATE)
    moving = [item.row.pk for item in plan.items if item.row and item.changes_type]
    locks.lock_rows(Workflow._base_manager.all(), moving, locks.Strength.UPDATE)


class _Import:
    def __init__(
        self, plan: Plan, by: Any, why: str, on_progress: Progress, allow_unknown: bool
    ) -> None:
        self.allow_unknown = allow_unknown
        self.plan = plan
        self.by = by
        self.why = why
        self.on_progress = on_progress
        self.existing = [item for item in plan.items if item.stored is not None]

    def run(self) -> None:
        self.create_types()
        for item in self.existing:
            self.save_settings(item, self.first_values(item))
        for item in self.plan.items:
            if item.row is None:
                self.create_workflow(item)
        for item in self.existing:
            if self.calls_other_contexts(item):
                self.set_graph(item, START_TO_END)
        self.change_types()
        for number, item in enumerate(self.plan.order, 1):
            self.on_progress(f"Saving graph {number} of {count(len(self.plan.order), 'workflow')}")
            if item.changes_graph:
                self.set_graph(item, item.source)
            if item.stored and item.stored.state == RETIRED and item.entry.state != RETIRED:
                with self.step(item):
                    set_state(self.reload(item), item.entry.state)
        for item in reversed(self.plan.order):
            self.save_settings(item, item.values)
        for item in self.plan.items:
            if item.changes_graph or item.changes_type:
                row = self.reload(item)
                item.version = row.latest_version.number
                # Last: the forms of other workflows of the file may write the fields.
                item.warnings = graph_warnings(row, item.source) if item.changes_graph else ()

    @contextmanager
    def step(self, *items: PlanItem) -> Iterator[None]:
        """Attribute refusals inside the block to these workflows."""
        try:
            yield
        except Refusal as refusal:
            raise ImportRefusal(refusal, self.plan, items) from refusal

    def reload(self, item: PlanItem) -> Workflow:
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

    def first_values(self, item: PlanItem) -> dict[str, Any]:
        """Return the settings to write first.

        A workflow stops starting on creation before another one takes over for its type.
        """
        stored = item.stored
        assert stored is not None
        values = {name: item.values[name] for name in ("title", "description")}
        created = Workflow.Trigger.CREATED
        if item.entry.trigger != created:
            return values | {name: item.values[name] for name in MANUAL}
        leaves = stored.starts_on_creation and (item.changes_type or not item.starts_on_creation)
        if leaves and any(
            other.starts_on_creation and other.type_target.key == stored.type_key
            for other in self.plan.items
            if other is not item
        ):
            return values | MANUAL
        return values

    def save_settings(self, item: PlanItem, values: dict[str, Any]) -> None:
        row = self.reload(item)
        # Compared as JSON: in Python, true equals 1.
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

    def create_workflow(self, item: PlanItem) -> None:
        values = item.values
        if item.entry.trigger == Workflow.Trigger.CREATED:
            values |= MANUAL
        if item.entry.state == RETIRED:
            # Until the graphs of its callers are saved.
            values["state"] = Workflow.State.DRAFT
        item.row = Workflow(cuid=item.cuid, **values, **item.type_target.context)
        with self.step(item):
            item.row.save()

    def calls_other_contexts(self, item: PlanItem) -> bool:
        """Return True if the current graph calls a workflow whose type will differ."""
        row = item.row
        assert row is not None and item.stored is not None
        if not item.changes_graph or item.stored.state == RETIRED:
            return False
        new_types = {other.cuid: other.type_target.key for other in self.plan.items}
        called = Workflow._base_manager.filter(callers__version=row.latest_version)
        return any(
            new_types.get(callee.cuid, type_key(callee)) != item.type_target.key
            for callee in called.select_related("entity_name_type", "primary_record_type")
        )

    def set_graph(self, item: PlanItem, source: dict[str, Any]) -> None:
        row = self.reload(item)
        number = row.latest_version.number
        with self.step(item):
            save_graph(
                row,
                source,
                based_on=number,
                by=self.by,
                # A version that only gets other positions is not a new one, and has its notes.
                notes="" if item.moves_only else self.why,
                allow_unknown=self.allow_unknown,
            )

    def change_types(self) -> None:
        groups: dict[tuple[str, str], list[PlanItem]] = defaultdict(list)
        for item in self.existing:
            if item.changes_type:
                groups[item.type_target.key].append(item)
        for items in groups.values():
            rows = [self.reload(item) for item in items]
            with self.step(*items):
                change_entity_context(
                    rows, **items[0].type_target.context, by=self.by, why=self.why
                )
