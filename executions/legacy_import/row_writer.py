"""Writer of the rows of an import.

Other transactions do not see the rows before the commit, so nothing is locked. Triggers do not
start workflows for imported entities.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cached_property
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from executions.legacy_import.components import calls_of
from executions.legacy_import.import_report import Report, RetypedRow
from executions.legacy_import.legacy_rows import (
    EntityId,
    LegacyData,
    LegacyExecution,
    LegacyType,
    type_at,
)
from executions.legacy_import.type_inference import Inference
from executions.models import Closure, Entity, Execution, Step, StepState, get_closure
from executions.models.visits import passed_entry
from workflows.audit.log import Action, make_attempt, read_values, record
from workflows.editing.creation_trigger import refuse_new
from workflows.models import Context, FindingType, RecordType, Reference, Version, Workflow
from workflows.models.candidate import find_assignee_names, resolve_candidates, save_candidates
from workflows.refusals import Attempt
from workflows.values.missing import drop_missing

DB = "default"
CHUNK = 500
WHY = "Imported by import_legacy."


class RowWriter:
    """Writes the rows of the components, and keeps them by their old ids."""

    def __init__(
        self, legacy: LegacyData, inferences: list[Inference], report: Report, by: Any
    ) -> None:
        self.legacy = legacy
        self.inferences = inferences
        self.report = report
        self.by = by
        self.now = timezone.now()
        self.types: dict[LegacyType, FindingType | RecordType] = {}
        self.workflows: dict[str, Workflow] = {}
        self.versions: dict[tuple[str, int], Version] = {}
        self.entities: dict[EntityId, Entity] = {}
        self.executions: dict[str, Execution] = {}
        self.closures: dict[tuple[Version, ...], Closure | None] = {}
        self.attempts: list[Attempt] = []

    def write_all(self) -> None:
        """Write all rows except the current steps of live executions.

        Raises:
            workflows.guards.InvalidTrigger, TriggerTaken: a trigger is invalid or already taken.
        """
        self._write_types()
        self._write_workflows()
        self._write_versions()
        self._write_entities()
        self._write_executions()
        self._record_pinned_versions()
        self._write_history()
        record(self.attempts)

    def context(self, legacy_type: LegacyType) -> Context:
        """Return the entity context of a type in this database."""
        row = self.types[legacy_type]
        if legacy_type.is_of_findings:
            return Context(legacy_type.entity_name, row.pk, None, row.cuid)
        return Context(legacy_type.entity_name, None, row.pk, row.cuid)

    def _type_values(self, legacy_type: LegacyType) -> dict[str, Any]:
        field = "entity_name_type" if legacy_type.is_of_findings else "primary_record_type"
        return {"entity_name": legacy_type.entity_name, field: self.types[legacy_type]}

    def _add_created(self, model: str, rows: Iterable[Any]) -> None:
        number = 0
        for row in rows:
            number += 1
            self.attempts.append(
                make_attempt(row, Action.CREATED, after=read_values(row), why=WHY, by=self.by)
            )
        self.report.count(self.report.imported, model, number)

    def _write_types(self) -> None:
        for legacy_type, values in self.legacy.types.items():
            model: Any = FindingType if legacy_type.is_of_findings else RecordType
            model_name = "finding type" if legacy_type.is_of_findings else "record type"
            cuid = self.legacy.cuid(model_name, legacy_type.id)
            row = model.objects.filter(cuid=cuid).first()
            row = row or model.objects.filter(name=values["name"]).first()
            if row is None:
                row = model.objects.create(cuid=cuid, **values)
                self.report.count(self.report.imported, model_name, 1)
            self.types[legacy_type] = row

    def _write_workflows(self) -> None:
        rows = []
        for inference in self.inferences:
            for pk in inference.component.workflows:
                legacy, legacy_type = self.legacy.workflows[pk], inference.types[pk]
                row = Workflow(
                    cuid=self.legacy.workflow_cuid(pk),
                    title=legacy.title,
                    description=legacy.description,
                    trigger=legacy.trigger,
                    trigger_data=legacy.trigger_data,
                    state=legacy.state,
                    **self._type_values(legacy_type),
                )
                self.workflows[pk] = row
                rows.append(row)
                chosen = pk in inference.chosen
                self._add_retyped("workflow", pk, row, (legacy_type, legacy.type), chosen=chosen)
        refuse_new(rows)
        Workflow._base_manager.bulk_create(rows, batch_size=CHUNK)
        self._add_created("workflow", rows)

    def _add_retyped(
        self, model: str, pk: str, row: Any, types: tuple[LegacyType, LegacyType], *, chosen: bool
    ) -> None:
        own, later = types
        if own != later:
            names = (str(self.types[own]), str(self.types[later]))
            retyped = RetypedRow(model, pk, row.cuid, row.title, *names, chosen=chosen)
            self.report.retyped.append(retyped)

    def _write_versions(self) -> None:
        references = []
        for inference in self.inferences:
            for key, legacy_type in inference.version_types.items():
                workflow, number = key
                legacy = self.legacy.workflows[workflow].versions[number]
                version = Version(
                    cuid=self.legacy.cuid("version", f"{workflow}/{number}"),
                    workflow=self.workflows[workflow],
                    number=number,
                    source=inference.sources[key],
                    in_force=key in inference.in_force,
                    notes=legacy.notes,
                    created_at=legacy.created_at or self.now,
                    created_by=self.by,
                    **self._type_values(legacy_type),
                )
                version.checksum = version.compute_checksum()
                # A raw save keeps the old time, which is write-once afterwards.
                version.save_base(raw=True, force_insert=True, using=DB)
                save_candidates(resolve_candidates(find_assignee_names(version.source)), version)
                self.versions[key] = version
        for (workflow, number), version in self.versions.items():
            legacy = self.legacy.workflows[workflow].versions[number]
            for position, callee in calls_of(legacy):
                references.append(
                    Reference(
                        version=version,
                        node_id=legacy.source["nodes"][position]["id"],
                        callee=self.workflows[callee],
                        context_key=version.context.key,
                        in_force=version.in_force,
                    )
                )
        Reference._base_manager.bulk_create(references, batch_size=CHUNK)
        self.report.count(self.report.imported, "version", len(self.versions))

    def _write_entities(self) -> None:
        models: list[Entity] = []
        findings: list[Entity] = []
        for inference in self.inferences:
            ran = (self.legacy.executions[pk] for pk in inference.component.executions)
            chosen = {row.entity for row in ran if row.workflow in inference.chosen}
            for pk in inference.component.entities:
                legacy, legacy_type = self.legacy.entities[pk], inference.entity_types[pk]
                row = Entity(
                    cuid=self.legacy.cuid(*pk),
                    title=legacy.title,
                    fields=drop_missing(legacy.fields),
                    **self._type_values(legacy_type),
                )
                self.entities[pk] = row
                (findings if legacy_type.is_of_findings else models).append(row)
                model_name = "finding" if legacy_type.is_of_findings else "inventory model"
                self._add_retyped(
                    model_name, pk[1], row, (legacy_type, legacy.type), chosen=pk in chosen
                )
        Entity._base_manager.bulk_create(models, batch_size=CHUNK)
        for pk, row in self.entities.items():
            model = self.legacy.entities[pk].inventory_model
            if model is not None:
                found: Any = self.entities[model]
                row.inventory_model = found
        Entity._base_manager.bulk_create(findings, batch_size=CHUNK)
        self._add_created("inventory model", models)
        self._add_created("finding", findings)

    def _write_executions(self) -> None:
        waiting = [
            (self.legacy.executions[pk], inference)
            for inference in self.inferences
            for pk in inference.component.executions
        ]
        while waiting:
            level = [
                (legacy, inference)
                for legacy, inference in waiting
                if legacy.parent is None or legacy.parent in self.executions
            ]
            rows = {
                legacy.id: self._make_execution(legacy, inference) for legacy, inference in level
            }
            Execution._base_manager.bulk_create(rows.values(), batch_size=CHUNK)
            self.executions.update(rows)
            waiting = [row for row in waiting if row[0].id not in rows]
        self.report.count(self.report.imported, "execution", len(self.executions))

    def _make_execution(self, legacy: LegacyExecution, inference: Inference) -> Execution:
        entity = self.legacy.entities[legacy.entity]
        legacy_type = type_at(entity.type, entity.changes, legacy.started_at)
        if legacy.is_live:
            legacy_type = inference.types[legacy.workflow]
        ended = None if legacy.is_live else legacy.ended_at or _last_moment(legacy)
        row = Execution(
            cuid=self.legacy.cuid("execution", legacy.id),
            workflow=self.workflows[legacy.workflow],
            version=self.versions[legacy.workflow, legacy.version],
            entity=self.entities[legacy.entity],
            status=legacy.status,
            context_key=self.context(legacy_type).key,
            message=legacy.message,
            variables=drop_missing(legacy.variables),
            started_at=legacy.started_at,
            scheduled_for=legacy.scheduled_for,
            ended_at=ended,
            updated_at=ended or self.now,
            started_by_id=self._users.get(legacy.started_by or ""),
        )
        if legacy.id in inference.pins:
            row.closure = self._closure(row.version, self._pinned_versions(legacy.id, inference))
        if legacy.parent is not None:
            row.parent = self.executions[legacy.parent]
            row.root = self.executions[self.legacy.root(legacy).id]
        return row

    @cached_property
    def _users(self) -> dict[str, int]:
        named: set[str] = set()
        for legacy in self.legacy.executions.values():
            named |= {legacy.started_by or "", *(visit.by or "" for visit in legacy.history)}
        users: dict[str, int] = {}
        names = sorted(named - {""})
        model: Any = get_user_model()
        for at in range(0, len(names), CHUNK):
            rows = model._default_manager.filter(username__in=names[at : at + CHUNK])
            users.update(rows.values_list("username", "pk"))
        return users

    def _pinned_versions(self, root_id: str, inference: Inference) -> list[Version]:
        return [self.versions[pair] for pair in inference.pins[root_id].items()]

    def _closure(self, version: Version, pinned: list[Version]) -> Closure | None:
        key = (version, *sorted(pinned, key=lambda row: row.pk))
        if key not in self.closures:
            self.closures[key] = get_closure(version, pinned)
        return self.closures[key]

    def _record_pinned_versions(self) -> None:
        for inference in self.inferences:
            for root_id in inference.pins:
                root = self.executions[root_id]
                pinned = self._pinned_versions(root_id, inference)
                after = {
                    "status": root.status,
                    "version_id": root.version.cuid,
                    "pinned": sorted(version.cuid for version in pinned),
                }
                # Marks the execution as moved: its versions need not be the latest ones by time.
                self.attempts.append(
                    make_attempt(root, Action.CHANGED, after=after, why=WHY, by=self.by),
                )

    def _write_history(self) -> None:
        steps: list[Step] = []
        changed: list[Execution] = []
        number = 0
        for pk, row in self.executions.items():
            number += len(self.legacy.executions[pk].history)
            origin: Step | Execution = row
            at: datetime | None = row.started_at
            for step in self._visits(row, self.legacy.executions[pk]):
                if step.closed_by_id is None and step.opened_at == step.closed_at:
                    child = step.child.cuid if step.child else None
                    origin.passed = origin.passed or []
                    origin.passed.append(passed_entry(step, at, child))
                    continue
                steps.append(step)
                origin, at = step, step.closed_at
            if row.passed:
                changed.append(row)
        Step._base_manager.bulk_create(steps, batch_size=CHUNK)
        Execution._base_manager.bulk_update(changed, ["passed"], batch_size=CHUNK)
        self.report.count(self.report.imported, "step", number)

    def _visits(self, row: Execution, legacy: LegacyExecution) -> Iterator[Step]:
        nodes = {node["id"]: node for node in row.version.source["nodes"]}
        for visit in legacy.history:
            node = nodes.get(visit.node, {})
            label = node.get("data", {}).get("label") or visit.node
            yield Step(
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
                child=None if visit.child is None else self.executions[visit.child],
            )


def _last_moment(legacy: LegacyExecution) -> Any:
    return max([legacy.started_at, *(visit.left for visit in legacy.history)])
