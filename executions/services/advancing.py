"""What every service on an execution begins with: its locks, and its open steps."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.utils import timezone

from executions import guards
from executions.engine.advance import Advance
from executions.engine.run import NodeVisit
from executions.engine.store import reading
from executions.engine.store.writing import TreeBasis
from executions.models import LIVE, Entity, Execution, Step
from workflows.db.prepared import ON_POSTGRESQL
from workflows.guards import Gone


def lock_execution(execution: Execution) -> tuple[Execution, Execution]:
    """Lock the root and the execution itself; both as they are now."""
    rows = Execution._base_manager.select_for_update(of=("self",)).select_related("version")
    rows = rows.defer("version__source")
    try:
        root = rows.get(pk=execution.root_or_self_id)
        current = root if execution.pk == root.pk else rows.get(pk=execution.pk)
    except Execution.DoesNotExist:
        raise _gone(execution) from None
    return root, current


def _gone(execution: Execution) -> Gone:
    return Gone(f"The execution {execution.cuid} has been deleted.")


def _require_live(execution: Execution) -> None:
    if execution.status not in LIVE:
        raise guards.Ended(
            f"Execution {execution.cuid} is {execution.status}: nothing can be done to it any more."
        )


def lock_entity(pk: int) -> Entity:
    """Lock the entity. Raises ``Gone`` when it has been deleted."""
    # Two executions on one entity must not lose each other's fields.
    entity = Entity._base_manager.select_for_update(no_key=True).filter(pk=pk).first()
    if entity is None:
        raise Gone("The entity has been deleted.")
    return entity


def locked_advance(execution: Execution, by: Any) -> tuple[Advance, Execution]:
    """Take the locks of a runner; an advance, and the execution as it is now.

    Raises ``guards.Ended`` when the execution has ended.
    """
    root, current = lock_execution(execution)
    _require_live(current)
    return Advance(root, lock_entity(current.entity_id), now=timezone.now(), by=by), current


_READ_WITH = "_read_with"


def read(cuid: str) -> Execution | None:
    """The execution with this cuid, read as a submit reads it, which need not do so again."""
    known = reading.execution_by_cuid(cuid)
    if known is None:
        return None
    # A child is read after its root. SQLite reads within the transaction that writes.
    if ON_POSTGRESQL and known.execution.root_id is None:
        known.execution.__dict__[_READ_WITH] = known
    return known.execution


def unlocked_advance(execution: Execution, by: Any) -> tuple[Advance, Execution]:
    """An advance that locks nothing until it writes, and then only writes what still holds.

    Raises ``Gone``, and ``guards.Ended`` when the execution has ended.
    """
    known: reading.Known | None = execution.__dict__.pop(_READ_WITH, None)
    root = known or reading.execution(execution.root_or_self_id)
    # Read after the root: whatever goes on with the tree writes the root, and is noticed.
    current = root if execution.root_id is None else reading.execution(execution.pk)
    if root is None or current is None:
        raise _gone(execution)
    _require_live(current.execution)
    basis = TreeBasis(root.execution.pk, root.xmin, current.entity.pk, current.entity_xmin)
    advance = Advance(
        root.execution,
        current.entity,
        now=timezone.now(),
        by=by,
        basis=basis,
        pinned=current.pinned,
    )
    advance.know(current.execution, current.open_steps)
    return advance, current.execution


def visit_to(begun: tuple[Advance, Execution], node: str | None, step: str | None) -> NodeVisit:
    """The visit to the open step with this node or cuid; ``begun`` is an advance.

    Raises ``guards.NotOpen`` where there is not one such step.
    """
    advance, current = begun
    run = advance.run_of(current)
    return advance.visit(run, _open_step(current, run.open_steps, node, step))


def _open_step(
    execution: Execution, steps: Collection[Step], node: str | None, step: str | None
) -> Step:
    matching = [
        row
        for row in steps
        if (step is None or row.cuid == step) and (node is None or row.node_id == node)
    ]
    if len(matching) == 1:
        return matching[0]
    is_open = ", ".join(f"“{row.node_id}” (step {row.cuid})" for row in steps) or "none"
    if matching:
        raise guards.NotOpen(f"Say which step is meant; open are: {is_open}.")
    named = f"Step “{step}”" if step is not None else f"Node “{node}”"
    raise guards.NotOpen(f"{named} is not open in execution {execution.cuid}; open are: {is_open}.")
