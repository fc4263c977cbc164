"""Reading of a workflow file: its entries, or all of its problems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from workflows import guards, trigger_types
from workflows.db.cuid import LENGTH
from workflows.db.json_values import below, find_unstorable, json_type, quoted
from workflows.files import file_schema, text_formats
from workflows.files.file_schema import (
    FileProblem,
    InvalidFile,
    NameRef,
    TypeEntry,
    WorkflowEntry,
    WorkflowFile,
    find_line,
)
from workflows.graph import RUN_WORKFLOW, WorkflowValidationError, normalize, parse
from workflows.models import EntityName, Workflow
from workflows.values.name_folding import fold_name

_CUID = re.compile(rf"[A-Za-z0-9_-]{{1,{LENGTH}}}")
_TYPE_WORDS: Mapping[type, str] = {str: "text", list: "a list", dict: "an object"}
_TYPE_KEYS = {
    EntityName.FINDING.value: ("entity_name_type", file_schema.FINDING),
    EntityName.INVENTORY_MODEL.value: ("primary_record_type", file_schema.RECORD),
}


def read_file(raw: bytes) -> WorkflowFile:
    """Return the entries of a file.

    Raises:
        InvalidFile: the text is not YAML or JSON, has unknown keys, lacks required ones, or has a
            graph that could not be saved.
    """
    data, lines = text_formats.parse(raw)
    reader = _Reader(lines)
    found = reader.read_entries(data)
    if reader.problems:
        raise InvalidFile(reader.problems)
    return found


class _Reader:
    """Reads one file; each method reads the value at the pointer ``at`` and collects problems."""

    def __init__(self, lines: Mapping[str, int]) -> None:
        self.lines = lines
        self.problems: list[FileProblem] = []

    def report(self, at: str, detail: str) -> None:
        self.problems.append(FileProblem(at, find_line(self.lines, at), detail))

    # Values

    def read_value(self, row: Mapping[str, Any], key: str, at: str, wanted: type) -> Any:
        """Return the value of this key; report a missing or mistyped value, return an empty one."""
        if key not in row:
            self.report(at, f"'{key}' is missing.")
        elif not isinstance(row[key], wanted):
            given = json_type(row[key])
            self.report(below(at, key), f"'{key}' must be {_TYPE_WORDS[wanted]}, not {given}.")
        else:
            return row[key]
        return wanted()

    def read_object(self, value: Any, at: str, noun: str, known: tuple[str, ...]) -> dict[str, Any]:
        """Return an object and report unknown keys; return an empty one for other values."""
        if not isinstance(value, dict):
            self.report(at, f"{noun} must be an object, not {json_type(value)}.")
            return {}
        for key in value:
            if key not in known:
                detail = f"Unknown key {quoted(key)}. Allowed: {', '.join(known)}."
                self.report(below(at, key), detail)
        return value

    def read_choice(self, row: Mapping[str, Any], key: str, at: str, known: list[str]) -> str:
        value: str = self.read_value(row, key, at, str)
        if value and value not in known:
            detail = f"'{key}' must be one of {', '.join(known)}, not {quoted(value)}."
            self.report(below(at, key), detail)
        elif not value and isinstance(row.get(key), str):
            self.report(below(at, key), f"'{key}' must be one of {', '.join(known)}.")
        return value

    def read_description(self, row: Mapping[str, Any], at: str) -> str:
        text: str = self.read_value(row, "description", at, str) if "description" in row else ""
        return text

    def read_ref(self, row: Mapping[str, Any], at: str, title: str, *, both: bool) -> NameRef:
        """Return a reference by cuid and title (or name); with ``both``, the title is required."""
        cuid, text = None, None
        if row.get("cuid") is not None:
            cuid = self.read_value(row, "cuid", at, str)
            if cuid and not _CUID.fullmatch(cuid):
                detail = f"{quoted(cuid)} is not a cuid: up to {LENGTH} letters and digits."
                self.report(below(at, "cuid"), detail)
        if title in row or both:
            text = self.read_value(row, title, at, str)
            if title in row and isinstance(row[title], str) and not text.strip():
                self.report(below(at, title), f"'{title}' is empty.")
            elif len(text) > 200:
                self.report(below(at, title), f"'{title}' is longer than 200 characters.")
        if not cuid and text is None:
            self.report(at, f"Set '{title}' or 'cuid'.")
        return NameRef(cuid or None, text, at)

    # Entries

    def read_entries(self, data: Any) -> WorkflowFile:
        if isinstance(data, dict) and data.get("format") != file_schema.FORMAT:
            given = quoted(data["format"]) if "format" in data else "missing"
            detail = f"The 'format' is {given}. Supported: {quoted(file_schema.FORMAT)}."
            self.report("/format" if "format" in data else "", detail)
            return WorkflowFile([], [])
        top = self.read_object(data, "", "A workflow file", file_schema.TOP)
        for pointer, detail in find_unstorable(top):
            self.report(pointer, detail)
        if self.problems:
            return WorkflowFile([], [])
        types = [
            self.read_type(row, below("", key, index), noun)
            for key, noun in (
                ("finding_types", file_schema.FINDING),
                ("record_types", file_schema.RECORD),
            )
            if key in top
            for index, row in enumerate(self.read_value(top, key, "", list))
        ]
        rows = self.read_value(top, "workflows", "", list)
        workflows = [
            self.read_workflow(row, below("/workflows", index)) for index, row in enumerate(rows)
        ]
        self.check_unique([entry.ref for entry in types], "types", names=True)
        self.check_unique([entry.ref for entry in workflows], "workflows", names=False)
        return WorkflowFile(types, workflows, self.lines)

    def check_unique(self, rows: list[NameRef], noun: str, *, names: bool) -> None:
        cuids: set[str] = set()
        titles: set[tuple[str, str]] = set()
        for row in rows:
            if row.cuid and row.cuid in cuids:
                detail = f"Two {noun} of the file have the cuid {quoted(row.cuid)}."
                self.report(row.pointer, detail)
            cuids |= {row.cuid} if row.cuid else set()
            of_section = (row.pointer.split("/")[1], fold_name(row.title or ""))
            if names and of_section in titles:
                self.report(
                    row.pointer,
                    f"Two {noun} of the file have the name “{row.title}”. Names that differ only in"
                    " case, invisible characters or Unicode form count as equal.",
                )
            titles.add(of_section)

    def read_type(self, value: Any, at: str, noun: str) -> TypeEntry:
        row = self.read_object(value, at, f"A {noun}", file_schema.TYPE)
        if not isinstance(value, dict):
            return TypeEntry(noun, NameRef(None, None, at), "")
        ref = self.read_ref(row, at, "name", both=True)
        return TypeEntry(noun, ref, self.read_description(row, at))

    def read_workflow(self, value: Any, at: str) -> WorkflowEntry:
        row = self.read_object(value, at, "A workflow", file_schema.WORKFLOW)
        if not isinstance(value, dict):
            nothing = NameRef(None, None, at)
            return WorkflowEntry(nothing, "", "", "", "", nothing, "", {}, {}, {})
        known = len(self.problems)
        ref = self.read_ref(row, at, "title", both=True)
        description = self.read_description(row, at)
        state = self.read_choice(row, "state", at, list(Workflow.State.values))
        entity_name = self.read_choice(row, "entity_name", at, list(_TYPE_KEYS))
        noun, type_ref = self.read_entity_type(row, entity_name, at)
        trigger = self.read_choice(row, "trigger", at, list(Workflow.Trigger.values))
        trigger_data = (
            self.read_value(row, "trigger_data", at, dict) if "trigger_data" in row else {}
        )
        nodes = self.read_value(row, "nodes", at, list)
        edges = self.read_value(row, "edges", at, list)
        sound = len(self.problems) == known
        calls = self.read_calls(nodes, at)
        source = {"nodes": _with_cuids(nodes, calls), "edges": edges}
        if sound and len(self.problems) == known:
            self.check_trigger(trigger, trigger_data, at)
            self.check_graph(source, at)
        if len(self.problems) == known:
            # The stored form, so that a file with the same content changes nothing.
            trigger_data = trigger_types.normalize(trigger, trigger_data)
            source = normalize(source)
        return WorkflowEntry(
            ref,
            description,
            state,
            entity_name,
            noun,
            type_ref,
            trigger,
            trigger_data,
            source,
            calls,
        )

    def read_entity_type(
        self, row: Mapping[str, Any], entity_name: str, at: str
    ) -> tuple[str, NameRef]:
        key, noun = _TYPE_KEYS.get(entity_name, _TYPE_KEYS[EntityName.FINDING.value])
        other = next(name for name, _ in _TYPE_KEYS.values() if name != key)
        if entity_name in _TYPE_KEYS and row.get(other) is not None:
            detail = f"A workflow for '{entity_name}' has '{key}', not '{other}'."
            self.report(below(at, other), detail)
        if entity_name not in _TYPE_KEYS:
            return noun, NameRef(None, None, at)
        if key not in row:
            self.report(at, f"'{key}' is missing.")
            return noun, NameRef(None, None, at)
        where = below(at, key)
        named = self.read_object(row[key], where, f"A {noun}", file_schema.NAMED_TYPE)
        if not isinstance(row[key], dict):
            return noun, NameRef(None, None, where)
        return noun, self.read_ref(named, where, "name", both=False)

    def read_calls(self, nodes: list[Any], at: str) -> dict[int, NameRef]:
        """Return the references to callees, by the index of the calling node."""
        found = {}
        for index, node in enumerate(nodes):
            data = node.get("data") if isinstance(node, dict) else None
            if not isinstance(data, dict) or node.get("type") != RUN_WORKFLOW:
                continue
            if "workflow" not in data:
                continue
            where = below(at, "nodes", index, "data", "workflow")
            row = self.read_object(
                data["workflow"], where, "The reference to a workflow", file_schema.CALL
            )
            if isinstance(data["workflow"], dict):
                found[index] = self.read_ref(row, where, "title", both=False)
        return found

    def check_trigger(self, trigger: str, data: dict[str, Any], at: str) -> None:
        try:
            guards.refuse_trigger(SimpleNamespace(trigger=trigger, trigger_data=data))
        except guards.InvalidTrigger as refusal:
            for problem in refusal.problems:
                self.report(at + problem.pointer, problem.detail)

    def check_graph(self, source: dict[str, Any], at: str) -> None:
        try:
            parse(source, is_new=True)
        except WorkflowValidationError as refusal:
            for problem in refusal.problems:
                self.report(at + problem.pointer, problem.detail)


def _with_cuids(nodes: list[Any], calls: Mapping[int, NameRef]) -> list[Any]:
    # A graph has the callee's cuid; the plan of the import replaces it by the one in the database.
    return [
        {**node, "data": {**node["data"], "workflow": calls[index].cuid or "named"}}
        if index in calls
        else node
        for index, node in enumerate(nodes)
    ]
