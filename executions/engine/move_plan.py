"""The plan of a move: where each open step of a tree continues, and what prevents it.

It is pure: it compares graphs, and reads and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils.translation import gettext

from executions.engine.joins import JOIN
from executions.engine.move_mapping import Target, Targets, mapping_key
from executions.models import FOR_EACH, FOR_PEOPLE
from workflows.db.json_values import below
from workflows.graph import RUN_WORKFLOW, START, Graph, Node


@dataclass(frozen=True, slots=True)
class OpenStep:
    """An open step. ``arrivals`` are the edges of a join, ``children`` the live ones.

    ``absorbs`` are the edges over which a join that has continued still expects branches,
    ``continued`` those that it has used. ``is_waiting``: the join has no incident. ``is_loop``: the
    call has items (``for_each``), or it is the call of one item (``is_item``).
    """

    cuid: str
    node_id: str
    type: str
    label: str
    arrivals: tuple[Any, ...] | None = None
    absorbs: tuple[Any, ...] = ()
    continued: tuple[Any, ...] = ()
    is_waiting: bool = False
    children: tuple[str, ...] = ()
    is_loop: bool = False
    is_item: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """A live execution of the tree, with its graphs before and after the move.

    ``old`` is None if the stored graph is damaged, ``new`` if the target calls the workflow no
    more. ``parent`` is the execution that called it.
    """

    cuid: str
    workflow: str
    title: str
    old: Graph | None
    new: Graph | None
    steps: Sequence[OpenStep]
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """An open step with its present and its new node.

    ``restart``: it is closed, and the new node is entered. ``arrivals``, ``absorbs`` and
    ``continued`` are those of a join in the new graph.
    """

    step: OpenStep
    execution: str
    workflow: str
    node: Node
    restart: bool = False
    arrivals: tuple[Any, ...] | None = None
    absorbs: tuple[Any, ...] = ()
    continued: tuple[Any, ...] = ()

    @property
    def stays(self) -> bool:
        """True if the step stays at a node of the same id and type."""
        same = self.step.node_id == self.node.id and self.step.type == self.node.type
        return same and not self.restart


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A reason why a tree cannot be moved, and a remedy. ``pointer`` names the field."""

    code: str
    reason: str
    remedy: str
    pointer: str = ""
    execution: str | None = None
    step: str | None = None
    node: str | None = None


@dataclass(slots=True)
class MovePlan:
    """The steps that are kept, those that continue at another node, and the obstacles.

    ``cancelled`` are the executions whose calling step begins again.
    """

    kept: list[PlannedStep] = field(default_factory=list)
    mapped: list[PlannedStep] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)

    @property
    def steps(self) -> list[PlannedStep]:
        """All planned steps."""
        return [*self.kept, *self.mapped]


def plan_steps(members: Sequence[Member], mapped: Targets) -> MovePlan:
    """Return the plan for the live executions of a tree, parents before their children."""
    plan, root = MovePlan(), members[0].workflow
    workflows = {member.cuid: member.workflow for member in members}
    plan.obstacles += _find_wrong_targets(members, mapped, root)
    for member in members:
        if member.parent in plan.cancelled:
            plan.cancelled.add(member.cuid)
        if member.cuid in plan.cancelled:
            continue
        own: list[PlannedStep] = []
        for step in member.steps:
            planner = _Planner(member, step, mapped, root, workflows)
            planned = planner.plan()
            plan.obstacles += planner.obstacles
            if planned is None:
                continue
            own.append(planned)
            (plan.kept if planned.stays else plan.mapped).append(planned)
            if planned.restart:
                plan.cancelled.update(step.children)
        plan.obstacles += _find_shared_joins(member, own)
    return plan


def _find_wrong_targets(
    members: Sequence[Member], mapped: Targets, root: str
) -> Iterator[Obstacle]:
    """Yield the entries of a mapping that name a node which the graph lacks."""
    for (workflow, node_id), target in mapped.items():
        key = mapping_key(workflow, node_id, root)
        pointer = below("/mapping", key)
        of_workflow = [member for member in members if member.workflow == workflow]
        olds = [member.old for member in of_workflow if member.old is not None]
        if olds and not any(node_id in old.nodes for old in olds):
            yield Obstacle(
                "unknown_node",
                gettext("The version that runs now has no node “{node}”.").format(node=node_id),
                gettext("Remove “{node}” from the mapping, or correct it.").format(node=key),
                pointer,
                node=node_id,
            )
        news = [member.new for member in of_workflow if member.new is not None]
        if news and not any(target.node_id in new.nodes for new in news):
            yield Obstacle(
                "unknown_target",
                gettext("The new version has no node “{node}”.").format(node=target.node_id),
                gettext("Name a node of the new version as the target of “{node}”.").format(
                    node=key
                ),
                pointer,
                node=node_id,
            )


