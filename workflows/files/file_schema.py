"""What a file of workflows holds, and in which order its keys stand.

A file says the same as the database in another order of words: workflows by cuid, which is the
order in which they were made. Neither a new title nor a new call moves anything, so a small
change is a small diff.
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
"""In the data of a node, and in whatever it holds."""

FINDING, RECORD = "finding type", "record type"


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One thing that is wrong with a file: a JSON pointer, the line where there is one, why."""

    pointer: str
    line: int | None
    detail: str

    def __str__(self) -> str:
        places = [f"line {self.line}" if self.line else "", self.pointer]
        place = ", ".join(filter(None, places))
        return f"{place}: {self.detail}" if place else self.detail


class InvalidFile(Exception):
    """The file cannot be read, or what it names cannot be found; all problems at once."""

    def __init__(self, problems: list[FileProblem]) -> None:
        super().__init__("; ".join(map(str, problems[:3])))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Named:
    """A workflow or a type as a file names it: by cuid, by title or name, or both."""

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
    named: Named
    description: str


@dataclass(frozen=True, slots=True)
class WorkflowEntry:
    """A workflow in a file; a node that calls names its callee in ``calls``, by its place."""

    named: Named
    description: str
    state: str
    entity_name: str
    type_noun: str
    type_named: Named
    trigger: str
    trigger_data: dict[str, Any]
    source: dict[str, Any]
    calls: Mapping[int, Named]


@dataclass(frozen=True, slots=True)
class WorkflowFile:
    """A file that was read: sound by itself, and not yet compared with any database."""

    types: list[TypeEntry]
    workflows: list[WorkflowEntry]
    lines: Mapping[str, int] = field(default_factory=dict)
    """By pointer, where the text has it; empty where it was JSON."""

    def problem(self, pointer: str, detail: str) -> FileProblem:
        """What is wrong at this place."""
        return FileProblem(pointer, line_of(self.lines, pointer), detail)


def line_of(lines: Mapping[str, int], pointer: str) -> int | None:
    """The line of what a pointer leads to, or of the nearest that stands around it."""
    while pointer not in lines and pointer:
        pointer = pointer.rpartition("/")[0]
    return lines.get(pointer)


def in_order(row: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """The same with these keys first; the others follow by their names."""
    known = {key: row[key] for key in keys if key in row}
    return known | {key: row[key] for key in sorted(row) if key not in known}


def data_in_order(value: Any) -> Any:
    """The data of a node, ordered all the way down; lists stay as they are."""
    if isinstance(value, list):
        return [data_in_order(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: data_in_order(item) for key, item in in_order(value, DATA).items()}
