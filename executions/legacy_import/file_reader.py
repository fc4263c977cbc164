"""Reader of the file of an older system: checks its format and the references between its rows.

If the file has any problem, nothing is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from executions.legacy_import.file_schema import SCHEMA
from executions.legacy_import.legacy_rows import (
    CurrentNode,
    EntityId,
    LegacyData,
    LegacyEntity,
    LegacyExecution,
    LegacyType,
    LegacyVersion,
    LegacyWorkflow,
    TypeChange,
    Visit,
)
from workflows.db.json_values import below, find_unstorable, quoted
from workflows.models import EntityName, Workflow

FINDING, MODEL = EntityName.FINDING.value, EntityName.INVENTORY_MODEL.value


class InvalidLegacyFile(Exception):
    """The file does not have the format, or lacks a type that an operator chose.

    ``problems`` are pairs of a JSON pointer, or of a choice, and a sentence.
    """

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        in_file = any(not pointer or pointer.startswith("/") for pointer, _ in problems)
        super().__init__(
            "The file does not have the format that import_legacy reads."
            if in_file
            else "The file lacks a workflow or type of --context."
        )
        self.problems = list(problems)


def read_file(data: Any, contexts: Mapping[str, str]) -> LegacyData:
    """Return the data of the file.

    Args:
        contexts: types as old ids or names, by the old ids of workflows. They take precedence over
            ``contexts`` in the file.

    Raises:
        InvalidLegacyFile: the file does not have the format, or its rows contradict each other.
    """
    problems = [*SCHEMA.problems(data), *([] if data is None else find_unstorable(data))]
    if problems:
        raise InvalidLegacyFile(problems)
    return _FileReader(data).read_file(contexts)


class _FileReader:
    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.legacy = LegacyData(data.get("system", ""))
        self.problems: list[tuple[str, str]] = []

    def read_file(self, contexts: Mapping[str, str]) -> LegacyData:
        self._read_types("finding_types", FINDING)
        self._read_types("record_types", MODEL)
        self._read_entities("inventory_models", MODEL, "record_type")
        self._read_entities("findings", FINDING, "finding_type")
        self._read_workflows()
        self._read_versions()
        self._read_executions()
        self._check_trees()
        self._read_chosen_types(contexts)
        if self.problems:
            raise InvalidLegacyFile(self.problems)
        return self.legacy

    def _read_rows(self, name: str, key: str = "id") -> Iterator[tuple[str, dict[str, Any]]]:
        seen: set[str] = set()
        for index, row in enumerate(self.data.get(name, ())):
            at = below("", name, index)
            if str(row[key]) in seen:
                self._add_problem(
                    below(at, key), f"Another row of {name} has the {key} {row[key]}."
                )
                continue
            seen.add(str(row[key]))
            yield at, row

    def _add_problem(self, at: str, sentence: str) -> None:
        self.problems.append((at, sentence))

    def _read_moment(self, at: str, row: dict[str, Any], key: str) -> datetime | None:
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
        self._add_problem(below(at, key), f"{quoted(text)} is not a date and time.")
        return None

    def _read_types(self, name: str, entity_name: str) -> None:
        names: set[str] = set()
        for at, row in self._read_rows(name):
            if row["name"] in names:
                self._add_problem(
                    below(at, "name"), f"Another type has the name {quoted(row['name'])}."
                )
            names.add(row["name"])
            row_type = LegacyType(entity_name, str(row["id"]))
            self.legacy.types[row_type] = {
                "name": row["name"],
                "description": row.get("description", ""),
            }

    def _get_type(self, at: str, entity_name: str, old_id: Any) -> LegacyType:
        row_type = LegacyType(entity_name, str(old_id))
        if row_type not in self.legacy.types:
            noun = "finding type" if row_type.is_of_findings else "record type"
            self._add_problem(at, f"No {noun} has the id {quoted(row_type.id)}.")
            self.legacy.types[row_type] = {"name": row_type.id, "description": ""}
        return row_type

    def _read_changes(self, at: str, row: dict[str, Any], entity_name: str) -> list[TypeChange]:
        found = []
        for index, change in enumerate(row.get("type_changes", ())):
            pointer = below(at, "type_changes", index)
            moment = self._read_moment(pointer, change, "at")
            before = self._get_type(below(pointer, "from"), entity_name, change["from"])
            if "to" in change:
                self._get_type(below(pointer, "to"), entity_name, change["to"])
            if moment is not None:
                found.append(TypeChange(moment, before))
        return sorted(found)

    def _read_entities(self, name: str, entity_name: str, key: str) -> None:
        for at, row in self._read_rows(name):
            entity_id = (entity_name, str(row["id"]))
            model = row.get("inventory_model")
            model_id = None if model is None else (MODEL, str(model))
            if model_id is not None and model_id not in self.legacy.entities:
                pointer = below(at, "inventory_model")
                self._add_problem(pointer, f"No inventory model has the id {quoted(model_id[1])}.")
            self.legacy.entities[entity_id] = LegacyEntity(
                entity_id,
                at,
                row["title"],
                self._get_type(below(at, key), entity_name, row[key]),
                row.get("fields", {}),
                model_id,
                self._read_changes(at, row, entity_name),
            )

    def _read_workflows(self) -> None:
        for at, row in self._read_rows("workflows"):
            entity_name = row.get("entity_name", FINDING)
            key, other = "entity_name_type", "primary_record_type"
            if entity_name == MODEL:
                key, other = other, key
            if row.get(key) is None:
                self._add_problem(below(at, key), f"A workflow for {entity_name} needs {key}.")
                continue
            if row.get(other) is not None:
                self._add_problem(below(at, other), f"A workflow for {entity_name} has no {other}.")
            self.legacy.workflows[str(row["id"])] = LegacyWorkflow(
                str(row["id"]),
                at,
                row["title"],
                row.get("description", ""),
                self._get_type(below(at, key), entity_name, row[key]),
                row.get("trigger", Workflow.Trigger.MANUAL.value),
                row.get("trigger_data", {}),
                row.get("state", Workflow.State.ACTIVE.value),
                self._read_changes(at, row, entity_name),
            )

    def _read_versions(self) -> None:
        for index, row in enumerate(self.data["versions"]):
            at = below("", "versions", index)
            workflow = self.legacy.workflows.get(str(row["workflow"]))
            if workflow is None:
                self._report_missing_workflow(at, row)
            elif row["number"] in workflow.versions:
                sentence = f"Workflow {workflow.id} has another version {row['number']}."
                self._add_problem(below(at, "number"), sentence)
            else:
                workflow.versions[row["number"]] = LegacyVersion(
                    workflow.id,
                    row["number"],
                    at,
                    row["source"],
                    self._read_moment(at, row, "created_at"),
                    row.get("notes", ""),
                )
        for workflow in self.legacy.workflows.values():
            if not workflow.versions:
                self._add_problem(workflow.at, f"Workflow {workflow.id} has no version.")

    def _report_missing_workflow(self, at: str, row: dict[str, Any]) -> None:
        pointer = below(at, "workflow")
        self._add_problem(pointer, f"No workflow has the id {quoted(str(row['workflow']))}.")

    def _read_executions(self) -> None:
        for at, row in self._read_rows("executions"):
            workflow = self.legacy.workflows.get(str(row["workflow"]))
            if workflow is None:
                self._report_missing_workflow(at, row)
            elif row["version"] not in workflow.versions:
                sentence = f"Workflow {workflow.id} has no version {row['version']}."
                self._add_problem(below(at, "version"), sentence)
            entity = self._entity_of(at, row)
            started = self._read_moment(at, row, "started_at")
            if entity is None or started is None:
                continue
            execution = LegacyExecution(
                str(row["id"]),
                at,
                str(row["workflow"]),
                row["version"],
                entity,
                row["status"],
                None if row.get("parent") is None else str(row["parent"]),
                started,
                row.get("started_by"),
                self._read_moment(at, row, "scheduled_for"),
                self._read_moment(at, row, "ended_at"),
                row.get("message", ""),
                [
                    CurrentNode(
                        current["node"],
                        pointer,
                        self._read_moment(pointer, current, "since") or started,
                        None if current.get("child") is None else str(current["child"]),
                        current.get("draft"),
                    )
                    for pointer, current in self._items(at, row, "current_nodes")
                ],
                self._read_visits(at, row, started),
                row.get("variables", {}),
            )
            self.legacy.executions[execution.id] = execution

    def _items(self, at: str, row: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
        return [(below(at, key, index), part) for index, part in enumerate(row.get(key, ()))]

    def _read_visits(self, at: str, row: dict[str, Any], started: datetime) -> list[Visit]:
        found = []
        for pointer, visit in self._items(at, row, "history"):
            entered = self._read_moment(pointer, visit, "entered") or started
            found.append(
                Visit(
                    visit["node"],
                    entered,
                    self._read_moment(pointer, visit, "left") or entered,
                    visit.get("data"),
                    visit.get("by"),
                    None if visit.get("child") is None else str(visit["child"]),
                )
            )
        return found

    def _entity_of(self, at: str, row: dict[str, Any]) -> EntityId | None:
        keys = [key for key in ("finding", "inventory_model") if key in row]
        if len(keys) != 1:
            self._add_problem(at, "An execution needs either 'finding' or 'inventory_model'.")
            return None
        entity = (FINDING if keys == ["finding"] else MODEL, str(row[keys[0]]))
        if entity not in self.legacy.entities:
            noun = keys[0].replace("_", " ")
            self._add_problem(below(at, keys[0]), f"No {noun} has the id {quoted(entity[1])}.")
            return None
        return entity

    def _check_trees(self) -> None:
        executions = self.legacy.executions
        called: dict[str, str] = {}
        for row in executions.values():
            if row.parent is not None and row.parent not in executions:
                pointer = below(row.at, "parent")
                self._add_problem(pointer, f"No execution has the id {quoted(row.parent)}.")
            children = [(current.at, current.child) for current in row.current_nodes]
            children += [(row.at, visit.child) for visit in row.history]
            for at, child in children:
                if child is None:
                    continue
                if child not in executions or executions[child].parent != row.id:
                    sentence = f"No execution {quoted(child)} has {row.id} as its parent."
                    self._add_problem(below(at, "child"), sentence)
                elif child in called:
                    self._add_problem(
                        below(at, "child"), f"Execution {child} is called by two steps."
                    )
                called[child] = row.id
        if self.problems:
            return
        for row in executions.values():
            seen = {row.id}
            ancestor = row.parent
            while ancestor is not None and ancestor not in seen:
                seen.add(ancestor)
                ancestor = executions[ancestor].parent
            if ancestor is not None:
                self._add_problem(
                    below(row.at, "parent"), f"Execution {row.id} is its own ancestor."
                )

    def _read_chosen_types(self, contexts: Mapping[str, str]) -> None:
        in_file = {key: str(value) for key, value in self.data.get("contexts", {}).items()}
        for workflow_id, type_label in {**in_file, **contexts}.items():
            at = below("", "contexts", workflow_id)
            if workflow_id in contexts:
                at = f"{workflow_id}={type_label}"
            workflow = self.legacy.workflows.get(workflow_id)
            if workflow is None:
                self._add_problem(at, f"No workflow has the id {quoted(workflow_id)}.")
                continue
            found = self._find_type(type_label, workflow.type.entity_name)
            if found is None:
                self._add_problem(
                    at, f"No type in the file has the id or name {quoted(type_label)}."
                )
            else:
                self.legacy.chosen_types[workflow_id] = found

    def _find_type(self, type_label: str, entity_name: str) -> LegacyType | None:
        same = [one for one in self.legacy.types if one.entity_name == entity_name]
        by_id = [one for one in same if one.id == type_label]
        by_name = [one for one in same if self.legacy.types[one]["name"] == type_label]
        return next(iter([*by_id, *by_name]), None)
