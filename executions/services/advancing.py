"""The first part of every service: locking an execution, and finding its open step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from executions import guards
from executions.engine.advance import Advance
from executions.engine.node_visit import NodeVisit
from executions.engine.store import StoredExecution, TreeBasis, store
from executions.models import LIVE, Entity, Execution, Step
from workflows.db import clock
from workflows.editing.idempotency import NeedsTransaction
from workflows.guards import RowDeleted


def lock_execution(execution: Execution) -> tuple[Execution, Execution]:
    """Lock the root and the execution itself, and return both as they are stored now."""
    rows = Execution._base_manager.select_for_update(of=("self",)).select_related("version")
    rows = rows.defer("version__source")
    root = _lock_row(rows, execution.root_or_self_id)
    is_root = root is not None and execution.pk == root.pk
    current = root if is_root else _lock_row(rows, execution.pk)
    if root is None or current is None:
        raise _deleted(execution)
    return root, current


def _lock_row(rows: QuerySet[Execution], pk: int) -> Execution | None:
    """Lock an execution; return None if there is none.

    If it has waited for the move of the execution to another version, PostgreSQL joins the new row
    with the old version, and finds nothing. The next statement sees the new version.
    """
    found = rows.filter(pk=pk)
    return next(iter(found), None) or next(iter(found.all()), None)


def _deleted(execution: Execution) -> RowDeleted:
    return RowDeleted(f"The execution {execution.cuid} has been deleted.")


def _require_live(execution: Execution) -> None:
    if execution.status not in LIVE:
        raise guards.ExecutionEnded(
            f"Execution {execution.cuid} is {execution.status}. It can no longer be changed."
        )


def lock_entity(pk: int) -> Entity:
    """Lock the entity. Raise ``RowDeleted`` when it has been deleted."""
    # Without the lock, two executions on one entity would overwrite each other's fields.
    entity = Entity._base_manager.select_for_update(no_key=True).filter(pk=pk).first()
    if entity is None:
        raise RowDeleted("The entity has been deleted.")
    return entity


def lock_tree(execution: Execution, by: Any) -> tuple[Advance, Execution]:
    """Take the locks of a runner, and return an advance with the execution as it is stored now.

    Raises:
        RowDeleted: the execution has been deleted.
        guards.ExecutionEnded: the execution has ended.
    """
    root, current = lock_execution(execution)
    _require_live(current)
    return Advance(root, lock_entity(current.entity_id), now=clock.now(), by=by), current


_READ_WITH = "_read_with"
_REVISION = "_revision"
_RESULT = "_advance_result"


@dataclass(frozen=True, slots=True)
class AdvanceResult:
    """The result of an advance that has been written, for an answer that reads nothing again.

    Attributes:
        open_steps: all open steps of the execution; new ones have no id.
        children: the cuids of the children that it started, the latest first.
        pins: the cuids and version numbers that a new root has pinned; None for an older one.
        revision: the state of the tree that it began with (``StoredExecution.xmin``).
    """

    open_steps: tuple[Step, ...]
    children: tuple[str, ...]
    pins: tuple[tuple[str, int], ...] | None
    revision: str


def keep_result(execution: Execution, advance: Advance, *, is_new: bool = False) -> Execution:
    """Keep the result of the advance with its execution, for ``recall_result``.

    Returns:
        The same execution.
    """
    pinned = advance.pinned.items() if is_new else ()
    execution.__dict__[_RESULT] = AdvanceResult(
        tuple(advance.get_run(execution).open_steps),
        tuple(child.cuid for child in advance.new_children(execution)),
        tuple((cuid, version.number) for cuid, version in pinned) if is_new else None,
        execution.__dict__.pop(_REVISION, ""),
    )
    return execution


StoresAnswer = Callable[[Execution], Sequence[Any]]
"""A function that a service calls before it writes an execution.

It returns the row of the answer to the request (``idempotency.row_of``), which the same statement
inserts. If the key of the request has an answer already, the statement writes nothing.
"""


def store_answer(
    execution: Execution, advance: Advance, stores: StoresAnswer | None, *, is_new: bool = False
) -> None:
    """Let the advance insert the row of ``stores``, if given, in its statement."""
    if stores is not None:
        advance.answer = lambda: stores(keep_result(execution, advance, is_new=is_new))


def refuse_to_store(stores: StoresAnswer | None) -> None:
    """Raise ``idempotency.NeedsTransaction`` if an answer is to be stored in the same statement."""
    if stores is not None:
        raise NeedsTransaction


def recall_result(execution: Execution) -> AdvanceResult | None:
    """Return the result of the advance that has just written this execution; None if unknown."""
    result: AdvanceResult | None = execution.__dict__.pop(_RESULT, None)
    return result


def read_for_submit(cuid: str) -> Execution | None:
    """Return the execution with this cuid, or None.

    The instance carries all that ``read_tree`` needs: a submit reads nothing again.
    """
    known = store.execution_by_cuid(cuid)
    if known is None:
        return None
    # A child has to be read after its root, and SQLite reads inside the transaction that writes.
    if store.compares_basis and known.execution.root_id is None:
        known.execution.__dict__[_READ_WITH] = known
    return known.execution


def read_tree(execution: Execution, by: Any) -> tuple[Advance, Execution]:
    """Return an advance that takes no lock before it writes, with the execution.

    The statement that writes checks that root and entity are as they were read.

    Raises:
        RowDeleted: the execution has been deleted.
        guards.ExecutionEnded: the execution has ended.
    """
    known: StoredExecution | None = execution.__dict__.pop(_READ_WITH, None)
    root = known or store.execution(execution.root_or_self_id)
    # Read after the root: each change to the tree writes the root, so that it is noticed.
    current = root if execution.root_id is None else store.execution(execution.pk)
    if root is None or current is None:
        raise _deleted(execution)
    _require_live(current.execution)
    basis = TreeBasis(root.execution.pk, root.xmin, current.entity.pk, current.entity_xmin)
    advance = Advance(
        root.execution,
        current.entity,
        now=clock.now(),
        by=by,
        basis=basis,
        closure=current.closure,
    )
    advance.add_run(current.execution, current.open_steps)
    current.execution.__dict__[_REVISION] = root.xmin
    return advance, current.execution


def visit_open_step(
    runner: tuple[Advance, Execution], node: str | None, step: str | None
) -> NodeVisit:
    """Return the visit to the open step with this node and this cuid.

    Args:
        runner: the result of ``lock_tree`` or ``read_tree``.
        node: the id of the node; None matches every node.
        step: the cuid of the step; None matches every step.

    Raises:
        guards.NotOpen: no open step matches, or several do.
    """
    advance, current = runner
    run = advance.get_run(current)
    return advance.visit_step(run, _find_open_step(current, run.open_steps, node, step))


def _find_open_step(
    execution: Execution, steps: Collection[Step], node: str | None, step: str | None
) -> Step:
    matching = [
        row
        for row in steps
        if (step is None or row.cuid == step) and (node is None or row.node_id == node)
    ]
    if len(matching) == 1:
        return matching[0]
    open_steps = ", ".join(f"“{row.node_id}” (step {row.cuid})" for row in steps) or "none"
    if matching:
        raise guards.NotOpen(f"Several steps match. Name one of the open steps: {open_steps}.")
    named = f"Step “{step}”" if step is not None else f"Node “{node}”"
    raise guards.NotOpen(
        f"{named} is not open in execution {execution.cuid}. Open steps: {open_steps}."
    )
