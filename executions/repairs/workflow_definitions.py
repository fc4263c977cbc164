"""Repairs of workflow definitions: contexts of workflows, versions, references, candidates.

The checksum of a version proves its content. A workflow gets the context of the versions that live
executions run or have pinned or, without live executions, of its latest version. A context that
was written outside Holdfast is not kept; it can be set again as a change of finding type.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Q

from executions.integrity.candidates import Flaw, StoredCandidates
from executions.models import LIVE, ClosureMember, Execution
from executions.repairs.original_versions import Values, context_of, find_original_values
from executions.repairs.report import RESTORE, Report
from workflows.db import locks
from workflows.editing.context_change import lock_for_edit
from workflows.graph import find_calls
from workflows.models import (
    Candidate,
    Context,
    FindingType,
    RecordType,
    Reference,
    Version,
    Workflow,
    unsealed,
)
from workflows.models.candidate import node_key, resolve_candidates
from workflows.models.version import append_version

DB = "default"
WHY = "repair"


class DefinitionRepair:
    """The repair of workflows that call each other, with all of their versions, under lock."""

    def __init__(self, ids: Iterable[int], report: Report, accepted: Collection[str] = ()) -> None:
        self.report = report
        self.accepted = accepted
        wanted = sorted(set(ids))
        lock_for_edit(wanted)
        live = Execution.objects.filter(workflow__in=wanted, status__in=LIVE)
        own = Q(workflow__in=wanted) | Q(pk__in=live.order_by().values("version_id"))
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
            workflow_id = values.get("workflow_id", version.workflow_id)
            if workflow_id in self.versions:
                self.versions[workflow_id].append(version)
        self.targets = {
            pk: target for pk in self.workflows if (target := self._target_context(pk)) is not None
        }

    def _values(self, version: Version) -> Values:
        found = find_original_values(version)
        if found is not None:
            return found
        if version.cuid in self.accepted:
            return {"checksum": version.compute_checksum()}
        self.report.add_unresolved(
            version,
            f"The original content of {version} is unknown.",
            f"{RESTORE}, or accept its current content: manage.py repair_executions --accept "
            f"{version.cuid}.",
        )
        return {}

    def _context(self, version: Version) -> Context:
        return context_of(version, self.values[version.pk])

    def _running_ids(self, workflow: int) -> set[int]:
        ran = Execution.objects.filter(workflow=workflow, status__in=LIVE)
        live = Execution.objects.filter(status__in=LIVE, closure__isnull=False).order_by()
        pinned = ClosureMember.objects.filter(callee=workflow, closure__in=live.values("closure"))
        own = {row.pk for row in self.versions[workflow]}
        return own & {
            *ran.order_by().values_list("version_id", flat=True).distinct(),
            *pinned.order_by().values_list("version_id", flat=True).distinct(),
        }

    def _target_context(self, pk: int) -> Context | None:
        workflow, versions = self.workflows[pk], self.versions[pk]
        running = self._running_ids(pk)
        contexts = {self._context(row) for row in versions if row.pk in running}
        if not contexts and versions and workflow.state != Workflow.State.RETIRED:
            contexts = {self._context(versions[-1])}
        if len(contexts) > 1:
            keys = ", ".join(sorted(context.key for context in contexts))
            self.report.add_unresolved(
                workflow,
                f"Live executions of “{workflow}” started in several contexts: {keys}.",
                "Finish or cancel the executions of all but one context. Then run this again.",
            )
            return None
        return next(iter(contexts), workflow.context)

    def run(self) -> None:
        """Make all repairs, in an order in which the database keys accept each statement."""
        before = len(self.report.repaired)
        self._drop_references()
        self._release_versions()
        self._restore_contexts()
        self._restore_versions()
        self._append_versions()
        self._put_in_force()
        self._add_references()
        if len(self.report.repaired) > before:
            # Edits that read the workflows without a lock detect the change by this column.
            rows = Workflow._base_manager.filter(pk__in=list(self.workflows))
            locks.outdate(rows, "updated_at")

    def _versions_with_targets(self) -> Iterable[tuple[Version, Context]]:
        for pk, target in self.targets.items():
            for version in self.versions[pk]:
                yield version, target

    def _release_versions(self) -> None:
        for version, target in self._versions_with_targets():
            if not version.in_force or {version.context, self._context(version)} == {target}:
                continue
            # An update evaluates the CHECK constraints, so all values are restored with it.
            values = self.values[version.pk]
            with unsealed(version, why=WHY):
                Version._base_manager.filter(pk=version.pk).update(in_force=False, **values)

    def _calls(self, version: Version) -> set[tuple[str, str]]:
        return set(find_calls(self.values[version.pk].get("source", version.source)))

    def _drop_references(self) -> None:
        for version, _ in self._versions_with_targets():
            calls, key = self._calls(version), self._context(version).key
            for row in version.references.select_related("callee"):
                if (row.node_id, row.callee.cuid) in calls and row.context_key == key:
                    continue
                with unsealed(row, why=WHY):
                    Reference._base_manager.filter(pk=row.pk)._raw_delete(DB)
                if (row.node_id, row.callee.cuid) not in calls:
                    detail = (
                        f"The reference of node “{row.node_id}” to {row.callee.cuid} is deleted: "
                        f"{version} has no such call."
                    )
                    values = {"node": row.node_id, "callee": row.callee.cuid}
                    self.report.add_repair(version, detail, before=values)

    def _restore_contexts(self) -> None:
        for pk, target in self.targets.items():
            workflow = self.workflows[pk]
            if workflow.context == target:
                continue
            owner = "its live executions" if self._running_ids(pk) else "its latest version"
            other = workflow.context_type
            detail = f"“{workflow}” has the type “{_name(target)}” of {owner} again."
            if other is not None:
                detail += (
                    f" To change it to “{other}” when its executions have ended: manage.py "
                    f"change_finding_type {workflow.cuid} {other.cuid} --when-drained."
                )
            Workflow._base_manager.filter(pk=pk).update(**_columns(target))
            self.report.add_repair(
                workflow, detail, before=_as_data(workflow.context), after=_as_data(target)
            )

    def _restore_versions(self) -> None:
        for version, _ in self._versions_with_targets():
            values = self.values[version.pk]
            if not values:
                continue
            with unsealed(version, why=WHY):
                Version._base_manager.filter(pk=version.pk).update(**values)
            accepted = set(values) == {"checksum"} and version.cuid in self.accepted
            names = ", ".join(sorted(name.removesuffix("_id") for name in values))
            detail = (
                f"The current content of {version} is accepted."
                if accepted
                else f"{version} has its original values again: {names}."
            )
            before = {name: getattr(version, name) for name in values}
            self.report.add_repair(version, detail, before=before, after=values)

    def _append_versions(self) -> None:
        for pk, target in self.targets.items():
            workflow = Workflow._base_manager.get(pk=pk)
            latest = self.versions[pk][-1] if self.versions[pk] else None
            if latest is None or self._context(latest) == target:
                continue
            if workflow.state == Workflow.State.RETIRED:
                continue
            foreign = self._foreign_callees(latest, target)
            if foreign:
                self.report.add_unresolved(
                    workflow,
                    f"Its latest version has another type and calls {foreign}.",
                    "Remove these calls from its graph, or change all workflows together.",
                )
                continue
            stored = Version._base_manager.get(pk=latest.pk)
            version, is_new = append_version(workflow, stored.source, latest=stored, notes=WHY)
            if not is_new:
                self.versions[pk].remove(latest)
            self.report.add_repair(
                workflow,
                f"Its latest version had another type. Version {version.number} has the same graph "
                f"and the type “{_name(target)}”.",
                after={"version": version.number},
            )
            self.versions[pk].append(version)
            self.values[version.pk] = {}

    def _foreign_callees(self, version: Version, target: Context) -> str:
        """Return the cuids of callees that do not have this context, as text."""
        cuids = {cuid for _, cuid in self._calls(version)}
        found = Workflow._base_manager.filter(cuid__in=cuids, context_key=target.key)
        return ", ".join(sorted(cuids - set(found.values_list("cuid", flat=True))))

    def _put_in_force(self) -> None:
        for pk, target in self.targets.items():
            needed = self._running_ids(pk)
            versions = self.versions[pk]
            if versions and self.workflows[pk].state != Workflow.State.RETIRED:
                needed.add(versions[-1].pk)
            released = Version._base_manager.filter(pk__in=needed, in_force=False)
            for version in released.select_related("workflow"):
                if version.context.key != target.key:
                    continue
                if foreign := self._foreign_callees(version, target):
                    self.report.add_unresolved(
                        version,
                        f"{version} calls {foreign}, which has another type or does not exist.",
                        "Change these workflows to its type, or restore them from a backup.",
                    )
                    continue
                # The cascade rejects inconsistent references; _add_references sets them in force.
                version.references.filter(in_force=True).update(in_force=False)
                Version._base_manager.filter(pk=version.pk).update(in_force=True)
                self.report.add_repair(version, f"{version} is in force again.")

    def _add_references(self) -> None:
        for version, _ in self._versions_with_targets():
            stored = Version._base_manager.get(pk=version.pk)
            if stored.workflow_id not in self.workflows:
                continue
            referenced = set(version.references.values_list("node_id", flat=True))
            ids = dict(
                Workflow._base_manager.filter(
                    cuid__in={cuid for _, cuid in self._calls(version)}
                ).values_list("cuid", "pk")
            )
            for node, cuid in sorted(self._calls(version)):
                if node in referenced:
                    continue
                if cuid not in ids:
                    self.report.add_unresolved(
                        version,
                        f"Node “{node}” of {version} calls {cuid}, which does not exist.",
                        "Restore that workflow from a backup, or remove the call from the graph.",
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
                self.report.add_repair(version, detail, after={"node": node, "callee": cuid})
            mismatched = version.references.exclude(in_force=stored.in_force)
            if mismatched.update(in_force=stored.in_force):
                self.report.add_repair(
                    version, f"The references of {version} have its state again."
                )


def _columns(context: Context) -> dict[str, Any]:
    return {
        "entity_name": context.entity_name,
        "entity_name_type_id": context.entity_name_type_id,
        "primary_record_type_id": context.primary_record_type_id,
    }


def _type_of(context: Context) -> FindingType | RecordType | None:
    if context.entity_name_type_id:
        return FindingType.objects.filter(pk=context.entity_name_type_id).first()
    return RecordType.objects.filter(pk=context.primary_record_type_id).first()


def _name(context: Context) -> str:
    return str(_type_of(context) or context.key)


def _as_data(context: Context) -> dict[str, Any]:
    row = _type_of(context)
    cuid = row.cuid if row else None
    return {
        "entity_name": context.entity_name,
        "entity_name_type": cuid if context.entity_name_type_id else None,
        "primary_record_type": cuid if context.primary_record_type_id else None,
    }


def repair_candidates(workflow_ids: list[int], report: Report) -> None:
    """Give the versions in force of these workflows the candidates that their graphs name.

    A name without a candidate is looked up again: the account that has the name now is used.
    """
    stored = StoredCandidates(workflow__in=workflow_ids)
    versions = Version.objects.filter(workflow__in=workflow_ids, in_force=True)
    for version in versions.select_related("workflow").order_by("pk"):
        flaws = stored.flaws(version)
        for flaw in flaws:
            _repair_candidate(version, flaw)
        if not flaws:
            continue
        details = "; ".join(flaw.detail for flaw in flaws)
        report.add_repair(
            version.workflow,
            f"Version {version.number} has the candidates of its graph again. {details}",
        )


def _repair_candidate(version: Version, flaw: Flaw) -> None:
    if flaw.candidate is not None:
        if flaw.is_named and not flaw.candidate.is_unknown:
            # The account is correct, even if it was renamed.
            Candidate.objects.filter(pk=flaw.candidate.pk).update(
                needed=flaw.named.needed,
                excludes_starter=flaw.named.excludes_starter,
                excludes_submitters=flaw.named.excludes_submitters,
            )
            return
        Candidate.objects.filter(pk=flaw.candidate.pk).delete()
    if not flaw.is_named:
        return
    row = resolve_candidates([flaw.named])[0]
    row.version = version
    row.key = node_key(version.pk, row.node_id, escalates=row.escalates)
    row.save()
