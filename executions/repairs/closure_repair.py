"""Repair of the closure of a live root.

A closure that has the checksum of the right versions is restored in place, for all executions that
share it. Otherwise the root gets another closure: its own may be that of other executions.
"""

from __future__ import annotations

from executions.integrity.shared_closures import describe_damage
from executions.models import (
    Closure,
    ClosureMember,
    Execution,
    delete_unused_closures,
    get_closure,
)
from executions.repairs.report import Report
from workflows.models import Version, unsealed

WHY = "repair"


def restore_closure(
    root: Execution, own: Closure | None, version: Version, pinned: list[Version], report: Report
) -> None:
    """Give a locked live root the closure of these versions, which are in force.

    Args:
        own: the closure that the root had before its repair.
        version: the version of the root.
        pinned: the versions of all workflows that it can call.
    """
    before = []
    if own is not None:
        before = sorted(own.members.values_list("version__cuid", flat=True))
    closure = get_closure(version, pinned)
    is_restored = closure is not None and _restore_members(closure, version, pinned)
    is_other = root.closure_id != (None if closure is None else closure.pk)
    if is_other:
        with unsealed(root, why=WHY):
            Execution._base_manager.filter(pk=root.pk).update(closure=closure)
        root.closure = closure
        if own is not None:
            delete_unused_closures(Closure.objects.filter(pk=own.pk))
    if is_other or is_restored:
        names = ", ".join(str(row) for row in pinned) or "Nothing"
        report.add_repair(
            root,
            f"{names} is pinned again.",
            before={"pinned": before},
            after={"pinned": sorted(row.cuid for row in pinned)},
        )


def drop_closure(child: Execution, report: Report) -> None:
    """Remove the closure of a child: only a root has one."""
    with unsealed(child, why=WHY):
        Execution._base_manager.filter(pk=child.pk).update(closure=None)
    child.closure = None
    report.add_repair(child, "It uses the closure of its root again.")


def _restore_members(closure: Closure, version: Version, pinned: list[Version]) -> bool:
    """Restore the rows of a closure that has the checksum of these versions. Return True if one
    of them was damaged.
    """
    own = {"version_id": version.pk, "workflow_id": version.workflow_id}
    is_damaged = any(getattr(closure, name) != value for name, value in own.items())
    if is_damaged:
        with unsealed(closure, why=WHY):
            Closure._base_manager.filter(pk=closure.pk).update(**own)
        closure = Closure._base_manager.get(pk=closure.pk)
    members = list(closure.members.select_related("version__workflow").order_by("pk"))
    if not describe_damage(closure, members):
        return is_damaged
    missing = {row.workflow_id: row for row in pinned}
    for member in members:
        found = missing.get(member.callee_id)
        if found is not None and (member.version_id, member.key) == (found.pk, found.context_key):
            del missing[member.callee_id]
            continue
        with unsealed(member, why=WHY):
            ClosureMember._base_manager.filter(pk=member.pk)._raw_delete("default")
    with unsealed(closure, why=WHY):
        ClosureMember._base_manager.bulk_create(
            [
                ClosureMember(
                    closure=closure, callee_id=callee, version=row, key=closure.context_key
                )
                for callee, row in missing.items()
            ]
        )
    return True
