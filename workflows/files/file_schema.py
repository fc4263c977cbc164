"""The format of a workflow file: its keys, their order, and its entries.

Workflows are ordered by cuid, which is the order of their creation. A new title or a new call moves
nothing, so a small change makes a small diff.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FORMAT = "holdfast-workflows/1"

TOP = ("format", "finding_types", "record_types", "workflows")
TYPE = ("cuid", "name", "description")
NAMED_TYPE = ("name", "cuid")
CALL = ("title", "cuid")
WORKFLOW = (
    "cuid",
    "title",
    "description",
    "state",
    "entity_name",
    "entity_name_type",
    "primary_record_type",
    "trigger",
    "trigger_data",
    "nodes",
    "edges",
)
NODE = ("id", "type", "position", "data")
EDGE = ("id", "source", "sourceHandle", "target", "targetHandle")
DATA = ("name", "handle", "label", "title", "description", "type")
"""In the data of a node, at every level."""

FINDING, RECORD = "finding type", "record type"


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A problem in a file: a JSON pointer, the line if known, and a sentence."""

    pointer: str
    line: int | None
    detail: str

    def __str__(self) -> str:
        places = [f"line {self.line}" if self.line else "", self.pointer]
        place = ", ".join(filter(None, places))
        return f"{place}: {self.detail}" if place else self.detail


class InvalidFile(Exception):
    """The file cannot be read, or a name in it cannot be found; ``problems`` has all of them."""

    def __init__(self, problems: list[FileProblem]) -> None:
        super().__init__("; ".join(map(str, problems[:3])))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class NameRef:
    """The reference of a file to a workflow or type: by cuid, by title (or name), or both."""

    cuid: str | None
    title: str | None
    pointer: str

    def __str__(self) -> str:
        name = f"“{self.title}”" if self.title is not None else ""
        cuid = f"({self.cuid})" if name and self.cuid else self.cuid or ""
        return f"{name} {cuid}".strip()


@dataclass(frozen=True, slots=True)
class TypeEntry:
    """A finding type or a record type in a file."""

    noun: str
    ref: NameRef
    description: str


@dataclass(frozen=True, slots=True)
class WorkflowEntry:
    """A workflow in a file; ``calls`` has the callee of each calling node, by the node's index."""

    ref: NameRef
    description: str
    state: str
    entity_name: str
    type_noun: str
    type_ref: NameRef
    trigger: str
    trigger_data: dict[str, Any]
    source: dict[str, Any]
    calls: Mapping[int, NameRef]


@dataclass(frozen=True, slots=True)
class WorkflowFile:
    """A file that was read and is valid by itself; no database was consulted."""

    types: list[TypeEntry]
    workflows: list[WorkflowEntry]
    lines: Mapping[str, int] = field(default_factory=dict)
    """The line of each pointer; empty for JSON."""

    def problem(self, pointer: str, detail: str) -> FileProblem:
        """Return a problem at this place."""
        return FileProblem(pointer, find_line(self.lines, pointer), detail)


def find_line(lines: Mapping[str, int], pointer: str) -> int | None:
    """Return the line of a pointer, or of the nearest value around it."""
    while pointer not in lines and pointer:
        pointer = pointer.rpartition("/")[0]
    return lines.get(pointer)


def order_keys(row: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return a copy with these keys first and the others in alphabetical order."""
    known = {key: row[key] for key in keys if key in row}
    return known | {key: row[key] for key in sorted(row) if key not in known}


def order_data(value: Any) -> Any:
    """Return the data of a node with ordered keys at every level; lists keep their order."""
    if isinstance(value, list):
        return [order_data(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: order_data(item) for key, item in order_keys(value, DATA).items()}
