"""Bringing in what has been decided: the rows, as they would be had they been made here.

Nobody else sees them before the commit, so that nothing is locked; what starts workflows when an
entity is created or changed is not asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from executions.legacy_import.components import called_by
from executions.legacy_import.import_report import Report, TakenBack
from executions.legacy_import.old_rows import EntityId, Old, OldExecution, Type, type_then
from executions.legacy_import.type_inference import Decided
from executions.models import Entity, Execution, Pin, Step, StepState
from workflows.audit.log import Action, record, told, values_of
from workflows.models import Context, FindingType, RecordType, Reference, Version, Workflow
from workflows.models.candidate import named_in, resolve, store
from workflows.models.creation_trigger import refuse_new
from workflows.refusals import Attempt
from workflows.values.missing import present

DB = "default"
CHUNK = 500
WHY = "Brought over by import_legacy."


class Bringing:
    """The rows of the parts that come in, by their old ids."""

    def __init__(self, old: Old, decided: list[Decided], report: Report, by: Any) -> None:
        self.old = old
        self.decided = decided
        self.report = report
        self.by = by
        self.now = timezone.now()
        self.types: dict[Type, FindingType | RecordType] = {}
        self.workflows: dict[str, Workflow] = {}
        self.versions: dict[tuple[str, int], Version] = {}
        self.entities: dict[EntityId, Entity] = {}
        self.executions: dict[str, Execution] = {}
        self.attempts: list[Attempt] = []

    def bring(self) -> None:
        """Write all of it but the steps at which executions stand.

        Raises:
            workflows.guards.InvalidTrigger, TriggerTaken: what starts a workflow is not taken.
        """
        self._types()
        self._workflows()
        self._versions()
        self._entities()
        self._executions()
        self._pins()
        self._history()
        record(self.attempts, using=DB)

    def context(self, kind: Type) -> Context:
        """A type as an entity context of this database."""
        row = self.types[kind]
        if kind.is_of_findings:
            return Context(kind.entity_name, row.pk, None, row.cuid)
        return Context(kind.entity_name, None, row.pk, row.cuid)

    def _named(self, kind: Type) -> dict[str, Any]:
        field = "entity_name_type" if kind.is_of_findings else "primary_record_type"
        return {"entity_name": kind.entity_name, field: self.types[kind]}

    def _created(self, kind: str, rows: Iterable[Any]) -> None:
        number = 0
        for row in rows:
            number += 1
            self.attempts.append(
                told(row, Action.CREATED, after=values_of(row), why=WHY, by=self.by)
            )
        self.report.count(self.report.brought, kind, number)

    def _types(self) -> None:
        for kind, values in self.old.types.items():
            model: Any = FindingType if kind.is_of_findings else RecordType
            word = "finding type" if kind.is_of_findings else "record type"
            cuid = self.old.cuid(word, kind.id)
            row = model.objects.filter(cuid=cuid).first()
            row = row or model.objects.filter(name=values["name"]).first()
            if row is None:
                row = model.objects.create(cuid=cuid, **values)
                self.report.count(self.report.brought, word, 1)
            self.types[kind] = row

    def _workflows(self) -> None:
        rows = []
        for decided in self.decided:
            for pk in decided.part.workflows:
                old, kind = self.old.workflows[pk], decided.types[pk]
                row = Workflow(
                    cuid=self.old.workflow_cuid(pk),
                    title=old.title,
                    description=old.description,
                    trigger=old.trigger,
                    trigger_data=old.trigger_data,
                    state=old.state,
                    **self._named(kind),
                )
                self.workflows[pk] = row
                rows.append(row)
                chosen = pk in decided.chosen
                self._taken_back("workflow", pk, row, (kind, old.type), chosen=chosen)
        refuse_new(rows, DB)
        Workflow._base_manager.bulk_create(rows, batch_size=CHUNK)
        self._created("workflow", rows)

    def _taken_back(
        self, kind: str, pk: str, row: Any, types: tuple[Type, Type], *, chosen: bool
    ) -> None:
        own, later = types
        if own != later:
            names = (str(self.types[own]), str(self.types[later]))
            told = TakenBack(kind, pk, row.cuid, row.title, *names, chosen=chosen)
            self.report.taken_back.append(told)

    def _versions(self) -> None:
        references = []
        for decided in self.decided:
            for key, kind in decided.version_types.items():
                workflow, number = key
                old = self.old.workflows[workflow].versions[number]
                version = Version(
                    cuid=self.old.cuid("version", f"{workflow}/{number}"),
                    workflow=self.workflows[workflow],
                    number=number,
                    source=decided.sources[key],
                    in_force=key in decided.in_force,
                    notes=old.notes,
                    created_at=old.created_at or self.now,
                    created_by=self.by,
                    **self._named(kind),
                )
                version.checksum = version.compute_checksum()
                # As it is given: the time is the old one, and sealed once it is written.
                version.save_base(raw=True, force_insert=True, using=DB)
                store(resolve(named_in(version.source)), version)
                self.versions[key] = version
        for (workflow, number), version in self.versions.items():
            old = self.old.workflows[workflow].versions[number]
            for place, callee in called_by(old):
                references.append(
                    Reference(
                        version=version,
                        node_id=old.source["nodes"][place]["id"],
                        callee=self.workflows[callee],
                        context_key=version.context.key,
                        in_force=version.in_force,
                    )
                )
        Reference._base_manager.bulk_create(references, batch_size=CHUNK)
        self.report.count(self.report.brought, "version", len(self.versions))

    def _entities(self) -> None:
        models: list[Entity] = []
        findings: list[Entity] = []
        for decided in self.decided:
            ran = (self.old.executions[pk] for pk in decided.part.executions)
            chosen = {row.entity for row in ran if row.workflow in decided.chosen}
            for pk in decided.part.entities:
                old, kind = self.old.entities[pk], decided.entity_types[pk]
                row = Entity(
                    cuid=self.old.cuid(*pk),
                    title=old.title,
                    fields=present(old.fields),
                    **self._named(kind),
                )
                self.entities[pk] = row
                (findings if kind.is_of_findings else models).append(row)
                word = "finding" if kind.is_of_findings else "inventory model"
                self._taken_back(word, pk[1], row, (kind, old.type), chosen=pk in chosen)
        Entity._base_manager.bulk_create(models, batch_size=CHUNK)
        for pk, row in self.entities.items():
            model = self.old.entities[pk].inventory_model
            if model is not None:
                found: Any = self.entities[model]
                row.inventory_model = found
        Entity._base_manager.bulk_create(findings, batch_size=CHUNK)
        self._created("inventory model", models)
        self._created("finding", findings)

    def _executions(self) -> None:
        waiting = [
            (self.old.executions[pk], decided)
            for decided in self.decided
            for pk in decided.part.executions
        ]
        while waiting:
            level = [
                (old, decided)
                for old, decided in waiting
                if old.parent is None or old.parent in self.executions
            ]
            rows = {old.id: self._execution(old, decided) for old, decided in level}
            Execution._base_manager.bulk_create(rows.values(), batch_size=CHUNK)
            self.executions.update(rows)
            waiting = [row for row in waiting if row[0].id not in rows]
        self.report.count(self.report.brought, "execution", len(self.executions))

    def _execution(self, old: OldExecution, decided: Decided) -> Execution:
        entity = self.old.entities[old.entity]
        kind = type_then(entity.type, entity.changes, old.started_at)
        if old.is_live:
            kind = decided.types[old.workflow]
        ended = None if old.is_live else old.ended_at or _last(old)
        row = Execution(
            cuid=self.old.cuid("execution", old.id),
            workflow=self.workflows[old.workflow],
            version=self.versions[old.workflow, old.version],
            entity=self.entities[old.entity],
            status=old.status,
            context_key=self.context(kind).key,
            message=old.message,
            started_at=old.started_at,
            scheduled_for=old.scheduled_for,
            ended_at=ended,
            updated_at=ended or self.now,
            started_by_id=self._users.get(old.started_by or ""),
        )
        if old.parent is not None:
            row.parent = self.executions[old.parent]
            row.root = self.executions[self.old.root(old).id]
        return row

    @cached_property
    def _users(self) -> dict[str, int]:
        named: set[str] = set()
        for old in self.old.executions.values():
            named |= {old.started_by or "", *(visit.by or "" for visit in old.history)}
        users: dict[str, int] = {}
        names = sorted(named - {""})
        model: Any = get_user_model()
        for at in range(0, len(names), CHUNK):
            rows = model._default_manager.filter(username__in=names[at : at + CHUNK])
            users.update(rows.values_list("username", "pk"))
        return users

    def _pins(self) -> None:
        pins = []
        for decided in self.decided:
            for root_id, pinned in decided.pins.items():
                root = self.executions[root_id]
                versions = {callee: self.versions[callee, n] for callee, n in pinned.items()}
                for callee, version in versions.items():
                    pins.append(
                        Pin(
                            root=root,
                            callee=self.workflows[callee],
                            version=version,
                            context_key=root.context_key,
                        )
                    )
                after = {
                    "status": root.status,
                    "version_id": root.version.cuid,
                    "pinned": sorted(version.cuid for version in versions.values()),
                }
                # What it runs was the latest there, whatever the times of versions say here.
                self.attempts.append(
                    told(root, Action.CHANGED, after=after, why=WHY, by=self.by),
                )
        Pin._base_manager.bulk_create(pins, batch_size=CHUNK)

    def _history(self) -> None:
        steps = []
        for pk, row in self.executions.items():
            old = self.old.executions[pk]
            source = row.version.source
            nodes = {node["id"]: node for node in source["nodes"]}
            for visit in old.history:
                node = nodes.get(visit.node, {})
                label = node.get("data", {}).get("label") or visit.node
                child = None if visit.child is None else self.executions[visit.child]
                steps.append(
                    Step(
                        execution=row,
                        node_id=visit.node,
                        type=node.get("type", "unknown"),
                        label=label[:200],
                        state=StepState.DONE,
                        opened_at=visit.entered,
                        closed_at=visit.left,
                        closed_by_id=self._users.get(visit.by or ""),
                        input=visit.data,
                        output=visit.data,
                        child=child,
                    )
                )
        Step._base_manager.bulk_create(steps, batch_size=CHUNK)
        self.report.count(self.report.brought, "step", len(steps))


def _last(old: OldExecution) -> Any:
    return max([old.started_at, *(visit.left for visit in old.history)])
