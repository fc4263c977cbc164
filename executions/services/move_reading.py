"""Reading the tree that is to be moved: under its locks, or without them for a plan."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import QuerySet

from executions.engine import joins
from executions.engine.for_each import is_call, item_of
from executions.engine.move_plan import Member, OpenStep, PlannedStep
from executions.models import LIVE, Entity, Execution, Step, StepState
from executions.services.advancing import lock_entity, lock_execution
from executions.services.move_destination import Destination
from executions.workflow_manager import graph_of
from workflows.graph import Graph, Node
from workflows.guards import RowDeleted
from workflows.models import Version
from workflows.refusals import Refusal


@dataclass(slots=True)
class LiveTree:
    """A root with its live descendants and their open steps.

    ``rows`` are the open steps by their cuid, ``graphs`` the present graphs by the cuid of the
    execution, ``pinned`` the numbers of the pinned versions by the cuid of the callee.
    """

    root: Execution
    children: list[Execution]
    entity: Entity
    rows: dict[str, Step]
    pinned: dict[str, int]
    graphs: dict[str, Graph | None] = field(default_factory=dict)

    @property
    def executions(self) -> list[Execution]:
        """The root and its live descendants, parents first."""
        return [self.root, *self.children]

    def old_node(self, planned: PlannedStep) -> Node | None:
        """Return the node of a step before the move, if its graph can be read."""
        graph = self.graphs.get(planned.execution)
        return None if graph is None else graph.nodes.get(planned.step.node_id)


def lock_live_tree(execution: Execution) -> LiveTree:
    """Lock a root, its live descendants and its entity, and read them.

    Raises:
        RowDeleted: the root has been deleted.
    """
    root, _ = lock_execution(execution)
    rows = Execution._base_manager.select_for_update(of=("self",), no_key=True)
    children = _read_children(rows, root)
    return _with_steps(root, children, lock_entity(root.entity_id))


def read_live_tree(execution: Execution) -> LiveTree:
    """Read what ``lock_live_tree`` locks, for a plan, which must not block those who work on it.

    Raises:
        RowDeleted: the root has been deleted.
    """
    rows = Execution._base_manager.select_related("version", "workflow", "entity")
    root = rows.defer("version__source", "passed").filter(pk=execution.pk).first()
    if root is None:
        raise RowDeleted(f"The execution {execution.cuid} has been deleted.")
    # After the root: each change in the tree writes its time, which is part of the token.
    return _with_steps(root, _read_children(Execution._base_manager.all(), root), root.entity)


def _read_children(rows: QuerySet[Execution], root: Execution) -> list[Execution]:
    below = rows.filter(root=root, status__in=LIVE).select_related("version", "workflow")
    return list(below.defer("version__source", "passed").order_by("pk"))


def _with_steps(root: Execution, children: list[Execution], entity: Entity) -> LiveTree:
    ids = [root.pk, *(row.pk for row in children)]
    steps = Step.objects.open().filter(execution__in=ids).order_by("pk")
    rows_by_cuid = {row.cuid: row for row in steps}
    pinned = dict(root.pins.values_list("callee__cuid", "version__number"))
    return LiveTree(root, children, entity, rows_by_cuid, pinned)


def read_members(tree: LiveTree, destination: Destination) -> list[Member]:
    """Return the tree as the plan takes it, with its graphs before and after the move."""
    parents = {row.pk: row.cuid for row in tree.executions}
    live = {row.pk: row.cuid for row in tree.children}
    steps: dict[int, list[OpenStep]] = {row.pk: [] for row in tree.executions}
    for step in tree.rows.values():
        steps[step.execution_id].append(_open_step(step, live))
    found = []
    for row in tree.executions:
        tree.graphs[row.cuid] = _read_graph(row.version)
        version = destination.version_of(row.workflow_id)
        found.append(
            Member(
                row.cuid,
                row.workflow.cuid,
                row.workflow.title,
                tree.graphs[row.cuid],
                None if version is None else graph_of(version),
                steps[row.pk],
                None if row.parent_id is None else parents.get(row.parent_id),
            )
        )
    return found


def _read_graph(version: Version) -> Graph | None:
    try:
        return graph_of(version)
    except Refusal:
        # check_integrity reports it. A move is a way off a damaged version.
        return None


def _open_step(step: Step, live: dict[int, str]) -> OpenStep:
    is_join, is_item = step.type == joins.JOIN, item_of(step) is not None
    return OpenStep(
        step.cuid,
        step.node_id,
        step.type,
        step.label or step.node_id,
        # A join with an incident merges its arrivals with those of others when it is retried.
        arrivals=tuple(joins.arrivals(step)) if is_join else None,
        absorbs=tuple(joins.stored_edges(step, joins.ABSORBS)) if is_join else (),
        continued=tuple(joins.stored_edges(step, joins.CONTINUED)) if is_join else (),
        is_waiting=is_join and step.state == StepState.OPEN,
        children=(live[step.child_id],) if step.child_id in live else (),
        is_loop=is_item or is_call(step),
        is_item=is_item,
    )