class _Planner:
    """The plan of one open step."""

    def __init__(
        self, member: Member, step: OpenStep, mapped: Targets, root: str, workflows: dict[str, str]
    ) -> None:
        self.member = member
        self.step = step
        self.mapped = mapped
        self.workflows = workflows
        self.obstacles: list[Obstacle] = []
        self.key = mapping_key(member.workflow, step.node_id, root)

    def plan(self) -> PlannedStep | None:
        """Return the planned step, or None after noting an obstacle."""
        graph = self.member.new
        if graph is None:
            self._note(
                "not_called",
                gettext("The new version no longer calls “{title}”.").format(
                    title=self.member.title
                ),
                gettext("Let the step that called it begin again, or finish the child first."),
            )
            return None
        target = self._target(graph)
        node = graph.nodes.get(target.node_id)
        if node is None:
            if (self.member.workflow, self.step.node_id) not in self.mapped:
                self._note(
                    "no_target",
                    gettext("The new version has no node “{node}”.").format(node=target.node_id),
                    gettext("Map “{key}” to a node of the new version.").format(key=self.key),
                )
            return None
        if target.restart:
            return self._planned(node, restart=True)
        if not _may_continue(self.step.type, node.type):
            self._note(
                "other_type",
                gettext(
                    "“{label}” is a step of type {type}, but “{node}” has the type {other}."
                ).format(
                    label=self.step.label, type=self.step.type, node=node.label, other=node.type
                ),
                gettext(
                    "Map “{key}” to a node of type {type}, or let the step begin again."
                ).format(key=self.key, type=self.step.type),
            )
            return None
        return self._planned(node) if self._calls_same(node) else None

    def _target(self, graph: Graph) -> Target:
        named = self.mapped.get((self.member.workflow, self.step.node_id))
        if named is not None:
            return named
        # A graph has one start node, with any id.
        return Target(graph.start.id if self.step.type == START else self.step.node_id)

    def _calls_same(self, node: Node) -> bool:
        """Return True if the live children run the workflow that the new node calls."""
        if node.type != RUN_WORKFLOW:
            return True
        if self.step.is_loop != (FOR_EACH in node.data):
            self._note(
                "other_items",
                gettext("Only one of the two nodes calls a workflow for each item of a list.")
                + " "
                + gettext("The new node is “{node}”.").format(node=node.label),
                gettext("Let the step begin again: its children are cancelled."),
            )
            return False
        callee = node.data.get("workflow")
        if all(self.workflows.get(child, callee) == callee for child in self.step.children):
            return True
        self._note(
            "other_callee",
            gettext("“{node}” calls another workflow than the one that runs now.").format(
                node=node.label
            ),
            gettext("Let the step begin again: its child is cancelled. Or finish the child first."),
        )
        return False

    def _planned(self, node: Node, *, restart: bool = False) -> PlannedStep | None:
        step, member = self.step, self.member
        planned = PlannedStep(step, member.cuid, member.workflow, node, restart)
        if step.arrivals is None or restart:
            return planned
        arrivals = self._translate(step.arrivals, node)
        absorbs = self._translate(step.absorbs, node)
        if arrivals is None or absorbs is None:
            return None
        # Branches that have gone on need no edge any more: None is an unknown edge.
        continued = tuple(self._find_edge(name, node) for name in step.continued)
        return replace(planned, arrivals=arrivals, absorbs=absorbs, continued=continued)

    def _translate(self, names: Iterable[Any], join: Node) -> tuple[Any, ...] | None:
        """Return the names of edges into the join in the new graph, or None if one is lost."""
        found = {repr(name): self._find_edge(name, join) for name in names if name is not None}
        lost = [name for name in names if name is not None and found[repr(name)] is None]
        for name in lost:
            self._note_lost(name)
        return None if lost else tuple(name and found[repr(name)] for name in names)

    def _renamed(self, name: Any) -> tuple[str, list[Any]]:
        """Return the source of an edge in the new graph, and the rest of its name."""
        source, *rest = name if isinstance(name, list) else [name]
        renamed = self.mapped.get((self.member.workflow, source))
        return renamed.node_id if renamed is not None else source, rest

    def _find_edge(self, name: Any, join: Node) -> Any:
        """Return the name of an edge into the join in the new graph; None if it has none."""
        if name is None:
            return None
        graph = self.member.new
        assert graph is not None
        source, rest = self._renamed(name)
        wanted = [source, *rest] if rest else source
        edges = [edge for edge in graph.incoming(join.id) if edge.source == source]
        if any(repr(edge.name) == repr(wanted) for edge in edges):
            return wanted
        return edges[0].name if len(edges) == 1 else None

    def _note_lost(self, name: Any) -> None:
        source, _ = self._renamed(name)
        self._note(
            "lost_arrival",
            gettext(
                "A branch arrives at “{label}” from “{source}”, but the new version has no "
                "such edge."
            ).format(label=self.step.label, source=source),
            gettext(
                "Map “{source}” to the node from which this branch arrives in the new version, or "
                "let the join begin again."
            ).format(source=source),
        )

    def _note(self, code: str, reason: str, remedy: str) -> None:
        pointer = below("/mapping", self.key)
        self.obstacles.append(
            Obstacle(
                code,
                reason,
                remedy,
                pointer,
                self.member.cuid,
                self.step.cuid,
                self.step.node_id,
            )
        )


def _may_continue(old: str, new: str) -> bool:
    return old == new or (old in FOR_PEOPLE and new in FOR_PEOPLE)


def _find_shared_joins(member: Member, steps: Iterable[PlannedStep]) -> Iterator[Obstacle]:
    """Yield the waiting joins that would share a node: only one of them would be released."""
    waiting: dict[str, PlannedStep] = {}
    for planned in steps:
        if planned.restart or planned.node.type != JOIN or not planned.step.is_waiting:
            continue
        first = waiting.setdefault(planned.node.id, planned)
        if first is not planned:
            yield Obstacle(
                "join_not_released",
                gettext(
                    "“{one}” and “{other}” would both wait at “{node}”, and only one of them "
                    "would continue."
                ).format(one=first.step.label, other=planned.step.label, node=planned.node.label),
                gettext("Map the two joins to two joins, or let one of them begin again."),
                "/mapping",
                member.cuid,
                planned.step.cuid,
                planned.step.node_id,
            )
