"""The rules for executions, steps and closures: frozen data, final statuses and deletion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from executions.guards.refusals import ExecutionEnded, ExecutionFrozen, ExecutionLive
from executions.guards.stored_rows import field_names, stored_row


def refuse_rewrite(row: Any, frozen: Sequence[str], update_fields: Iterable[str] | None) -> None:
    """Check a save of an execution, a closure or a pin.

    Raises:
        ExecutionFrozen: a field among ``frozen`` would change.
        ExecutionEnded: the status of an ended execution would change.
    """
    stored = stored_row(row)
    if stored is None:
        return
    written = None if update_fields is None else set(update_fields)

    def is_changed(name: str) -> bool:
        if written is not None and not {name, name.removesuffix("_id")} & written:
            return False
        return bool(getattr(row, name) != getattr(stored, name))

    _refuse_frozen_fields(row, [name for name in frozen if is_changed(name)])
    if hasattr(stored, "status") and is_changed("status"):
        _refuse_change_of_final_status(stored)


def _refuse_frozen_fields(row: Any, changed: Sequence[str]) -> None:
    if changed:
        names = ", ".join(name.removesuffix("_id") for name in changed)
        raise ExecutionFrozen(
            ExecutionFrozen.fields_message.format(names=names, model=row._meta.verbose_name)
        )


def _refuse_change_of_final_status(stored: Any) -> None:
    if not stored.live:
        raise ExecutionEnded(
            ExecutionEnded.final_message.format(execution=stored.cuid, status=stored.status)
        )


def refuse_bulk_rewrite(row_model: Any, names: Iterable[str]) -> None:
    """Raise ``ExecutionFrozen`` if a bulk statement would write frozen fields or a status.

    Only the services may write a status: they open and close the steps with it.
    """
    written = sorted(
        field_names(names) & (field_names(row_model.FROZEN) | {"status", "live"}),
    )
    if written:
        raise ExecutionFrozen(
            ExecutionFrozen.bulk_message.format(
                names=", ".join(written), model=row_model._meta.verbose_name
            )
        )


def refuse_execution_deletion(execution: Any) -> None:
    """Raise ``ExecutionLive`` if the execution or its root is live."""
    stored = stored_row(execution)
    root = stored.root if stored is not None and stored.root_id else stored
    if root is not None and (stored.live or root.live):
        raise ExecutionLive(
            ExecutionLive.tree_message.format(
                execution=execution.cuid, root=root.cuid, status=root.status
            )
        )


def refuse_step_edit(step: Any) -> None:
    """Raise ``ExecutionFrozen`` if an open step would be closed without the services, or the passed
    nodes of a closed step rewritten.
    """
    stored = stored_row(step)
    if stored is None:
        return
    if stored.passed is not None and stored.closed_at and step.passed != stored.passed:
        _refuse_frozen_fields(step, ["passed"])
    if stored.is_open and not step.is_open and stored.execution.live:
        raise ExecutionFrozen(
            ExecutionFrozen.open_step_message.format(
                node=stored.node_id, execution=stored.execution
            )
        )


def refuse_step_deletion(step: Any, origin: Any) -> None:
    """Raise ``ExecutionFrozen`` if a step would be deleted without its execution."""
    if _deleted_model(origin) is type(step):
        raise ExecutionFrozen(str(ExecutionFrozen.step_message))


def refuse_comment_deletion(comment: Any, origin: Any) -> None:
    """Raise ``ExecutionFrozen`` if a comment would be deleted without its execution."""
    if _deleted_model(origin) is type(comment):
        raise ExecutionFrozen(str(ExecutionFrozen.comment_message))


def refuse_file_deletion(file: Any, origin: Any) -> None:
    """Raise ``ExecutionFrozen`` if a file would be deleted without its execution."""
    if _deleted_model(origin) is type(file):
        raise ExecutionFrozen(str(ExecutionFrozen.file_message))


def refuse_pin_deletion(pin: Any, origin: Any) -> None:
    """Raise ``ExecutionFrozen`` if a pin would be deleted without its closure."""
    if _deleted_model(origin) is type(pin):
        raise ExecutionFrozen(str(ExecutionFrozen.pin_message))


def refuse_closure_deletion(closure: Any) -> None:
    """Raise ``ExecutionFrozen`` if an execution uses the closure."""
    if closure.executions.exists():
        raise ExecutionFrozen(str(ExecutionFrozen.closure_message))


def refuse_bulk_members() -> None:
    """Raise ``ExecutionFrozen``: the pins of a closure are created with it."""
    raise ExecutionFrozen(str(ExecutionFrozen.member_message))


def refuse_new_member(pin: Any) -> None:
    """Raise ``ExecutionFrozen`` if an execution uses the closure of a new pin."""
    if pin.closure.executions.exists():
        raise ExecutionFrozen(str(ExecutionFrozen.member_message))


def _deleted_model(origin: Any) -> Any:
    return getattr(origin, "model", None) or type(origin)
