"""Current steps of imported live executions, opened by the engine and backdated.

Waiting steps keep their remaining time. Steps that need no one continue. Steps that call or mail
other systems become incidents, because the file does not say if that was done.
"""

from __future__ import annotations

from typing import Any

from executions.engine.advance import Advance
from executions.engine.nodes.assignees import single_user
from executions.engine.run import Run
from executions.integrity.open_steps import NEEDED
from executions.legacy_import.import_report import ResumedExecution
from executions.legacy_import.legacy_rows import LegacyExecution
from executions.legacy_import.row_writer import RowWriter
from executions.models import Execution, FormDraft, Job, JobKind, Step, StepState
from workflows.graph import RUN_WORKFLOW

OUTSIDE = (*NEEDED[JobKind.MAIL], *NEEDED[JobKind.CALL])
IMPORTED = "imported"


def open_imported_steps(writer: RowWriter) -> None:
    """Open the current steps of all live executions, and report the stranded ones."""
    members: dict[str, list[LegacyExecution]] = {}
    for pk in writer.executions:
        legacy = writer.legacy.executions[pk]
        if legacy.is_live:
            members.setdefault(writer.legacy.root(legacy).id, []).append(legacy)
    for root_id, tree in members.items():
        root = writer.executions[root_id]
        if root.status == Execution.Status.SCHEDULED:
            _schedule(root)
        else:
            _open_tree(writer, root, tree)
    for inference in writer.inferences:
        for pk, why in inference.stranded.items():
            row = writer.executions[pk]
            writer.report.resumed.append(
                ResumedExecution(pk, row.cuid, row.workflow.title, why, _step_labels(row))
            )


def _schedule(root: Execution) -> None:
    start = next(node for node in root.version.source["nodes"] if node["type"] == "start")
    step = Step(
        execution=root,
        node_id=start["id"],
        type="start",
        label=str(start.get("data", {}).get("label") or start["id"])[:200],
        opened_at=root.started_at,
        due_at=root.scheduled_for,
    )
    Step._base_manager.bulk_create([step])
    assert root.scheduled_for is not None
    Job.objects.create(step=step, kind=JobKind.TIMER, due_at=root.scheduled_for)


def _open_tree(writer: RowWriter, root: Execution, tree: list[LegacyExecution]) -> None:
    entity = writer.entities[writer.legacy.root(tree[0]).entity]
    advance = Advance(root, entity, now=writer.now)
    runs: list[tuple[Run, LegacyExecution]] = []
    drafts: list[tuple[Step, Any]] = []
    ended: list[Execution] = []
    for legacy in tree:
        row = writer.executions[legacy.id]
        calling = _calling_steps(writer, row, legacy)
        Step._base_manager.bulk_create(calling)
        ended += [step.child for step in calling if step.child and step.child.ended_at]
        runs.append((advance.add_run(row, calling), legacy))
    for run, legacy in runs:
        for current in legacy.current_nodes:
            if current.child is None:
                node = run.manager.node(current.node)
                visit = advance.open_step_at(run, node, current.since)
                if current.draft:
                    drafts.append((visit.step, current.draft))
                if node.type in OUTSIDE:
                    detail = "The older system may have done this already. Retry or skip it."
                    visit.open_incident(IMPORTED, detail)
                    continue
                # Times count from when the node was reached, but children start now.
                advance.now = writer.now if node.type == RUN_WORKFLOW else current.since
                visit.enter()
                advance.now = writer.now
    for child in ended:
        advance.notify_caller(child)
    advance.finish()
    for step, draft in drafts:
        _import_draft(writer, step, draft)


def _import_draft(writer: RowWriter, step: Step, data: Any) -> None:
    """Give a draft to the single assignee. With several assignees its author is unknown."""
    stored = Step.objects.open().filter(cuid=step.cuid).first()
    user = single_user(step.assignees)
    report = writer.report
    if stored is None or user is None:
        report.count(report.skipped, "draft", 1)
        return
    FormDraft.objects.create(step=stored, user=user, data=data, saved_at=writer.now)
    report.count(report.imported, "draft", 1)


def _calling_steps(writer: RowWriter, row: Execution, legacy: LegacyExecution) -> list[Step]:
    nodes = {node["id"]: node for node in row.version.source["nodes"]}
    return [
        Step(
            execution=row,
            node_id=current.node,
            type=RUN_WORKFLOW,
            label=str(nodes[current.node].get("data", {}).get("label") or current.node)[:200],
            state=StepState.OPEN,
            opened_at=current.since,
            child=writer.executions[current.child],
        )
        for current in legacy.current_nodes
        if current.child is not None
    ]


def _step_labels(root: Execution) -> list[str]:
    steps = Step.objects.open().filter(execution=root)
    below = Step.objects.open().filter(execution__root=root)
    rows = (steps | below).order_by("pk").select_related("execution__workflow")
    return [f"“{step.label or step.node_id}” of “{step.execution.workflow}”" for step in rows]
