"""Import from an older system, whose versions had no type and whose executions could be stranded.

One transaction: read the file (``file_reader``), infer the types of versions (``type_inference``),
write the rows (``row_writer``), open the current steps of live executions (``imported_steps``) and
put later type changes on hold (``type_changes``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db import transaction

from executions.legacy_import.components import Component, find_components
from executions.legacy_import.file_reader import InvalidLegacyFile, read_file
from executions.legacy_import.import_report import Report, UndecidedRow
from executions.legacy_import.imported_steps import open_imported_steps
from executions.legacy_import.legacy_rows import LegacyData
from executions.legacy_import.row_writer import CHUNK, RowWriter
from executions.legacy_import.type_changes import hold_type_changes
from executions.legacy_import.type_inference import infer_types
from executions.models import Entity
from workflows.db import locks
from workflows.guards.database_errors import translate_database_errors
from workflows.models import Workflow

DB = "default"
SEPARATE_IMPORT = "Remove it from the file, or import it under another 'system'."


class _DryRunRollback(Exception):
    """Rolls back the transaction of a dry run."""


def _ignore_progress(text: str) -> None:
    """Discard the text."""


def import_legacy(
    data: Any,
    *,
    contexts: Mapping[str, str] | None = None,
    leave_out_undecided: bool = False,
    by: Any = None,
    dry_run: bool = False,
    on_progress: Callable[[str], None] = _ignore_progress,
) -> Report:
    """Import the file of an older system: all of it, or nothing.

    Args:
        data: the parsed JSON of the file, in the format of ``docs/reference/legacy-file.md``.
        contexts: types that an operator chose, as old ids or names, by the old ids of workflows.
        leave_out_undecided: import the components without undecided rows.
        by: the user who imports.
        dry_run: make the import, and roll it back.
        on_progress: is called with a description of each stage.

    Raises:
        InvalidLegacyFile: the file does not have the format.
        workflows.guards.InvalidTrigger, TriggerTaken: a trigger of the file is not possible here.
        workflows.db.locks.Contention: others kept changing the same rows.
    """
    legacy = read_file(data, contexts or {})

    @translate_database_errors
    @locks.retrying
    def imported() -> Report:
        report = Report()
        try:
            with transaction.atomic():
                locks.limit_wait(DB)
                _import(legacy, report, leave_out_undecided, by, on_progress)
                if dry_run:
                    raise _DryRunRollback
        except _DryRunRollback:
            pass
        return report

    return imported()


def _import(
    legacy: LegacyData, report: Report, leave_out: bool, by: Any, on_progress: Callable[[str], None]
) -> None:
    on_progress("Inferring the types of workflows")
    ready = []
    skipped: list[Component] = []
    workflows = _existing_cuids(Workflow, (legacy.workflow_cuid(pk) for pk in legacy.workflows))
    entities = _existing_cuids(Entity, (legacy.cuid(*pk) for pk in legacy.entities))
    for component in find_components(legacy):
        imported_workflows = [legacy.workflow_cuid(pk) in workflows for pk in component.workflows]
        imported_entities = [legacy.cuid(*pk) in entities for pk in component.entities]
        known = imported_workflows or imported_entities
        if all(known):
            _count(report, report.existing, component)
        elif any(imported_workflows) or any(imported_entities):
            skipped.append(component)
            report.undecided.append(_partly_imported(legacy, component, workflows))
        else:
            inference = infer_types(component, legacy)
            report.undecided += inference.undecided
            if inference.undecided:
                skipped.append(component)
            else:
                ready.append(inference)
    for component in skipped:
        _count(report, report.skipped, component)
    if skipped and not leave_out:
        report.done = False
        return
    if not ready:
        return
    on_progress("Writing workflows, entities and executions")
    writer = RowWriter(legacy, ready, report, by)
    writer.write_all()
    on_progress("Opening the current steps")
    open_imported_steps(writer)
    hold_type_changes(writer)


def _existing_cuids(model: Any, cuids: Iterable[str]) -> set[str]:
    wanted = list(cuids)
    found: set[str] = set()
    for at in range(0, len(wanted), CHUNK):
        rows = model._base_manager.filter(cuid__in=wanted[at : at + CHUNK])
        found.update(rows.values_list("cuid", flat=True))
    return found


def _count(report: Report, where: dict[str, int], component: Component) -> None:
    report.count(where, "workflow", len(component.workflows))
    report.count(where, "entity", len(component.entities))
    report.count(where, "execution", len(component.executions))


def _partly_imported(legacy: LegacyData, component: Component, existing: set[str]) -> UndecidedRow:
    rows = [legacy.workflows[pk] for pk in component.workflows]
    new = next((row for row in rows if legacy.workflow_cuid(row.id) not in existing), None)
    if new is None:
        entity = legacy.entities[component.entities[0]]
        detail = (
            f"Some rows that are connected with {entity.name} are imported already, others are not."
        )
        return UndecidedRow("entity", entity.id[1], entity.at, detail, SEPARATE_IMPORT)
    detail = (
        f"Rows that are connected with “{new.title}” are imported already, the workflow is not."
    )
    return UndecidedRow("workflow", new.id, new.at, detail, SEPARATE_IMPORT)


__all__ = ["InvalidLegacyFile", "Report", "UndecidedRow", "import_legacy"]
