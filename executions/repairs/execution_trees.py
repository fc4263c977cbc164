"""Repairs of the versions, closures, contexts and entities of the executions in one tree.

The version of a child is the one that its root has pinned. The version of a root is found from
its row, its steps, its pins and the time of its start.
"""

from __future__ import annotations

from typing import Any

from executions.integrity.open_steps import nodes_in
from executions.integrity.versions import (
    RootStart,
    VersionHistories,
    find_callees,
    was_moved,
)
from executions.models import (
    LIVE,
    OPEN,
    Closure,
    Entity,
    Execution,
    Step,
    closure_checksum,
    count_visits,
)
from executions.repairs.closure_repair import drop_closure, restore_closure
from executions.repairs.report import RESTORE, Report
from workflows.db import locks
from workflows.graph import find_calls
from workflows.models import Version, Workflow, unsealed

WHY = "repair"


class ExecutionTreeRepair:
    """The repair of a root and its descendants, which are locked.

    ``onto`` is the version that an operator has named for the root.
    """

    def __init__(self, root_id: int, report: Report, onto: Version | None = None) -> None:
        self.report = report
        self.onto = onto
        locked = Execution._base_manager.select_for_update(of=("self",))
        self.root = locked.filter(pk=root_id).first()
        rows = Execution._base_manager.filter(root_id=root_id).order_by("pk")
        ids = list(rows.values_list("pk", flat=True))
        locks.lock_rows(Execution._base_manager.all(), ids, locks.Strength.UPDATE)
        self.members = list(rows)
        entities = {row.entity_id for row in [*filter(None, [self.root]), *self.members]}
        locks.lock_rows(Entity._base_manager.all(), entities, locks.Strength.UPDATE)

    @property
    def is_live(self) -> bool:
        return self.root is not None and self.root.status in LIVE

    def run(self) -> None:
        """Repair the tree. Its current steps are repaired by ``CurrentStepRepair``."""
        if self.root is None or not self.is_live:
            return
        version = self._version_of_root(self.root)
        if version is None:
            return
        key = version.context_key
        own, pinned = self.root.closure, dict(self.root.pins.values_list("callee_id", "version_id"))
        self._restore_entity(self.root, key)
        self._restore_version(self.root, version, key)
        for child in self.members:
            if child.status in LIVE:
                self._restore_relations(child)
        chosen = self._choose_pins(version, key, own, pinned)
        for row in chosen.values():
            self._put_in_force(row)
        restore_closure(self.root, own, version, list(chosen.values()), self.report)
        for child in self.members:
            if child.status in LIVE and child.closure_id is not None:
                drop_closure(child, self.report)
            if child.status in LIVE and child.workflow_id in chosen:
                self._restore_version(child, chosen[child.workflow_id], key)

    # The version of the root

    def _version_of_root(self, root: Execution) -> Version | None:
        if self.onto is not None:
            return self._check_named_version(root, self.onto)
        start = RootStart(root.started_at, (root.workflow_id, root.version_id), {})
        stored = Version._base_manager.filter(pk=root.version_id).first()
        if stored is not None and stored.workflow_id == root.workflow_id:
            histories = VersionHistories([stored.workflow_id])
            is_inconsistent = histories.is_inconsistent(stored.workflow_id, stored.pk, start)
            if self._fits_steps(root, stored) and not (
                is_inconsistent and not was_moved(root.cuid)
            ):
                return stored
            stored = None if is_inconsistent else stored
        own = version_at(root.workflow_id, root.started_at)
        options = [row for row in (stored, own) if row is not None and self._fits(root, row)]
        options = list({row.pk: row for row in options}.values())
        same = [row for row in options if row.context_key == root.context_key]
        options = same or options
        if len(options) == 1:
            return options[0]
        choices = ", ".join(f"{row} ({row.cuid})" for row in options)
        self.report.add_unresolved(
            root,
            f"It may have started on one of {choices}."
            if options
            else "No stored version has the nodes of its steps.",
            f"Name it: manage.py repair_executions {root.cuid} --onto VERSION. Or cancel it.",
        )
        return None

    def _check_named_version(self, root: Execution, onto: Version) -> Version | None:
        open_steps = Step.objects.filter(execution=root, state__in=OPEN)
        missing = set(open_steps.values_list("node_id", "type")) - nodes_in(onto.source)
        if not missing:
            return onto
        names = ", ".join(f"“{node}”" for node, _ in sorted(missing))
        self.report.add_unresolved(
            root, f"{onto} has no node {names}, which has an open step.", "Name another version."
        )
        return None

    def _fits(self, root: Execution, version: Version) -> bool:
        if not self._fits_steps(root, version):
            return False
        versions = dict(root.pins.values_list("callee_id", "version_id"))
        if not versions:
            return True
        reached: set[int] = set()
        below = find_callees([version.pk]).get(version.pk, set())
        while below - reached:
            reached |= below
            ids = [versions[pk] for pk in reached if pk in versions]
            below = set().union(*find_callees(ids).values())
        return reached == set(versions)

    def _fits_steps(self, execution: Execution, version: Version) -> bool:
        if execution.moves.exists():
            # Nodes that it passed before are in the graph of another version.
            rows = Step.objects.filter(execution=execution, state__in=OPEN).order_by()
            visited = set(rows.values_list("node_id", "type"))
        else:
            visited = {(key.node_id, key.type) for key in count_visits(execution)}
        return visited <= nodes_in(version.source)

    # Pins

    def _choose_pins(
        self, version: Version, key: str, own: Closure | None, pinned: dict[int, int]
    ) -> dict[int, Version]:
        """Return the version of every callee that the tree can call, by the callee's id.

        The checksum of the root's closure proves the right ones. Without a proof, the stored pins
        come first.
        """

        def is_proven(found: dict[int, Version]) -> bool:
            return own is not None and own.checksum == closure_checksum(version.pk, found.values())

        stored, missing = self._find_callees(version, key, pinned)
        if is_proven(stored):
            return stored
        by_time, _ = self._find_callees(version, key, {})
        if is_proven(by_time):
            return by_time
        for cuid, callee in missing.items():
            self._report_missing_callee(callee, cuid)
        return stored

    def _find_callees(
        self, version: Version, key: str, pinned: dict[int, int]
    ) -> tuple[dict[int, Version], dict[str, Workflow | None]]:
        """Return the versions that could be found by callee, and the callees without one."""
        found: dict[int, Version] = {}
        missing: dict[str, Workflow | None] = {}
        waiting = sorted({cuid for _, cuid in find_calls(version.source)})
        seen = set(waiting)
        while waiting:
            cuid = waiting.pop(0)
            callee = Workflow._base_manager.filter(cuid=cuid).first()
            chosen = (
                None if callee is None else self._version_to_pin(callee, key, pinned.get(callee.pk))
            )
            if callee is None or chosen is None:
                missing[cuid] = callee
                continue
            found[callee.pk] = chosen
            below = {name for _, name in find_calls(chosen.source)} - seen
            seen |= below
            waiting += sorted(below)
        return found, missing

    def _report_missing_callee(self, callee: Workflow | None, cuid: str) -> None:
        assert self.root is not None
        detail = (
            f"No version of “{callee}” can be pinned."
            if callee
            else f"It calls the workflow {cuid}, which does not exist."
        )
        self.report.add_unresolved(
            self.root,
            detail,
            f"{RESTORE}, or cancel the execution.",
        )

    def _version_to_pin(self, callee: Workflow, key: str, pinned: int | None) -> Version | None:
        assert self.root is not None
        versions = {row.pk: row for row in callee.versions.filter(context_key=key)}
        children = [row for row in self.members if row.workflow_id == callee.pk]
        for child in sorted(children, key=lambda row: (row.status not in LIVE, -row.pk)):
            ran = versions.get(child.version_id)
            if ran is not None and self._fits_steps(child, ran):
                return ran
        start = RootStart(self.root.started_at, (0, 0), {})
        if pinned in versions:
            assert pinned is not None
            is_inconsistent = VersionHistories([callee.pk]).is_inconsistent(
                callee.pk, pinned, start
            )
            if not is_inconsistent or was_moved(self.root.cuid):
                return versions[pinned]
        # A save replaces a version that nothing has used. Then the oldest later one is taken.
        return version_at(callee.pk, self.root.started_at, key)

    def _put_in_force(self, version: Version) -> None:
        rows = Version._base_manager.filter(pk=version.pk, in_force=False)
        if rows.exists():
            locks.lock_rows(Version._base_manager.all(), [version.pk], locks.Strength.UPDATE)
            rows.update(in_force=True)
            self.report.add_repair(version, f"{version} is in force again.")

    # Rows

    def _restore_version(self, execution: Execution, version: Version, key: str) -> None:
        expected: dict[str, Any] = {
            "workflow_id": version.workflow_id,
            "version_id": version.pk,
            "context_key": key,
        }
        changes = {k: v for k, v in expected.items() if getattr(execution, k) != v}
        closure = execution.closure
        if "context_key" in changes and closure is not None and closure.context_key != key:
            # Its key would reject the context; restore_closure() finds the right closure.
            changes["closure_id"] = None
        self._put_in_force(version)
        if not changes:
            return
        if not self._fits_steps(execution, version) and self.onto is None:
            self.report.add_unresolved(
                execution,
                f"{version}, which its root has pinned, lacks nodes of its steps.",
                "Cancel it. Then the calling step can be retried.",
            )
            return
        self._write(execution, f"It runs {version} again.", changes)

    def _restore_relations(self, child: Execution) -> None:
        assert self.root is not None
        step = Step.objects.filter(child=child).select_related("execution").first()
        expected: dict[str, Any] = {"entity_id": self.root.entity_id}
        if step is not None and self.root.pk in (step.execution_id, step.execution.root_id):
            expected["parent_id"] = step.execution_id
            callee = self._callee(step)
            if callee is not None and child.version_id not in _versions_of(child.workflow_id):
                expected["workflow_id"] = callee
        changes = {k: v for k, v in expected.items() if getattr(child, k) != v}
        if changes:
            names = ", ".join(sorted(name.removesuffix("_id") for name in changes))
            self._write(child, f"It has its original values again: {names}.", changes)

    def _callee(self, step: Step) -> int | None:
        calls = dict(find_calls(step.execution.version.source))
        rows = Workflow._base_manager.filter(cuid=calls.get(step.node_id, ""))
        return rows.values_list("pk", flat=True).first()

    def _write(self, execution: Execution, detail: str, values: dict[str, Any]) -> None:
        before = {name: getattr(execution, name) for name in values}
        if "workflow_id" in values and "version_id" not in values:
            # The composite key requires a version of the same workflow.
            pinned = execution.pins.filter(callee=values["workflow_id"])
            version = pinned.values_list("version_id", flat=True).first()
            values = {**values, **({"version_id": version} if version else {})}
            before = {name: getattr(execution, name) for name in values}
        with unsealed(execution, why=WHY):
            Execution._base_manager.filter(pk=execution.pk).update(**values)
        for name, value in values.items():
            setattr(execution, name, value)
        self.report.add_repair(execution, detail, before=before, after=values)

    def _restore_entity(self, root: Execution, key: str) -> None:
        entity = Entity._base_manager.filter(pk=root.entity_id).first()
        if entity is None:
            self.report.add_unresolved(root, "Its entity does not exist.", f"{RESTORE}.")
            return
        if entity.context_key == key:
            return
        name, finding_type, record_type = key.split(":")
        Entity._base_manager.filter(pk=entity.pk).update(
            entity_name=name,
            entity_name_type_id=int(finding_type) if finding_type else None,
            primary_record_type_id=int(record_type) if record_type else None,
        )
        detail = f"“{entity}” has the type of execution {root.cuid} again."
        self.report.add_repair(
            entity, detail, before={"context": entity.context_key}, after={"context": key}
        )


def version_at(workflow_id: int, moment: Any, key: str | None = None) -> Version | None:
    """Return the latest version at this moment, or the oldest later one.

    ``key`` restricts the result to versions of this context.
    """
    rows = Version._base_manager.filter(workflow_id=workflow_id)
    if key is not None:
        rows = rows.filter(context_key=key)
    before = rows.filter(created_at__lte=moment).order_by("-number").first()
    return before or rows.order_by("number").first()


def _versions_of(workflow_id: int) -> set[int]:
    return set(Version.objects.filter(workflow=workflow_id).values_list("pk", flat=True))
