"""I3 and I4: closures have their original members, and fit the live roots that refer to them."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from executions.integrity.row_queries import read_rows
from executions.integrity.violation import CHUNK, Violation
from executions.models import LIVE, Closure, ClosureMember, Execution, closure_checksum
from workflows.models import Version


def _live_roots() -> QuerySet[Execution]:
    return Execution.objects.filter(status__in=LIVE, root=None)


def _roots_with_other_closure() -> QuerySet[Execution]:
    rows = _live_roots().filter(closure__isnull=False)
    return rows.exclude(
        closure__context_key__isnull=False,
        closure__context_key=F("context_key"),
        closure__version=F("version"),
        closure__workflow=F("workflow"),
    ).select_related("closure")


def _children_with_closure() -> QuerySet[Execution]:
    return Execution.objects.filter(status__in=LIVE, root__isnull=False, closure__isnull=False)


def _children_without_pin() -> QuerySet[Execution]:
    pin = ClosureMember.objects.filter(
        closure=OuterRef("root__closure"), callee=OuterRef("workflow"), version=OuterRef("version")
    )
    children = Execution.objects.filter(status__in=LIVE, root__isnull=False)
    return children.filter(~Exists(pin)).select_related("version__workflow")


def check_closure_uses() -> Iterator[Violation]:
    """Yield live roots whose closure is of another version or context, or was released, and live
    children with a closure of their own or with a version that their root has not pinned (I3).
    """
    roots, children, unpinned = read_rows(
        _roots_with_other_closure, _children_with_closure, _children_without_pin
    )
    for row in roots:
        assert row.closure is not None
        detail = "It has the closure of another version."
        if row.closure.context_key is None:
            detail = "Its closure was released: a version that it has pinned is not in force."
        elif row.closure.context_key != row.context_key:
            detail = f"Its closure has the context {row.closure.context_key}."
        yield Violation("I3", "execution", row.cuid, detail, root=row.pk)
    for row in children:
        detail = "It has a closure, which only a root has."
        yield Violation("I3", "execution", row.cuid, detail, root=row.root_or_self_id)
    for row in unpinned:
        detail = f"It runs {row.version}, which its root has not pinned."
        yield Violation("I3", "execution", row.cuid, detail, root=row.root_or_self_id)


def find_damaged_closures() -> dict[int, str]:
    """Return the damage of each closure that has a key or a live root, by its id."""
    used = _live_roots().filter(closure__isnull=False).order_by().values("closure")
    closures = Closure.objects.filter(Q(context_key__isnull=False) | Q(pk__in=used))
    found: dict[int, list[ClosureMember]] = {closure.pk: [] for closure in closures}
    if not found:
        return {}
    members = ClosureMember.objects.filter(closure__in=closures.order_by().values("pk"))
    rows = members.select_related("version__workflow").defer("version__source").order_by("pk")
    for member in rows.iterator(CHUNK):
        if member.closure_id in found:
            found[member.closure_id].append(member)
    damage = {closure.pk: describe_damage(closure, found[closure.pk]) for closure in closures}
    return {pk: detail for pk, detail in damage.items() if detail}


def describe_damage(closure: Closure, members: list[ClosureMember]) -> str:
    """Return the damage of a closure with these members; empty if there is none."""
    for member in members:
        version: Version = member.version
        if version.workflow_id != member.callee_id:
            return f"{version} is pinned for another workflow than that version's."
        if closure.context_key and version.context_key != closure.context_key:
            return f"The pinned {version} has the context {version.context_key}."
        if closure.context_key and (member.key != closure.context_key or not version.in_force):
            return f"{version} is pinned, but the pin is not in force."
    if closure.checksum != closure_checksum(
        closure.version_id, [member.version for member in members]
    ):
        return "The pinned versions do not match the checksum of their closure."
    return ""


def check_closure_members() -> Iterator[Violation]:
    """Yield live roots whose closure is damaged (I3), and other closures that are damaged (I4)."""
    damage = find_damaged_closures()
    if not damage:
        return
    unused = set(damage)
    roots = _live_roots().filter(closure__in=list(damage)).order_by("pk")
    for pk, cuid, closure in roots.values_list("pk", "cuid", "closure_id"):
        unused.discard(closure or 0)
        yield Violation("I3", "execution", cuid, damage[closure or 0], root=pk)
    for pk in sorted(unused):
        yield Violation("I4", "closure", str(pk), damage[pk])
