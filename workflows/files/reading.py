"""From the text of a file to what it says, with everything that is wrong in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from workflows import guards, trigger_types
from workflows.db.cuid import LENGTH
from workflows.db.json_values import below, kind, quoted, unstorable_in
from workflows.files import file_schema, text_formats
from workflows.files.file_schema import (
    FileProblem,
    InvalidFile,
    Named,
    TypeEntry,
    WorkflowEntry,
    WorkflowFile,
    line_of,
)
from workflows.graph import RUN_WORKFLOW, WorkflowValidationError, normalized, parse
from workflows.models import EntityName, Workflow
from workflows.values.names import look

_CUID = re.compile(rf"[A-Za-z0-9_-]{{1,{LENGTH}}}")
_KINDS: Mapping[type, str] = {str: "a text", list: "a list", dict: "an object"}
_TYPE_KEYS = {
    EntityName.FINDING.value: ("entity_name_type", file_schema.FINDING),
    EntityName.INVENTORY_MODEL.value: ("primary_record_type", file_schema.RECORD),
}


def read(raw: bytes) -> WorkflowFile:
    """What a file says.

    Raises:
        InvalidFile: it is no YAML or JSON, has what is not known here, lacks what has to be
            there, or draws a graph that could not be saved.
    """
    data, lines = text_formats.read(raw)
    reading = _Reading(lines)
    found = reading.file(data)
    if reading.problems:
        raise InvalidFile(reading.problems)
    return found


class _Reading:
    """One reading of one file; every method reads what stands at ``at``, and goes on."""

    def __init__(self, lines: Mapping[str, int]) -> None:
        self.lines = lines
        self.problems: list[FileProblem] = []

    def report(self, at: str, detail: str) -> None:
        self.problems.append(FileProblem(at, line_of(self.lines, at), detail))

    # What values are

    def value(self, row: Mapping[str, Any], key: str, at: str, wanted: type) -> Any:
        """The value of this type under this key; an empty one where there is none."""
        if key not in row:
            self.report(at, f"'{key}' is missing.")
        elif not isinstance(row[key], wanted):
            given = kind(row[key])
            self.report(below(at, key), f"'{key}' is {_KINDS[wanted]}, not {given}.")
        else:
            return row[key]
        return wanted()

    def object(self, value: Any, at: str, what: str, known: tuple[str, ...]) -> dict[str, Any]:
        """An object that has no other keys than these; empty where it is none."""
        if not isinstance(value, dict):
            self.report(at, f"{what} is an object, not {kind(value)}.")
            return {}
        for key in value:
            if key not in known:
                says = f"{quoted(key)} is unknown here; known are: {', '.join(known)}."
                self.report(below(at, key), says)
        return value

    def choice(self, row: Mapping[str, Any], key: str, at: str, known: list[str]) -> str:
        value: str = self.value(row, key, at, str)
        if value and value not in known:
            says = f"'{key}' is one of {', '.join(known)}, not {quoted(value)}."
            self.report(below(at, key), says)
        elif not value and isinstance(row.get(key), str):
            self.report(below(at, key), f"'{key}' is one of {', '.join(known)}.")
        return value

    def description(self, row: Mapping[str, Any], at: str) -> str:
        text: str = self.value(row, "description", at, str) if "description" in row else ""
        return text

    def named(self, row: Mapping[str, Any], at: str, title: str, *, both: bool) -> Named:
        """A cuid and a title or name, of which one may be left out; the title not if ``both``."""
        cuid, text = None, None
        if row.get("cuid") is not None:
            cuid = self.value(row, "cuid", at, str)
            if cuid and not _CUID.fullmatch(cuid):
                says = f"{quoted(cuid)} is no cuid: up to {LENGTH} letters and digits."
                self.report(below(at, "cuid"), says)
        if title in row or both:
            text = self.value(row, title, at, str)
            if title in row and isinstance(row[title], str) and not text.strip():
                self.report(below(at, title), f"'{title}' is empty.")
            elif len(text) > 200:
                self.report(below(at, title), f"'{title}' has more than 200 characters.")
        if not cuid and text is None:
            self.report(at, f"Neither '{title}' nor 'cuid' says which.")
        return Named(cuid or None, text, at)

    # What the file holds

    def file(self, data: Any) -> WorkflowFile:
        if isinstance(data, dict) and data.get("format") != file_schema.FORMAT:
            given = quoted(data["format"]) if "format" in data else "missing"
            says = f"The 'format' is {given}; known here is {quoted(file_schema.FORMAT)}."
            self.report("/format" if "format" in data else "", says)
            return WorkflowFile([], [])
        top = self.object(data, "", "A file of workflows", file_schema.TOP)
        for pointer, detail in unstorable_in(top):
            self.report(pointer, detail)
        if self.problems:
            return WorkflowFile([], [])
        types = [
            self.type(row, below("", key, index), noun)
            for key, noun in (
                ("finding_types", file_schema.FINDING),
                ("record_types", file_schema.RECORD),
            )
            if key in top
            for index, row in enumerate(self.value(top, key, "", list))
        ]
        rows = self.value(top, "workflows", "", list)
        workflows = [
            self.workflow(row, below("/workflows", index)) for index, row in enumerate(rows)
        ]
        self.refuse_twice([entry.named for entry in types], "types", names=True)
        self.refuse_twice([entry.named for entry in workflows], "workflows", names=False)
        return WorkflowFile(types, workflows, self.lines)

    def refuse_twice(self, rows: list[Named], what: str, *, names: bool) -> None:
        cuids: set[str] = set()
        titles: set[tuple[str, str]] = set()
        for row in rows:
            if row.cuid and row.cuid in cuids:
                says = f"Two {what} of the file have the cuid {quoted(row.cuid)}."
                self.report(row.pointer, says)
            cuids |= {row.cuid} if row.cuid else set()
            of_kind = (row.pointer.split("/")[1], look(row.title or ""))
            if names and of_kind in titles:
                self.report(
                    row.pointer,
                    f"Two {what} of the file have the name “{row.title}”. Names that differ only in"
                    " case, invisible characters or Unicode form count as one.",
                )
            titles.add(of_kind)

    def type(self, value: Any, at: str, noun: str) -> TypeEntry:
        row = self.object(value, at, f"A {noun}", file_schema.TYPE)
        if not isinstance(value, dict):
            return TypeEntry(noun, Named(None, None, at), "")
        named = self.named(row, at, "name", both=True)
        return TypeEntry(noun, named, self.description(row, at))

    def workflow(self, value: Any, at: str) -> WorkflowEntry:
        row = self.object(value, at, "A workflow", file_schema.WORKFLOW)
        if not isinstance(value, dict):
            nothing = Named(None, None, at)
            return WorkflowEntry(nothing, "", "", "", "", nothing, "", {}, {}, {})
        known = len(self.problems)
        named = self.named(row, at, "title", both=True)
        description = self.description(row, at)
        state = self.choice(row, "state", at, list(Workflow.State.values))
        entity_name = self.choice(row, "entity_name", at, list(_TYPE_KEYS))
        noun, type_named = self.entity_type(row, entity_name, at)
        trigger = self.choice(row, "trigger", at, list(Workflow.Trigger.values))
        trigger_data = self.value(row, "trigger_data", at, dict) if "trigger_data" in row else {}
        nodes = self.value(row, "nodes", at, list)
        edges = self.value(row, "edges", at, list)
        sound = len(self.problems) == known
        calls = self.calls(nodes, at)
        source = {"nodes": _with_cuids(nodes, calls), "edges": edges}
        if sound and len(self.problems) == known:
            self.judge_trigger(trigger, trigger_data, at)
            self.judge_graph(source, at)
        if len(self.problems) == known:
            # As it is stored, so that a file that says the same changes nothing.
            trigger_data = trigger_types.normalized(trigger, trigger_data)
            source = normalized(source)
        return WorkflowEntry(
            named,
            description,
            state,
            entity_name,
            noun,
            type_named,
            trigger,
            trigger_data,
            source,
            calls,
        )

    def entity_type(self, row: Mapping[str, Any], entity_name: str, at: str) -> tuple[str, Named]:
        key, noun = _TYPE_KEYS.get(entity_name, _TYPE_KEYS[EntityName.FINDING.value])
        other = next(name for name, _ in _TYPE_KEYS.values() if name != key)
        if entity_name in _TYPE_KEYS and row.get(other) is not None:
            says = f"What works on the entity '{entity_name}' has no '{other}', but a '{key}'."
            self.report(below(at, other), says)
        if entity_name not in _TYPE_KEYS:
            return noun, Named(None, None, at)
        if key not in row:
            self.report(at, f"'{key}' is missing.")
            return noun, Named(None, None, at)
        where = below(at, key)
        named = self.object(row[key], where, f"A {noun}", file_schema.NAMED_TYPE)
        if not isinstance(row[key], dict):
            return noun, Named(None, None, where)
        return noun, self.named(named, where, "name", both=False)

    def calls(self, nodes: list[Any], at: str) -> dict[int, Named]:
        """How the nodes that call name their callees, by the place of the node."""
        found = {}
        for index, node in enumerate(nodes):
            data = node.get("data") if isinstance(node, dict) else None
            if not isinstance(data, dict) or node.get("type") != RUN_WORKFLOW:
                continue
            if "workflow" not in data:
                continue
            where = below(at, "nodes", index, "data", "workflow")
            row = self.object(
                data["workflow"], where, "A workflow that is called", file_schema.CALL
            )
            if isinstance(data["workflow"], dict):
                found[index] = self.named(row, where, "title", both=False)
        return found

    def judge_trigger(self, trigger: str, data: dict[str, Any], at: str) -> None:
        try:
            guards.refuse_trigger(SimpleNamespace(trigger=trigger, trigger_data=data))
        except guards.InvalidTrigger as refusal:
            for problem in refusal.problems:
                self.report(at + problem.pointer, problem.detail)

    def judge_graph(self, source: dict[str, Any], at: str) -> None:
        try:
            parse(source, is_new=True)
        except WorkflowValidationError as refusal:
            for problem in refusal.problems:
                self.report(at + problem.pointer, problem.detail)


def _with_cuids(nodes: list[Any], calls: Mapping[int, Named]) -> list[Any]:
    # As a graph has it: the callee's cuid. Which one that is here, is found out later.
    return [
        {**node, "data": {**node["data"], "workflow": calls[index].cuid or "named"}}
        if index in calls
        else node
        for index, node in enumerate(nodes)
    ]
