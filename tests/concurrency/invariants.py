"""The invariants, checked by plain queries that are independent of ``check_integrity``."""

from __future__ import annotations

from collections import defaultdict

from executions import services as running
from executions.models import LIVE, OPEN, Execution, Step, StepState, Visits
from workflows.models import Reference, Version, Workflow


def find_violations() -> set[str]:
    """Return the violated invariants."""
    found: set[str] = set()
    versions = {row.pk: row for row in Version.objects.all()}
    workflows = {row.pk: row for row in Workflow.objects.all()}
    latest = {row.workflow_id: row for row in sorted(versions.values(), key=lambda v: v.number)}
    calls: dict[int, set[int]] = defaultdict(set)
    for version_id, callee_id in Reference.objects.values_list("version_id", "callee_id"):
        calls[version_id].add(callee_id)
    in_use: dict[int, dict[int, int]] = {}
    for row in Execution.objects.select_related("entity"):
        version = versions.get(row.version_id)
        if version is None or version.compute_checksum() != version.checksum:
            found.add("I4")
            continue
        for step in Visits(row):
            ran_on = versions.get(step.ran_on[0] if step.ran_on else 0)
            nodes = {node["id"] for node in ran_on.source["nodes"]} if ran_on else set()
            if step.node_id not in nodes:
                found.add("walked another graph")
        open_steps = [step for step in row.steps.all() if step.state in OPEN]
        if (row.status in LIVE) != bool(open_steps):
            found.add("I8")
        if row.status in LIVE:
            if version.context_key != workflows[row.workflow_id].context_key:
                found.add("I1")
            if row.entity.context_key != row.context_key:
                found.add("I5")
            in_use.setdefault(row.root_or_self_id, {})[row.workflow_id] = version.pk
    for step in Step.objects.exclude(child=None).select_related("child"):
        if step.child.status in LIVE:
            found |= set() if step.state in OPEN else {"I8"}
        elif step.state == StepState.OPEN:
            found.add("I8")
    pins = Execution.objects.filter(root=None, closure__members__isnull=False).values_list(
        "pk", "closure__members__callee_id", "closure__members__version_id"
    )
    for root, callee, pinned in pins:
        if pinned not in versions:
            found.add("I4")
        elif root in in_use:
            in_use[root].setdefault(callee, pinned)

    current = {
        pk: latest[pk].pk for pk, row in workflows.items() if row.state != Workflow.State.RETIRED
    }
    found |= {"I2" for pk, v in current.items() if versions[v].context_key != _key(workflows, pk)}
    for version_id in current.values():
        for callee in calls[version_id]:
            if versions[version_id].context_key != _key(workflows, callee):
                found.add("I3")
    for used in in_use.values():
        for version_id in used.values():
            for callee in calls[version_id]:
                # A callee that is not pinned would have to be read live.
                version = versions.get(used.get(callee, 0))
                keys = {version.context_key if version else None, _key(workflows, callee)}
                if keys != {versions[version_id].context_key}:
                    found.add("I3")
    everything = {pk: row.pk for pk, row in latest.items()}
    if any(_has_cycle(used, calls) for used in [everything, *in_use.values()]):
        found.add("I7")
    return found


def _key(workflows: dict[int, Workflow], pk: int) -> str:
    return str(workflows[pk].context_key)


def _has_cycle(used: dict[int, int], calls: dict[int, set[int]]) -> bool:
    left = {workflow: calls[version] & set(used) for workflow, version in used.items()}
    while leaves := {workflow for workflow, below in left.items() if not below & set(left)}:
        for leaf in leaves:
            del left[leaf]
    return bool(left)


def assert_invariants() -> None:
    assert find_violations() == set()


def assert_nothing_is_stranded() -> None:
    """Assert the invariants, carry every live execution to its end, and assert them again."""
    assert_invariants()
    while step := Step.objects.open().filter(type="user_action").first():
        node = step.execution.get_workflow_manager().node(step.node_id)
        data = {row["name"]: "done" for row in node.data["fields"]}
        running.submit(step.execution, step=step.cuid, data=data)
    for root in Execution.objects.live().filter(root=None):
        # Only incidents are left, which an operator must resolve.
        running.cancel(root)
    assert not Execution.objects.live().exists()
    assert_invariants()
