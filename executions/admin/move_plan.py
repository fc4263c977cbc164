"""The plan of moves for the pages of the admin: the choices, the mapping, the obstacles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _

from executions.admin.titles import execution_title
from executions.engine.joins import JOIN
from executions.engine.move_mapping import RESTART, mapping_key, read_mapping
from executions.models import FOR_PEOPLE, Execution
from executions.services import MoveResult
from executions.services.moving_many import plan_one
from executions.workflow_manager import graph_of
from workflows.admin.base.formatting import admin_url
from workflows.admin.graph_diagram import type_title
from workflows.db.json_values import checksum
from workflows.graph import START, Graph, Node
from workflows.models import Version
from workflows.refusals import Refusal

PLANNED = 50
"""The number of trees that a page plans before the operation is confirmed."""
LISTED_TREES = 10
"""The number of trees that a page lists with an obstacle."""
MAP = "map:"
AGAIN = "restart:"
MAX_DIGITS = 9


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


def write_options(options: Mapping[str, Any], **more: str) -> str:
    """Return the options, and further parameters, as a query that ``read_options`` can read."""
    found = {MAP + key: _choice(value) for key, value in options["mapping"].items()}
    if options["to"] is not None:
        found["version"] = str(options["to"])
    if options["retime"]:
        found["retime"] = "on"
    return urlencode({key: value for key, value in {**found, **more}.items() if value})


def _choice(value: Any) -> str:
    """Return the value of a mapping as the page sends it."""
    return AGAIN + value["node"] if isinstance(value, dict) else str(value)


@dataclass(slots=True)
class MappingRow:
    """A node of one workflow whose open steps, or arrivals at a join, continue at another node.

    ``stay``, ``nodes`` and ``again`` are the choices: the same node, nodes at which the steps can
    continue, and nodes which they can enter after they are closed.
    """

    key: str
    node_id: str
    label: str
    type_title: str
    workflow: str
    is_join: bool = False
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

    @property
    def target_id(self) -> str:
        """The node at which the steps continue."""
        return self.chosen.removeprefix(AGAIN) or self.node_id


@dataclass(slots=True)
class SharedObstacle:
    """An obstacle of some trees. ``trees`` are the titles and addresses of the first ones."""

    code: str
    reason: str
    remedy: str
    number: int = 0
    trees: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class PlannedWorkflow:
    """A workflow of the planned trees, with its versions before and after the move.

    ``rows`` are its open steps by node, ``before`` their numbers by version and node, ``after`` by
    the node after the move.
    """

    cuid: str
    title: str
    old: dict[int, Version] = field(default_factory=dict)
    new: Version | None = None
    rows: dict[str, MappingRow] = field(default_factory=dict)
    before: Counter[tuple[int, str]] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)


class MovePlans:
    """The plans for some trees of one workflow, summed up for a page.

    Args:
        picked: the key of a node that gets a row, even if no step is open there.
    """

    def __init__(
        self, roots: Iterable[Execution], options: Mapping[str, Any], picked: str = ""
    ) -> None:
        self.options = options
        self.plans = [plan_one(root, options) for root in roots]
        self.workflows: dict[str, PlannedWorkflow] = {}
        self.root = ""
        for moved in self.plans:
            self._add(moved)
        self._add_arrivals(picked)

    @property
    def rows(self) -> Iterator[MappingRow]:
        """The rows of all workflows, the root's first."""
        for workflow in self.workflows.values():
            yield from workflow.rows.values()

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
    def obstacles(self) -> Iterable[SharedObstacle]:
        """The obstacles, each with the trees that have it."""
        found: dict[tuple[str, str, str], SharedObstacle] = {}
        for moved in self.plans:
            row = moved.execution
            tree = execution_title(row), admin_url(Execution, "change", row.pk)
            for key in dict.fromkeys(
                (one.code, one.reason, one.remedy) for one in moved.plan.obstacles
            ):
                shared = found.setdefault(key, SharedObstacle(*key))
                shared.number += 1
                if len(shared.trees) < LISTED_TREES:
                    shared.trees.append(tree)
        return found.values()

    def _add(self, moved: MoveResult) -> None:
        if not moved.executions:
            return
        self.root = moved.execution.workflow.cuid
        members = {row.cuid: (row.workflow.cuid, old) for row, old, _new in moved.executions}
        for execution, old, new in moved.executions:
            workflow = self._workflow(execution)
            workflow.old.setdefault(old.pk, old)
            workflow.new = workflow.new or new
        for planned in moved.plan.steps:
            cuid, old = members[planned.execution]
            self._count(self.workflows[cuid], old, planned.step.node_id)
            self.workflows[cuid].after[planned.node.id] += 1
        for obstacle in moved.plan.obstacles:
            if obstacle.execution in members and obstacle.node is not None:
                cuid, old = members[obstacle.execution]
                row = self._count(self.workflows[cuid], old, obstacle.node)
                if obstacle.reason not in row.problems:
                    row.problems.append(obstacle.reason)

    def _workflow(self, execution: Execution) -> PlannedWorkflow:
        workflow = execution.workflow
        return self.workflows.setdefault(
            workflow.cuid, PlannedWorkflow(workflow.cuid, workflow.title)
        )

    def _count(self, workflow: PlannedWorkflow, old: Version, node_id: str) -> MappingRow:
        """Count an open step at this node, and return the row of the node."""
        workflow.before[old.pk, node_id] += 1
        if node_id not in workflow.rows:
            node = _node(_graph(old), node_id)
            row = self._new_row(workflow, node, node_id)
            _add_choices(row, node, _graph(workflow.new))
            workflow.rows[node_id] = row
        workflow.rows[node_id].number += 1
        return workflow.rows[node_id]

    def _new_row(self, workflow: PlannedWorkflow, node: Node | None, node_id: str) -> MappingRow:
        key = mapping_key(workflow.cuid, node_id, self.root)
        return MappingRow(
            key,
            node_id,
            node.label if node else node_id,
            type_title(node.type) if node else "",
            "" if workflow.cuid == self.root else workflow.title,
            is_join=node is not None and node.type == JOIN,
            chosen=_choice(self.options["mapping"].get(key, "")),
        )

    def _add_arrivals(self, picked: str) -> None:
        """Add rows for the nodes without open steps that the page maps: a join names its edges."""
        keys = {**self.options["mapping"], **({picked: ""} if picked else {})}
        for cuid, node_id in read_mapping(dict.fromkeys(keys, ""), self.root, self.workflows):
            workflow = self.workflows.get(cuid)
            if workflow is None or node_id in workflow.rows:
                continue
            found = (_node(_graph(version), node_id) for version in workflow.old.values())
            node = next(filter(None, found), None)
            graph = _graph(workflow.new)
            if node is None or graph is None:
                continue
            row = self._new_row(workflow, node, node_id)
            row.stay = str(_("Stay at this node"))
            row.nodes = [(one.id, _text(one)) for one in graph.nodes.values() if one.id != node_id]
            workflow.rows[node_id] = row


def _graph(version: Version | None) -> Graph | None:
    if version is None:
        return None
    try:
        return graph_of(version)
    except Refusal:
        return None


def _node(graph: Graph | None, node_id: str) -> Node | None:
    return None if graph is None else graph.nodes.get(node_id)


def _text(node: Node) -> str:
    return f"{node.label} ({type_title(node.type)})"


def _add_choices(row: MappingRow, node: Node | None, graph: Graph | None) -> None:
    if graph is None:
        return
    same = graph.nodes.get(row.node_id)
    wanted = {node.type} if node else set()
    if wanted & set(FOR_PEOPLE):
        wanted |= set(FOR_PEOPLE)
    is_start = node is not None and node.type == START
    if is_start or (same is not None and (not wanted or same.type in wanted)):
        row.stay = str(_("Stay at this node"))
    for one in graph.nodes.values():
        if one.type in wanted and one.id != row.node_id and not is_start:
            row.nodes.append((one.id, _text(one)))
        if one.type != START:
            row.again.append((AGAIN + one.id, _text(one)))
