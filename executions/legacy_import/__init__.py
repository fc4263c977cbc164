"""Bringing over an older system, whose versions had no type and whose executions could be stuck.

One transaction: the rows are read (``reading``), what the old system never wrote down is decided
(``deciding``), what is decided is written (``bringing``), live executions stand where they stood
(``standing``), and types that were given later are put on hold (``later``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db import transaction

from executions.legacy_import.components import Part, parts_of
from executions.legacy_import.file_reading import Malformed, read
from executions.legacy_import.import_report import Report, Undecided
from executions.legacy_import.imported_steps import stand
from executions.legacy_import.later_types import put_on_hold
from executions.legacy_import.old_rows import Old
from executions.legacy_import.row_writing import CHUNK, Bringing
from executions.legacy_import.type_inference import decide
from executions.models import Entity
from workflows.db import locks
from workflows.guards.database_errors import translated
from workflows.models import Workflow

DB = "default"
ANOTHER = "Take it out of the file, or bring it over under another 'system'."


class _TakeBack(Exception):
    """A dry run has come to its end."""


def _nobody(text: str) -> None:
    """Nobody is told."""


def import_legacy(
    data: Any,
    *,
    contexts: Mapping[str, str] | None = None,
    leave_out_undecided: bool = False,
    by: Any = None,
    dry_run: bool = False,
    told: Callable[[str], None] = _nobody,
) -> Report:
    """Bring over what a file of an older system holds: all of it, or nothing.

    Args:
        data: the file's JSON, in the layout of ``docs/legacy-import.md``.
        contexts: by the old id of a workflow, the id or name of the type that an operator chose.
        leave_out_undecided: bring in the parts that nothing undecided hangs together with.
        dry_run: do all of it, and take it back.
        told: is told what is being done.

    Raises:
        Malformed: the file is not in the layout.
        workflows.guards.InvalidTrigger, TriggerTaken: what starts a workflow is not taken here.
        workflows.db.locks.Contention: somebody else was at the same rows, again and again.
    """
    old = read(data, contexts or {})

    @translated
    @locks.retrying
    def imported() -> Report:
        report = Report()
        try:
            with transaction.atomic():
                locks.limit_wait(DB)
                _import(old, report, leave_out_undecided, by, told)
                if dry_run:
                    raise _TakeBack
        except _TakeBack:
            pass
        return report

    return imported()


def _import(
    old: Old, report: Report, leave_out: bool, by: Any, told: Callable[[str], None]
) -> None:
    told("Deciding what belongs together")
    ready = []
    left: list[Part] = []
    workflows = _there(Workflow, (old.workflow_cuid(pk) for pk in old.workflows))
    entities = _there(Entity, (old.cuid(*pk) for pk in old.entities))
    for part in parts_of(old):
        found = [old.workflow_cuid(pk) in workflows for pk in part.workflows]
        worked_on = [old.cuid(*pk) in entities for pk in part.entities]
        known = found or worked_on
        if all(known):
            _count(report, report.known, part)
        elif any(found) or any(worked_on):
            left.append(part)
            report.undecided.append(_in_part(old, part, workflows))
        else:
            decided = decide(part, old)
            report.undecided += decided.undecided
            if decided.undecided:
                left.append(part)
            else:
                ready.append(decided)
    for part in left:
        _count(report, report.left_out, part)
    if left and not leave_out:
        report.done = False
        return
    if not ready:
        return
    told("Bringing in workflows, entities and executions")
    brought = Bringing(old, ready, report, by)
    brought.bring()
    told("Opening the steps where executions stand")
    stand(brought)
    put_on_hold(brought)


def _there(model: Any, cuids: Iterable[str]) -> set[str]:
    wanted = list(cuids)
    found: set[str] = set()
    for at in range(0, len(wanted), CHUNK):
        rows = model._base_manager.filter(cuid__in=wanted[at : at + CHUNK])
        found.update(rows.values_list("cuid", flat=True))
    return found


def _count(report: Report, where: dict[str, int], part: Part) -> None:
    report.count(where, "workflow", len(part.workflows))
    report.count(where, "entity", len(part.entities))
    report.count(where, "execution", len(part.executions))


def _in_part(old: Old, part: Part, there: set[str]) -> Undecided:
    rows = [old.workflows[pk] for pk in part.workflows]
    new = next((row for row in rows if old.workflow_cuid(row.id) not in there), None)
    if new is None or len(rows) == 0:
        entity = old.entities[part.entities[0]]
        detail = f"Some of what hangs together with {entity.name} is in already, and some is not."
        return Undecided("entity", entity.id[1], entity.at, detail, ANOTHER)
    detail = f"What hangs together with “{new.title}” is in already, but the workflow is not."
    return Undecided("workflow", new.id, new.at, detail, ANOTHER)


__all__ = ["Malformed", "Report", "Undecided", "import_legacy"]
