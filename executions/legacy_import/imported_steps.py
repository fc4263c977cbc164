"""Where what is live stands: its steps are opened by the engine, as of when it came there.

What waits, waits on, with the time that it has left. What goes on by itself goes on. What had
reached outside of the old system, or not, is an incident: whoever knows retries or skips it.
"""

from __future__ import annotations

from typing import Any

from executions.engine.advance import Advance
from executions.engine.nodes.assignees import only_user
from executions.engine.run import Run
from executions.integrity.open_steps import NEEDED
from executions.legacy_import.import_report import Revived
from executions.legacy_import.old_rows import OldExecution
from executions.legacy_import.row_writing import Bringing
from executions.models import Execution, FormDraft, Job, JobKind, Step, StepState
from workflows.graph import RUN_WORKFLOW

OUTSIDE = (*NEEDED[JobKind.MAIL], *NEEDED[JobKind.CALL])
BROUGHT_OVER = "brought_over"


def stand(brought: Bringing) -> None:
    """Open the steps of all that is live, a tree at a time, and tell of what was stuck."""
    members: dict[str, list[OldExecution]] = {}
    for pk in brought.executions:
        old = brought.old.executions[pk]
        if old.is_live:
            members.setdefault(brought.old.root(old).id, []).append(old)
    for root_id, tree in members.items():
        root = brought.executions[root_id]
        if root.status == Execution.Status.SCHEDULED:
            _sleep(root)
        else:
            _stand(brought, root, tree)
    for decided in brought.decided:
        for pk, why in decided.stuck.items():
            row = brought.executions[pk]
            brought.report.revived.append(
                Revived(pk, row.cuid, row.workflow.title, why, _where(row))
            )


def _sleep(root: Execution) -> None:
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


def _stand(brought: Bringing, root: Execution, tree: list[OldExecution]) -> None:
    entity = brought.entities[brought.old.root(tree[0]).entity]
    advance = Advance(root, entity, now=brought.now)
    runs: list[tuple[Run, OldExecution]] = []
    drafts: list[tuple[Step, Any]] = []
    ended: list[Execution] = []
    for old in tree:
        row = brought.executions[old.id]
        calling = _calling(brought, row, old)
        Step._base_manager.bulk_create(calling)
        ended += [step.child for step in calling if step.child and step.child.ended_at]
        runs.append((advance.know(row, calling), old))
    for run, old in runs:
        for place in old.places:
            if place.child is None:
                node = run.manager.node(place.node)
                visit = advance.stand(run, node, place.since)
                if place.draft:
                    drafts.append((visit.step, place.draft))
                if node.type in OUTSIDE:
                    detail = "It was here when it was brought over; whether this has been done"
                    visit.incident(BROUGHT_OVER, f"{detail} nobody knows: retry it, or skip it.")
                    continue
                # What has a time has had it since then; what is called now is called now.
                advance.now = brought.now if node.type == RUN_WORKFLOW else place.since
                visit.behaviour.enter(visit)
                advance.now = brought.now
    for child in ended:
        advance.tell_caller(child)
    advance.finish()
    for step, draft in drafts:
        _draft(brought, step, draft)


def _draft(brought: Bringing, step: Step, data: Any) -> None:
    """Give a draft to the user whom its step asks by name; of others nobody knows the author."""
    stored = Step.objects.open().filter(cuid=step.cuid).first()
    user = only_user(step.assignees)
    report = brought.report
    if stored is None or user is None:
        report.count(report.left_out, "draft", 1)
        return
    FormDraft.objects.create(step=stored, user=user, data=data, saved_at=brought.now)
    report.count(report.brought, "draft", 1)


def _calling(brought: Bringing, row: Execution, old: OldExecution) -> list[Step]:
    nodes = {node["id"]: node for node in row.version.source["nodes"]}
    return [
        Step(
            execution=row,
            node_id=place.node,
            type=RUN_WORKFLOW,
            label=str(nodes[place.node].get("data", {}).get("label") or place.node)[:200],
            state=StepState.OPEN,
            opened_at=place.since,
            child=brought.executions[place.child],
        )
        for place in old.places
        if place.child is not None
    ]


def _where(root: Execution) -> list[str]:
    steps = Step.objects.open().filter(execution=root)
    below = Step.objects.open().filter(execution__root=root)
    rows = (steps | below).order_by("pk").select_related("execution__workflow")
    return [f"“{step.label or step.node_id}” of “{step.execution.workflow}”" for step in rows]
