"""What runs, mended: what the executions of one tree began with, and what their root has pinned.

A child began with what its root has pinned of the callee. What a root began with is told by its
own row, by the steps that it has walked, by what it has pinned, and by when it began.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from executions.integrity.frozen import Began, Histories, callees_of, was_moved
from executions.integrity.open_steps import nodes_of
from executions.models import LIVE, OPEN, Entity, Execution, Pin, Step
from executions.repairs.repair_report import RESTORE, Report
from workflows.db import locks
from workflows.graph import calls_in
from workflows.models import Version, Workflow, unsealed

WHY = "repair"


class Tree:
    """A root and all that it has started, under lock.

    ``onto``: the version that an operator has named for the root.
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

    def mend(self) -> None:
        """Mend what every member began with; where it stands is ``standing``'s."""
        if self.root is None or not self.is_live:
            return
        version = self._version_of_root(self.root)
        if version is None:
            return
        key = version.context_key
        self._put_back_entity(self.root, key)
        self._begin(self.root, version, key)
        for child in self.members:
            if child.status in LIVE:
                self._put_into_tree(child)
        pinned = self._pins(version, key)
        for child in self.members:
            if child.status in LIVE and child.workflow_id in pinned:
                self._begin(child, pinned[child.workflow_id], key)

    # What the root began with

    def _version_of_root(self, root: Execution) -> Version | None:
        if self.onto is not None:
            return self._chosen(root, self.onto)
        began = Began(root.started_at, (root.workflow_id, root.version_id), {})
        pointed = Version._base_manager.filter(pk=root.version_id).first()
        if pointed is not None and pointed.workflow_id == root.workflow_id:
            histories = Histories([pointed.workflow_id])
            is_off = histories.is_off(pointed.workflow_id, pointed.pk, began)
            if self._walked(root, pointed) and not (is_off and not was_moved(root.cuid)):
                return pointed
            pointed = None if is_off else pointed
        own = at_start(root.workflow_id, root.started_at)
        options = [row for row in (pointed, own) if row is not None and self._fits(root, row)]
        options = list({row.pk: row for row in options}.values())
        same = [row for row in options if row.context_key == root.context_key]
        options = same or options
        if len(options) == 1:
            return options[0]
        named = ", ".join(f"{row} ({row.cuid})" for row in options)
        self.report.leave(
            root,
            f"It may have begun on either of {named}."
            if options
            else "No version that there is fits what it has walked.",
            f"Say which: manage.py repair_executions {root.cuid} --onto VERSION; or cancel it.",
        )
        return None

    def _chosen(self, root: Execution, onto: Version) -> Version | None:
        standing = Step.objects.filter(execution=root, state__in=OPEN)
        missing = set(standing.values_list("node_id", "type")) - nodes_of(onto.source)
        if not missing:
            return onto
        names = ", ".join(f"“{node}”" for node, _ in sorted(missing))
        self.report.leave(
            root, f"{onto} has no node {names}, where it stands.", "Name another version."
        )
        return None

    def _fits(self, root: Execution, version: Version) -> bool:
        if not self._walked(root, version):
            return False
        pins = set(Pin.objects.filter(root=root).values_list("callee_id", flat=True))
        if not pins:
            return True
        versions = dict(Pin.objects.filter(root=root).values_list("callee_id", "version_id"))
        reached: set[int] = set()
        below = callees_of([version.pk]).get(version.pk, set())
        while below - reached:
            reached |= below
            ids = [versions[pk] for pk in reached if pk in versions]
            below = set().union(*callees_of(ids).values())
        return reached == pins

    def _walked(self, execution: Execution, version: Version) -> bool:
        steps = Step.objects.filter(execution=execution).values_list("node_id", "type")
        return set(steps.distinct().order_by()) <= nodes_of(version.source)

    # What it has pinned

    def _pins(self, version: Version, key: str) -> dict[int, Version]:
        """The version of every callee of the closure; missing and wrong pins are written."""
        assert self.root is not None
        rows = {row.callee_id: row for row in Pin.objects.filter(root=self.root)}
        found: dict[int, Version] = {}
        for callee in self._closure(version, key, rows, found):
            pin, chosen = rows.get(callee.pk), found[callee.pk]
            right = {"version_id": chosen.pk, "context_key": key, "live": True}
            if pin is not None and all(getattr(pin, k) == v for k, v in right.items()):
                self._hold(chosen)
                continue
            self._hold(chosen)
            if pin is None:
                Pin._base_manager.bulk_create([Pin(root=self.root, callee=callee, **right)])
            else:
                with unsealed(pin, why=WHY):
                    Pin._base_manager.filter(pk=pin.pk).update(**right)
            self.report.mend(
                self.root,
                f"{chosen} is pinned again.",
                before={"pinned": self._cuid(pin.version_id) if pin else None},
                after={"pinned": chosen.cuid},
            )
        self._drop_pins(rows, found)
        return found

    def _drop_pins(self, rows: dict[int, Pin], found: dict[int, Version]) -> None:
        """A pin of what it cannot call goes where it does not even agree with itself."""
        assert self.root is not None
        for callee, pin in rows.items():
            version = Version._base_manager.filter(pk=pin.version_id).first()
            agrees = (
                version is not None
                and version.workflow_id == callee
                and version.context_key == pin.context_key == self.root.context_key
                and pin.live
            )
            if callee in found or agrees:
                continue
            with unsealed(pin, why=WHY):
                Pin._base_manager.filter(pk=pin.pk)._raw_delete("default")
            self.report.mend(
                self.root,
                "A pin of what it cannot call was taken away.",
                before={"pinned": self._cuid(pin.version_id)},
            )

    def _closure(
        self, version: Version, key: str, rows: dict[int, Pin], found: dict[int, Version]
    ) -> Iterator[Workflow]:
        waiting = sorted({cuid for _, cuid in calls_in(version.source)})
        seen = set(waiting)
        while waiting:
            cuid = waiting.pop(0)
            callee = Workflow._base_manager.filter(cuid=cuid).first()
            chosen = None if callee is None else self._pinned(callee, key, rows.get(callee.pk))
            if callee is None or chosen is None:
                self._leave_call(callee, cuid)
                continue
            found[callee.pk] = chosen
            yield callee
            below = {name for _, name in calls_in(chosen.source)} - seen
            seen |= below
            waiting += sorted(below)

    def _leave_call(self, callee: Workflow | None, cuid: str) -> None:
        assert self.root is not None
        what = f"no version of “{callee}”" if callee else f"no workflow {cuid}"
        self.report.leave(
            self.root,
            f"There is {what} that it could call.",
            f"{RESTORE}, or cancel it.",
        )

    def _pinned(self, callee: Workflow, key: str, pin: Pin | None) -> Version | None:
        assert self.root is not None
        versions = {row.pk: row for row in callee.versions.filter(context_key=key)}
        children = [row for row in self.members if row.workflow_id == callee.pk]
        for child in sorted(children, key=lambda row: (row.status not in LIVE, -row.pk)):
            ran = versions.get(child.version_id)
            if ran is not None and self._walked(child, ran):
                return ran
        began = Began(self.root.started_at, (0, 0), {})
        if pin is not None and pin.version_id in versions:
            off = Histories([callee.pk]).is_off(callee.pk, pin.version_id, began)
            if not off or was_moved(self.root.cuid):
                return versions[pin.version_id]
        # One that nothing had run on may have been replaced since: then the oldest after it.
        return at_start(callee.pk, self.root.started_at, key)

    def _cuid(self, version_id: int) -> str | None:
        rows = Version._base_manager.filter(pk=version_id)
        return rows.values_list("cuid", flat=True).first()

    def _hold(self, version: Version) -> None:
        rows = Version._base_manager.filter(pk=version.pk, in_force=False)
        if rows.exists():
            locks.lock_rows(Version._base_manager.all(), [version.pk], locks.Strength.UPDATE)
            rows.update(in_force=True)
            self.report.mend(version, f"{version} is held in force again.")

    # What each row says

    def _begin(self, execution: Execution, version: Version, key: str) -> None:
        right: dict[str, Any] = {
            "workflow_id": version.workflow_id,
            "version_id": version.pk,
            "context_key": key,
        }
        wrong = {k: v for k, v in right.items() if getattr(execution, k) != v}
        self._hold(version)
        if not wrong:
            return
        if not self._walked(execution, version) and self.onto is None:
            self.report.leave(
                execution,
                f"{version}, which its root has pinned, does not fit what it has walked.",
                "Cancel it; the step that called it can be tried again.",
            )
            return
        self._write(execution, f"It runs {version} again, which it began with.", wrong)

    def _put_into_tree(self, child: Execution) -> None:
        assert self.root is not None
        step = Step.objects.filter(child=child).select_related("execution").first()
        right: dict[str, Any] = {"entity_id": self.root.entity_id}
        if step is not None and self.root.pk in (step.execution_id, step.execution.root_id):
            right["parent_id"] = step.execution_id
            callee = self._callee(step)
            if callee is not None and child.version_id not in _versions_of(child.workflow_id):
                right["workflow_id"] = callee
        wrong = {k: v for k, v in right.items() if getattr(child, k) != v}
        if wrong:
            names = ", ".join(sorted(name.removesuffix("_id") for name in wrong))
            self._write(child, f"It has what it began with again: {names}.", wrong)

    def _callee(self, step: Step) -> int | None:
        calls = dict(calls_in(step.execution.version.source))
        rows = Workflow._base_manager.filter(cuid=calls.get(step.node_id, ""))
        return rows.values_list("pk", flat=True).first()

    def _write(self, execution: Execution, detail: str, values: dict[str, Any]) -> None:
        before = {name: getattr(execution, name) for name in values}
        if "workflow_id" in values and "version_id" not in values:
            # The key over both holds as soon as the version follows.
            pinned = Pin.objects.filter(root=execution.root_id, callee=values["workflow_id"])
            version = pinned.values_list("version_id", flat=True).first()
            values = {**values, **({"version_id": version} if version else {})}
            before = {name: getattr(execution, name) for name in values}
        with unsealed(execution, why=WHY):
            Execution._base_manager.filter(pk=execution.pk).update(**values)
        for name, value in values.items():
            setattr(execution, name, value)
        self.report.mend(execution, detail, before=before, after=values)

    def _put_back_entity(self, root: Execution, key: str) -> None:
        entity = Entity._base_manager.filter(pk=root.entity_id).first()
        if entity is None:
            self.report.leave(root, "Its entity is not there.", f"{RESTORE}.")
            return
        if entity.context_key == key:
            return
        name, finding_type, record_type = key.split(":")
        Entity._base_manager.filter(pk=entity.pk).update(
            entity_name=name,
            entity_name_type_id=int(finding_type) if finding_type else None,
            primary_record_type_id=int(record_type) if record_type else None,
        )
        detail = f"“{entity}” has the type again that execution {root.cuid} works on."
        self.report.mend(
            entity, detail, before={"context": entity.context_key}, after={"context": key}
        )


def at_start(workflow_id: int, moment: Any, key: str | None = None) -> Version | None:
    """The latest version at a moment, or the oldest after it."""
    rows = Version._base_manager.filter(workflow_id=workflow_id)
    if key is not None:
        rows = rows.filter(context_key=key)
    before = rows.filter(created_at__lte=moment).order_by("-number").first()
    return before or rows.order_by("number").first()


def _versions_of(workflow_id: int) -> set[int]:
    return set(Version.objects.filter(workflow=workflow_id).values_list("pk", flat=True))
