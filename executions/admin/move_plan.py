"""The plan of moves for the pages of the admin: the choices, the mapping, the obstacles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from executions.admin.titles import execution_title
from executions.engine.move_mapping import RESTART, mapping_key
from executions.models import FOR_PEOPLE, Execution
from executions.services import MoveResult
from executions.services.moving_many import plan_one
from executions.workflow_manager import graph_of
from workflows.admin.base.formatting import admin_url
from workflows.admin.graph_diagram import Mark, build_diagram, render_diagram, type_title
from workflows.db.json_values import checksum
from workflows.graph import START, Graph, Node
from workflows.models import Version
from workflows.refusals import Refusal

PLANNED = 50
"""The number of trees that a page plans before the operation is confirmed."""
MAP = "map:"
AGAIN = "restart:"
MAX_DIGITS = 9

MemberVersions = tuple[Execution, Version, Version | None]
"""An execution with its present and its new version."""


def read_options(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a move that a page has sent; the plan checks them."""
    number = str(data.get("version", ""))
    mapping: dict[str, Any] = {}
    for name in data:
        value = str(data[name])
        if not name.startswith(MAP) or not value:
            continue
        again = value.startswith(AGAIN)
        node = value.removeprefix(AGAIN) if again else value
        mapping[name.removeprefix(MAP)] = {"node": node, RESTART: True} if again else node
    is_number = number.isdecimal() and len(number) <= MAX_DIGITS
    return {
        "to": int(number) if is_number else None,
        "mapping": mapping,
        "retime": data.get("retime") == "on",
    }


@dataclass(slots=True)
class MappingRow:
    """The open steps at one node of one workflow, and the choices for the new node."""

    key: str
    label: str
    type_title: str
    workflow: str
    number: int = 0
    chosen: str = ""
    problems: list[str] = field(default_factory=list)
    stay: str = ""
    nodes: list[tuple[str, str]] = field(default_factory=list)
    again: list[tuple[str, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the field."""
        return MAP + self.key


@dataclass(frozen=True, slots=True)
class RefusedTree:
    """A tree that cannot be moved, with its obstacles."""

    title: str
    url: str
    obstacles: list[Any]


class MovePlans:
    """The plans for some trees of one workflow, summed up for a page."""

    def __init__(self, roots: Iterable[Execution], options: Mapping[str, Any]) -> None:
        self.options = options
        self.plans = [plan_one(root, options) for root in roots]
        self.rows: dict[tuple[str, str], MappingRow] = {}
        self.target: Counter[str] = Counter()
        self.old: Version | None = None
        self.new: Version | None = None
        for moved in self.plans:
            self._add(moved)

    @property
    def token(self) -> str:
        """The token of the page: what was chosen, and the plan if there is only one."""
        single = self.plans[0].token if len(self.plans) == 1 else ""
        return checksum(single, dict(self.options))

    @property
    def movable(self) -> int:
        """The number of planned trees without an obstacle."""
        return sum(not moved.plan.obstacles for moved in self.plans)

    @property
    def refused(self) -> list[RefusedTree]:
        """The planned trees with obstacles."""
        return [
            RefusedTree(
                execution_title(moved.execution),
                admin_url(Execution, "change", moved.execution.pk),
                moved.plan.obstacles,
            )
            for moved in self.plans
            if moved.plan.obstacles
        ]

    def _add(self, moved: MoveResult) -> None:
        if not moved.executions:
            return
        root = moved.execution.workflow.cuid
        self.old, self.new = self.old or moved.executions[0][1], self.new or moved.version
        members = {row.cuid: (row, old, new) for row, old, new in moved.executions}
        for planned in moved.plan.steps:
            row = self._row(members[planned.execution], planned.step.node_id, root)
            row.number += 1
            if planned.workflow == root:
                self.target[planned.node.id] += 1
        for obstacle in moved.plan.obstacles:
            if obstacle.execution in members and obstacle.node is not None:
                row = self._row(members[obstacle.execution], obstacle.node, root)
                row.number += obstacle.step is not None
                if obstacle.reason not in row.problems:
                    row.problems.append(obstacle.reason)

    def _row(self, member: MemberVersions, node_id: str, root: str) -> MappingRow:
        execution, old, new = member
        place = (execution.workflow.cuid, node_id)
        if place not in self.rows:
            key = mapping_key(*place, root)
            node = _node(_graph(old), node_id)
            found = MappingRow(
                key,
                node.label if node else node_id,
                type_title(node.type) if node else "",
                "" if execution.workflow.cuid == root else execution.workflow.title,
            )
            _add_choices(found, node, node_id, _graph(new))
            value = self.options["mapping"].get(key, "")
            found.chosen = AGAIN + value["node"] if isinstance(value, dict) else value
            self.rows[place] = found
        return self.rows[place]

    def diagrams(self) -> Iterator[tuple[str, SafeString | None]]:
        """Yield the graphs of the root before and after the move, each with its title."""
        if self.old is None or self.new is None:
            return
        before = Counter(
            {key: row.number for (_, key), row in self.rows.items() if not row.workflow}
        )
        sides = (("before", self.old, before), ("after", self.new, self.target))
        for key, version, counts in sides:
            title = gettext("Version %(number)s") % {"number": version.number}
            diagram = build_diagram(
                version.source,
                marks={node: [_mark(number)] for node, number in counts.items() if number},
                states={node: ("here", gettext("Current step")) for node in counts},
            )
            yield title, render_diagram(diagram, title, key)


def _mark(number: int) -> Mark:
    text = ngettext("%(number)s open step", "%(number)s open steps", number)
    return Mark(str(number), text % {"number": number})


def _graph(version: Version | None) -> Graph | None:
    if version is None:
        return None
    try:
        return graph_of(version)
    except Refusal:
        return None


def _node(graph: Graph | None, node_id: str) -> Node | None:
    return None if graph is None else graph.nodes.get(node_id)


def _add_choices(row: MappingRow, node: Node | None, node_id: str, graph: Graph | None) -> None:
    if graph is None:
        return
    same = graph.nodes.get(node_id)
    wanted = {node.type} if node else set()
    if wanted & set(FOR_PEOPLE):
        wanted |= set(FOR_PEOPLE)
    is_start = node is not None and node.type == START
    if is_start or (same is not None and (not wanted or same.type in wanted)):
        row.stay = str(_("Stay at this node"))
    for one in graph.nodes.values():
        text = f"{one.label} ({type_title(one.type)})"
        if one.type in wanted and one.id != node_id and not is_start:
            row.nodes.append((one.id, text))
        if one.type != START:
            row.again.append((AGAIN + one.id, text))
