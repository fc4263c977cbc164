"""What is drawn, mended: the contexts of workflows, their versions, and who calls whom.

A version's content is what its checksum proves. A workflow has the context of the versions that
live executions run or have pinned; where there are none, that of its latest version. What was
written behind the product's back is nobody's decision: it can be made again, as a change of
finding type.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Q

from executions.models import LIVE, Execution, Pin
from executions.repairs.repair_report import RESTORE, Report
from executions.repairs.version_sources import Values, as_written, context_of
from workflows.db import locks
from workflows.editing.context_edit import lock_for_edit
from workflows.graph import calls_in
from workflows.models import (
    Context,
    FindingType,
    RecordType,
    Reference,
    Version,
    Workflow,
    unsealed,
)
from workflows.models.version import append_version

DB = "default"
WHY = "repair"


class World:
    """Some workflows that call each other, with all of their versions, under lock."""

    def __init__(self, ids: Iterable[int], report: Report, accepted: Collection[str] = ()) -> None:
        self.report = report
        self.accepted = accepted
        wanted = sorted(set(ids))
        lock_for_edit(wanted, DB)
        moved = Execution.objects.filter(workflow__in=wanted, status__in=LIVE)
        own = Q(workflow__in=wanted) | Q(pk__in=moved.order_by().values("version_id"))
        ids_of = list(Version.objects.filter(own).order_by().values_list("pk", flat=True))
        locks.lock_rows(Version._base_manager.all(), ids_of, locks.Strength.UPDATE)
        rows = Version.objects.filter(pk__in=ids_of).select_related("workflow").order_by("number")
        self.workflows: dict[int, Workflow] = {
            row.pk: row
            for row in Workflow.objects.filter(pk__in=wanted).select_related(
                "entity_name_type", "primary_record_type"
            )
        }
        self.versions: dict[int, list[Version]] = {pk: [] for pk in self.workflows}
        self.values: dict[int, Values] = {}
        for version in rows:
            values = self._values(version)
            self.values[version.pk] = values
            home = values.get("workflow_id", version.workflow_id)
            if home in self.versions:
                self.versions[home].append(version)
        self.targets = {
            pk: target for pk in self.workflows if (target := self._target(pk)) is not None
        }

    def _values(self, version: Version) -> Values:
        found = as_written(version)
        if found is not None:
            return found
        if version.cuid in self.accepted:
            return {"checksum": version.compute_checksum()}
        self.report.leave(
            version,
            f"What {version} was when it was written is not known any more.",
            f"{RESTORE}, or take it as it is now: manage.py repair_executions --accept "
            f"{version.cuid}.",
        )
        return {}

    def _context(self, version: Version) -> Context:
        return context_of(version, self.values[version.pk])

    def _held(self, workflow: int) -> set[int]:
        ran = Execution.objects.filter(workflow=workflow, status__in=LIVE)
        pinned = Pin.objects.filter(callee=workflow, root__status__in=LIVE)
        own = {row.pk for row in self.versions[workflow]}
        return own & {
            *ran.order_by().values_list("version_id", flat=True).distinct(),
            *pinned.order_by().values_list("version_id", flat=True).distinct(),
        }

    def _target(self, pk: int) -> Context | None:
        workflow, versions = self.workflows[pk], self.versions[pk]
        held = self._held(pk)
        contexts = {self._context(row) for row in versions if row.pk in held}
        if not contexts and versions and workflow.state != Workflow.State.RETIRED:
            contexts = {self._context(versions[-1])}
        if len(contexts) > 1:
            keys = ", ".join(sorted(context.key for context in contexts))
            self.report.leave(
                workflow,
                f"Live executions of “{workflow}” began in several contexts: {keys}.",
                "Finish or cancel those of all but one, and run this again.",
            )
            return None
        return next(iter(contexts), workflow.context)

    def mend(self) -> None:
        """Mend what is to be mended, in an order in which no key refuses a step."""
        before = len(self.report.mended)
        self._drop_references()
        self._release()
        self._put_back_contexts()
        self._put_back_versions()
        self._append()
        self._hold()
        self._add_references()
        if len(self.report.mended) > before:
            # Whoever has read them without a lock sees that they are to be read again.
            rows = Workflow._base_manager.filter(pk__in=list(self.workflows))
            locks.outdate(rows, "updated_at")

    def _all(self) -> Iterable[tuple[Version, Context]]:
        for pk, target in self.targets.items():
            for version in self.versions[pk]:
                yield version, target

    def _release(self) -> None:
        for version, target in self._all():
            if not version.in_force or {version.context, self._context(version)} == {target}:
                continue
            # A check of the row is asked again by whatever updates it.
            values = self.values[version.pk]
            with unsealed(version, why=WHY):
                Version._base_manager.filter(pk=version.pk).update(in_force=False, **values)

    def _calls(self, version: Version) -> set[tuple[str, str]]:
        return set(calls_in(self.values[version.pk].get("source", version.source)))

    def _drop_references(self) -> None:
        for version, _ in self._all():
            drawn, key = self._calls(version), self._context(version).key
            for row in version.references.select_related("callee"):
                if (row.node_id, row.callee.cuid) in drawn and row.context_key == key:
                    continue
                with unsealed(row, why=WHY):
                    Reference._base_manager.filter(pk=row.pk)._raw_delete(DB)
                if (row.node_id, row.callee.cuid) not in drawn:
                    detail = (
                        f"A reference of node “{row.node_id}” to {row.callee.cuid}, which "
                        f"{version} does not draw, was taken away."
                    )
                    told = {"node": row.node_id, "callee": row.callee.cuid}
                    self.report.mend(version, detail, before=told)

    def _put_back_contexts(self) -> None:
        for pk, target in self.targets.items():
            workflow = self.workflows[pk]
            if workflow.context == target:
                continue
            held = self._held(pk)
            reason = "its live executions began with" if held else "its latest version was drawn"
            later = workflow.context_type
            detail = (
                f"“{workflow}” has the type “{_name(target)}” again, which {reason}"
                f"{'' if held else ' for'}."
            )
            if later is not None:
                detail += (
                    f" To give it “{later}” when nothing runs: manage.py change_finding_type "
                    f"{workflow.cuid} {later.cuid} --when-drained."
                )
            Workflow._base_manager.filter(pk=pk).update(**_columns(target))
            self.report.mend(workflow, detail, before=_told(workflow.context), after=_told(target))

    def _put_back_versions(self) -> None:
        for version, _ in self._all():
            values = self.values[version.pk]
            if not values:
                continue
            with unsealed(version, why=WHY):
                Version._base_manager.filter(pk=version.pk).update(**values)
            accepted = set(values) == {"checksum"} and version.cuid in self.accepted
            names = ", ".join(sorted(name.removesuffix("_id") for name in values))
            detail = (
                f"{version} is taken as it is now."
                if accepted
                else f"{version} has what it was written with again: {names}."
            )
            before = {name: getattr(version, name) for name in values}
            self.report.mend(version, detail, before=before, after=values)

    def _append(self) -> None:
        for pk, target in self.targets.items():
            workflow = Workflow._base_manager.get(pk=pk)
            latest = self.versions[pk][-1] if self.versions[pk] else None
            if latest is None or self._context(latest) == target:
                continue
            if workflow.state == Workflow.State.RETIRED:
                continue
            torn = self._torn(latest, target)
            if torn:
                self.report.leave(
                    workflow,
                    f"Its latest graph was drawn for another type, and calls {torn}.",
                    "Save its graph without these calls, or change the types of all together.",
                )
                continue
            stored = Version._base_manager.get(pk=latest.pk)
            version, is_new = append_version(workflow, stored.source, latest=stored, notes=WHY)
            if not is_new:
                self.versions[pk].remove(latest)
            self.report.mend(
                workflow,
                f"Its latest graph was drawn for another type; version {version.number} has it "
                f"for “{_name(target)}”.",
                after={"version": version.number},
            )
            self.versions[pk].append(version)
            self.values[version.pk] = {}

    def _torn(self, version: Version, target: Context) -> str:
        """The callees that would not be of this context, by cuid."""
        cuids = {cuid for _, cuid in self._calls(version)}
        there = Workflow._base_manager.filter(cuid__in=cuids, context_key=target.key)
        return ", ".join(sorted(cuids - set(there.values_list("cuid", flat=True))))

    def _hold(self) -> None:
        for pk, target in self.targets.items():
            held = self._held(pk)
            versions = self.versions[pk]
            if versions and self.workflows[pk].state != Workflow.State.RETIRED:
                held.add(versions[-1].pk)
            released = Version._base_manager.filter(pk__in=held, in_force=False)
            for version in released.select_related("workflow"):
                if version.context.key != target.key:
                    continue
                if torn := self._torn(version, target):
                    self.report.leave(
                        version,
                        f"{version} calls {torn}, which has another type, or is not there.",
                        "Give these workflows its type, or restore them from a backup.",
                    )
                    continue
                # References that a cascade cannot follow are put right below.
                version.references.filter(in_force=True).update(in_force=False)
                Version._base_manager.filter(pk=version.pk).update(in_force=True)
                self.report.mend(version, f"{version} is held in force again.")

    def _add_references(self) -> None:
        for version, _ in self._all():
            stored = Version._base_manager.get(pk=version.pk)
            if stored.workflow_id not in self.workflows:
                continue
            there = set(version.references.values_list("node_id", flat=True))
            ids = dict(
                Workflow._base_manager.filter(
                    cuid__in={cuid for _, cuid in self._calls(version)}
                ).values_list("cuid", "pk")
            )
            for node, cuid in sorted(self._calls(version)):
                if node in there:
                    continue
                if cuid not in ids:
                    self.report.leave(
                        version,
                        f"Node “{node}” of {version} calls {cuid}, which is not there.",
                        "Restore that workflow from a backup, or save a graph without the call.",
                    )
                    continue
                row = Reference(
                    version=stored,
                    node_id=node,
                    callee_id=ids[cuid],
                    context_key=stored.context.key,
                    in_force=stored.in_force,
                )
                Reference._base_manager.bulk_create([row])
                detail = f"Node “{node}” of {version} has its reference to {cuid} again."
                self.report.mend(version, detail, after={"node": node, "callee": cuid})
            apart = version.references.exclude(in_force=stored.in_force)
            if apart.update(in_force=stored.in_force):
                self.report.mend(version, f"The references of {version} are held as it is.")


def _columns(context: Context) -> dict[str, Any]:
    return {
        "entity_name": context.entity_name,
        "entity_name_type_id": context.entity_name_type_id,
        "primary_record_type_id": context.primary_record_type_id,
    }


def _kind(context: Context) -> FindingType | RecordType | None:
    if context.entity_name_type_id:
        return FindingType.objects.filter(pk=context.entity_name_type_id).first()
    return RecordType.objects.filter(pk=context.primary_record_type_id).first()


def _name(context: Context) -> str:
    return str(_kind(context) or context.key)


def _told(context: Context) -> dict[str, Any]:
    kind = _kind(context)
    cuid = kind.cuid if kind else None
    return {
        "entity_name": context.entity_name,
        "entity_name_type": cuid if context.entity_name_type_id else None,
        "primary_record_type": cuid if context.primary_record_type_id else None,
    }
