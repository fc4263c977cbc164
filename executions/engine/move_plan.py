"""The plan of a move: where each open step of a tree continues, and what prevents it.

It is pure: it compares graphs, and reads and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext

from executions.engine.joins import JOIN
from executions.engine.move_mapping import Mapped, Target, mapping_key
from executions.models import FOR_EACH, FOR_PEOPLE
from workflows.db.json_values import below
from workflows.graph import RUN_WORKFLOW, START, Graph, Node


@dataclass(frozen=True, slots=True)
class OpenStep:
    """An open step. ``arrivals`` are the edges of a waiting join, ``children`` the live ones.

    ``is_loop``: the call has items (``for_each``), or it is the call of one item (``is_item``).
    """

    cuid: str
    node_id: str
    type: str
    label: str
    arrivals: tuple[Any, ...] | None = None
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

    ``restart``: it is closed, and the new node is entered. ``arrivals`` are those of a waiting
    join in the new graph.
    """

    step: OpenStep
    execution: str
    workflow: str
    node: Node
    restart: bool = False
    arrivals: tuple[Any, ...] | None = None

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


def plan_steps(members: Sequence[Member], mapped: Mapped) -> MovePlan:
    """Return the plan for the live executions of a tree, parents before their children."""
    plan, root = MovePlan(), members[0].workflow
    workflows = {member.cuid: member.workflow for member in members}
    plan.obstacles += _find_wrong_targets(members, mapped, root)
    for member in members:
        if member.parent in plan.cancelled:
            plan.cancelled.add(member.cuid)
        if member.cuid in plan.cancelled:
            continue
        found = [_Planner(member, step, mapped, root, workflows) for step in member.steps]
        for planner in found:
            planned = planner.plan()
            plan.obstacles += planner.obstacles
            if planned is None:
                continue
            (plan.kept if planned.stays else plan.mapped).append(planned)
            if planned.restart:
                plan.cancelled.update(planner.step.children)
        plan.obstacles += _find_shared_joins(member, plan)
    return plan


def _find_wrong_targets(members: Sequence[Member], mapped: Mapped, root: str) -> Iterator[Obstacle]:
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
        self, member: Member, step: OpenStep, mapped: Mapped, root: str, workflows: dict[str, str]
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
        arrivals = None
        if self.step.arrivals is not None and not restart:
            found = [self._translate(name, node) for name in self.step.arrivals]
            if any(is_lost for _, is_lost in found):
                return None
            arrivals = tuple(name for name, _ in found)
        member = self.member
        return PlannedStep(self.step, member.cuid, member.workflow, node, restart, arrivals)

    def _translate(self, name: Any, join: Node) -> tuple[Any, bool]:
        """Return the name of an edge into the join in the new graph, and True if it has none."""
        graph = self.member.new
        assert graph is not None
        if name is None:
            return None, False
        source, *rest = name if isinstance(name, list) else [name]
        renamed = self.mapped.get((self.member.workflow, source))
        source = renamed.node_id if renamed is not None else source
        wanted = [source, *rest] if rest else source
        edges = [edge for edge in graph.incoming(join.id) if edge.source == source]
        if any(repr(edge.name) == repr(wanted) for edge in edges):
            return wanted, False
        if len(edges) == 1:
            return edges[0].name, False
        self._note(
            "lost_arrival",
            gettext(
                "A branch has arrived at “{label}” from “{source}”, but the new version has no "
                "such edge."
            ).format(label=self.step.label, source=source),
            gettext(
                "Map “{source}” to the node from which this branch arrives in the new version, or "
                "let the join begin again."
            ).format(source=source),
        )
        return name, True

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


def _find_shared_joins(member: Member, plan: MovePlan) -> Iterator[Obstacle]:
    """Yield the waiting joins that would share a node: only one of them would be released."""
    waiting: dict[str, PlannedStep] = {}
    for planned in plan.steps:
        if planned.execution != member.cuid or planned.restart:
            continue
        if planned.node.type != JOIN or planned.step.arrivals is None:
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
