"""Reading the file of an old system: its layout, and whether its rows point at each other.

What is wrong here is wrong with the file, and nothing of it is brought in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from executions.legacy_import.file_schema import SCHEMA
from executions.legacy_import.old_rows import (
    Change,
    EntityId,
    Old,
    OldEntity,
    OldExecution,
    OldVersion,
    OldWorkflow,
    Place,
    Type,
    Visited,
)
from workflows.db.json_values import below, quoted, unstorable_in
from workflows.models import EntityName, Workflow

FINDING, MODEL = EntityName.FINDING.value, EntityName.INVENTORY_MODEL.value


class Malformed(Exception):
    """The file is not in the layout, or has not what was chosen; ``problems`` are JSON pointers,
    or choices, with sentences.
    """

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        in_file = any(not pointer or pointer.startswith("/") for pointer, _ in problems)
        what = "The file is not in the layout." if in_file else "The file has not what was chosen."
        super().__init__(what)
        self.problems = list(problems)


def read(data: Any, contexts: Mapping[str, str]) -> Old:
    """Return what the file tells.

    Args:
        contexts: by the old id of a workflow, the id or the name of the type that it is to have;
            it wins over what the file has under that name.

    Raises:
        Malformed: the file is not in the layout, or its rows do not fit together.
    """
    problems = [*SCHEMA.problems(data), *([] if data is None else unstorable_in(data))]
    if problems:
        raise Malformed(problems)
    return _Reading(data).read(contexts)


class _Reading:
    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.old = Old(data.get("system", ""))
        self.problems: list[tuple[str, str]] = []

    def read(self, contexts: Mapping[str, str]) -> Old:
        self._types("finding_types", FINDING)
        self._types("record_types", MODEL)
        self._entities("inventory_models", MODEL, "record_type")
        self._entities("findings", FINDING, "finding_type")
        self._workflows()
        self._versions()
        self._executions()
        self._trees()
        self._decisions(contexts)
        if self.problems:
            raise Malformed(self.problems)
        return self.old

    def _rows(self, name: str, key: str = "id") -> Iterator[tuple[str, dict[str, Any]]]:
        seen: set[str] = set()
        for index, row in enumerate(self.data.get(name, ())):
            at = below("", name, index)
            if str(row[key]) in seen:
                self._wrong(below(at, key), f"Another row of {name} has the {key} {row[key]}.")
                continue
            seen.add(str(row[key]))
            yield at, row

    def _wrong(self, at: str, sentence: str) -> None:
        self.problems.append((at, sentence))

    def _time(self, at: str, row: dict[str, Any], key: str) -> datetime | None:
        text = row.get(key)
        if text is None:
            return None
        try:
            found = parse_datetime(text)
            if found is not None:
                found = timezone.make_aware(found, UTC) if timezone.is_naive(found) else found
                return found.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        self._wrong(below(at, key), f"{quoted(text)} is no date and time.")
        return None

    def _types(self, name: str, entity_name: str) -> None:
        names: set[str] = set()
        for at, row in self._rows(name):
            if row["name"] in names:
                self._wrong(below(at, "name"), f"Another type has the name {quoted(row['name'])}.")
            names.add(row["name"])
            kind = Type(entity_name, str(row["id"]))
            self.old.types[kind] = {
                "name": row["name"],
                "description": row.get("description", ""),
            }

    def _type(self, at: str, entity_name: str, old_id: Any) -> Type:
        kind = Type(entity_name, str(old_id))
        if kind not in self.old.types:
            noun = "finding type" if kind.is_of_findings else "record type"
            self._wrong(at, f"No {noun} has the id {quoted(kind.id)}.")
            self.old.types[kind] = {"name": kind.id, "description": ""}
        return kind

    def _changes(self, at: str, row: dict[str, Any], entity_name: str) -> list[Change]:
        found = []
        for index, change in enumerate(row.get("type_changes", ())):
            place = below(at, "type_changes", index)
            when = self._time(place, change, "at")
            before = self._type(below(place, "from"), entity_name, change["from"])
            if "to" in change:
                self._type(below(place, "to"), entity_name, change["to"])
            if when is not None:
                found.append(Change(when, before))
        return sorted(found)

    def _entities(self, name: str, entity_name: str, key: str) -> None:
        for at, row in self._rows(name):
            entity_id = (entity_name, str(row["id"]))
            model = row.get("inventory_model")
            model_id = None if model is None else (MODEL, str(model))
            if model_id is not None and model_id not in self.old.entities:
                where = below(at, "inventory_model")
                self._wrong(where, f"No inventory model has the id {quoted(model_id[1])}.")
            self.old.entities[entity_id] = OldEntity(
                entity_id,
                at,
                row["title"],
                self._type(below(at, key), entity_name, row[key]),
                row.get("fields", {}),
                model_id,
                self._changes(at, row, entity_name),
            )

    def _workflows(self) -> None:
        for at, row in self._rows("workflows"):
            entity_name = row.get("entity_name", FINDING)
            key, other = "entity_name_type", "primary_record_type"
            if entity_name == MODEL:
                key, other = other, key
            if row.get(key) is None:
                self._wrong(below(at, key), f"A workflow on a {entity_name} needs it.")
                continue
            if row.get(other) is not None:
                self._wrong(below(at, other), f"A workflow on a {entity_name} has none.")
            self.old.workflows[str(row["id"])] = OldWorkflow(
                str(row["id"]),
                at,
                row["title"],
                row.get("description", ""),
                self._type(below(at, key), entity_name, row[key]),
                row.get("trigger", Workflow.Trigger.MANUAL.value),
                row.get("trigger_data", {}),
                row.get("state", Workflow.State.ACTIVE.value),
                self._changes(at, row, entity_name),
            )

    def _versions(self) -> None:
        for index, row in enumerate(self.data["versions"]):
            at = below("", "versions", index)
            workflow = self.old.workflows.get(str(row["workflow"]))
            if workflow is None:
                self._no_workflow(at, row)
            elif row["number"] in workflow.versions:
                sentence = f"Workflow {workflow.id} has a version {row['number']} already."
                self._wrong(below(at, "number"), sentence)
            else:
                workflow.versions[row["number"]] = OldVersion(
                    workflow.id,
                    row["number"],
                    at,
                    row["source"],
                    self._time(at, row, "created_at"),
                    row.get("notes", ""),
                )
        for workflow in self.old.workflows.values():
            if not workflow.versions:
                self._wrong(workflow.at, f"Workflow {workflow.id} has no version.")

    def _no_workflow(self, at: str, row: dict[str, Any]) -> None:
        where = below(at, "workflow")
        self._wrong(where, f"No workflow has the id {quoted(str(row['workflow']))}.")

    def _executions(self) -> None:
        for at, row in self._rows("executions"):
            workflow = self.old.workflows.get(str(row["workflow"]))
            if workflow is None:
                self._no_workflow(at, row)
            elif row["version"] not in workflow.versions:
                sentence = f"Workflow {workflow.id} has no version {row['version']}."
                self._wrong(below(at, "version"), sentence)
            entity = self._worked_on(at, row)
            started = self._time(at, row, "started_at")
            if entity is None or started is None:
                continue
            execution = OldExecution(
                str(row["id"]),
                at,
                str(row["workflow"]),
                row["version"],
                entity,
                row["status"],
                None if row.get("parent") is None else str(row["parent"]),
                started,
                row.get("started_by"),
                self._time(at, row, "scheduled_for"),
                self._time(at, row, "ended_at"),
                row.get("message", ""),
                [
                    Place(
                        place["node"],
                        where,
                        self._time(where, place, "since") or started,
                        None if place.get("child") is None else str(place["child"]),
                        place.get("draft"),
                    )
                    for where, place in self._within(at, row, "current_nodes")
                ],
                self._visits(at, row, started),
            )
            self.old.executions[execution.id] = execution

    def _within(self, at: str, row: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
        return [(below(at, key, index), part) for index, part in enumerate(row.get(key, ()))]

    def _visits(self, at: str, row: dict[str, Any], started: datetime) -> list[Visited]:
        found = []
        for where, visit in self._within(at, row, "history"):
            entered = self._time(where, visit, "entered") or started
            found.append(
                Visited(
                    visit["node"],
                    entered,
                    self._time(where, visit, "left") or entered,
                    visit.get("data"),
                    visit.get("by"),
                    None if visit.get("child") is None else str(visit["child"]),
                )
            )
        return found

    def _worked_on(self, at: str, row: dict[str, Any]) -> EntityId | None:
        named = [key for key in ("finding", "inventory_model") if key in row]
        if len(named) != 1:
            self._wrong(at, "An execution works on either a 'finding' or an 'inventory_model'.")
            return None
        entity = (FINDING if named == ["finding"] else MODEL, str(row[named[0]]))
        if entity not in self.old.entities:
            noun = named[0].replace("_", " ")
            self._wrong(below(at, named[0]), f"No {noun} has the id {quoted(entity[1])}.")
            return None
        return entity

    def _trees(self) -> None:
        executions = self.old.executions
        called: dict[str, str] = {}
        for row in executions.values():
            if row.parent is not None and row.parent not in executions:
                where = below(row.at, "parent")
                self._wrong(where, f"No execution has the id {quoted(row.parent)}.")
            children = [(place.at, place.child) for place in row.places]
            children += [(row.at, visit.child) for visit in row.history]
            for at, child in children:
                if child is None:
                    continue
                if child not in executions or executions[child].parent != row.id:
                    sentence = f"No execution {quoted(child)} has {row.id} as its parent."
                    self._wrong(below(at, "child"), sentence)
                elif child in called:
                    self._wrong(below(at, "child"), f"Execution {child} is called twice.")
                called[child] = row.id
        if self.problems:
            return
        for row in executions.values():
            seen = {row.id}
            above = row.parent
            while above is not None and above not in seen:
                seen.add(above)
                above = executions[above].parent
            if above is not None:
                self._wrong(below(row.at, "parent"), f"Execution {row.id} has called itself.")

    def _decisions(self, contexts: Mapping[str, str]) -> None:
        in_file = {key: str(value) for key, value in self.data.get("contexts", {}).items()}
        for workflow_id, named in {**in_file, **contexts}.items():
            at = below("", "contexts", workflow_id)
            if workflow_id in contexts:
                at = f"{workflow_id}={named}"
            workflow = self.old.workflows.get(workflow_id)
            if workflow is None:
                self._wrong(at, f"No workflow has the id {quoted(workflow_id)}.")
                continue
            found = self._type_called(named, workflow.type.entity_name)
            if found is None:
                self._wrong(at, f"No type of the file has the id or name {quoted(named)}.")
            else:
                self.old.decided[workflow_id] = found

    def _type_called(self, named: str, entity_name: str) -> Type | None:
        same = [kind for kind in self.old.types if kind.entity_name == entity_name]
        by_id = [kind for kind in same if kind.id == named]
        by_name = [kind for kind in same if self.old.types[kind]["name"] == named]
        return next(iter([*by_id, *by_name]), None)
