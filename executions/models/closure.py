"""Closures: the versions that root executions are fixed to, shared by all that start on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.db import IntegrityError, models, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from executions import guards
from workflows.db import locks
from workflows.db.composite_keys import CompositeForeignKey, KeyTarget
from workflows.db.json_values import checksum
from workflows.models import Version, Workflow
from workflows.models.write_once_rows import WriteOnceQuerySet


class ClosureQuerySet(WriteOnceQuerySet["Closure"]):
    """Closures, which are written once."""

    def refuse_writing(self, names: Iterable[str]) -> None:
        """Raise ``guards.ExecutionFrozen`` if one of these fields is written once."""
        guards.refuse_bulk_rewrite(self.model, names)


class Closure(models.Model):
    """A version and the versions of all workflows that it can call.

    While all of them are in force, ``context_key`` is their entity context, and the key of a live
    root refers to it. A database trigger empties it when a version of a member is released; such a
    closure is never used for a start again.
    """

    FROZEN: ClassVar = ("workflow_id", "version_id", "checksum", "context_key")

    # The version has the workflow.
    workflow = models.ForeignKey(
        Workflow, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    version = models.ForeignKey(Version, models.DO_NOTHING, related_name="closures")
    context_key = models.TextField(null=True, editable=False)  # noqa: DJ001  NULL releases keys.
    checksum = models.CharField(max_length=64, editable=False)

    objects = ClosureQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        default_permissions = ()
        permissions: ClassVar = [("view_pin", "Can view pinned versions")]
        constraints: ClassVar = [
            KeyTarget(fields=["id", "context_key"], name="executions_closure_context"),
            models.UniqueConstraint(
                fields=["checksum"],
                condition=Q(context_key__isnull=False),
                name="executions_closure_current",
            ),
        ]

    def __str__(self) -> str:
        return f"closure {self.pk}"

    def clean(self) -> None:
        """Raise ``guards.ExecutionFrozen`` for any change."""
        super().clean()
        if self.pk:
            guards.refuse_rewrite(self, self.FROZEN, None)


class ClosureMemberQuerySet(WriteOnceQuerySet["ClosureMember"]):
    """Members of closures, which are created and deleted with their closure."""

    def refuse_writing(self, names: Iterable[str]) -> None:
        """Raise ``guards.ExecutionFrozen`` if one of these fields is written once."""
        guards.refuse_bulk_rewrite(self.model, names)

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Raise ``guards.ExecutionFrozen``: a stored closure gets no more members."""
        guards.refuse_bulk_members()
        return []


class ClosureMember(models.Model):
    """The pinned version of one callee.

    ``key`` is the context of the version while that is in force: the database empties it when the
    version is released (ON UPDATE CASCADE).
    """

    FROZEN: ClassVar = ("closure_id", "callee_id", "version_id", "key")

    # The unique constraint is its index.
    closure = models.ForeignKey(Closure, models.CASCADE, related_name="members", db_index=False)
    # The composite key below covers it.
    callee = models.ForeignKey(
        Workflow, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    version = models.ForeignKey(
        Version, models.DO_NOTHING, related_name="closure_members", db_index=False
    )
    key = models.TextField(null=True, editable=False)  # noqa: DJ001  NULL releases the key.

    objects = ClosureMemberQuerySet.as_manager()

    class Meta:
        verbose_name = "pin"
        ordering: ClassVar = ["closure", "pk"]
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["closure", "callee"], name="executions_closuremember_callee"
            ),
            CompositeForeignKey(
                name="executions_closuremember_version_fk",
                fields=["version", "callee", "key"],
                to_fields=["id", "workflow", "held_key"],
                on_update="CASCADE",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["version", "key"], name="executions_members_of_version"),
            models.Index(fields=["callee", "key"], name="executions_members_of_callee"),
        ]

    def __str__(self) -> str:
        return f"{self.closure}: {self.version}"

    def clean(self) -> None:
        """Raise ``guards.ExecutionFrozen`` for any change."""
        super().clean()
        if self.pk:
            guards.refuse_rewrite(self, self.FROZEN, None)


def closure_checksum(version_id: int, pinned: Iterable[Version]) -> str:
    """Return the checksum of a version and the pinned versions of its callees.

    Ids alone are no identity: restoring a backup reuses them. Cuids are none either: importing a
    deleted workflow reuses them.
    """
    return checksum(version_id, sorted([row.workflow_id, row.pk, row.cuid] for row in pinned))


def get_closure(version: Version, pinned: Iterable[Version]) -> Closure | None:
    """Return the closure of these versions; create it if there is none.

    The caller has locked the versions, or can repeat its transaction.

    Args:
        version: the version of a root.
        pinned: the versions of all workflows that it can call.

    Returns:
        None if the version calls nothing.

    Raises:
        IntegrityError: one of the versions is not in force, or another transaction has created the
            closure since the snapshot of this one.
    """
    members = sorted(pinned, key=lambda row: row.pk)
    if not members:
        return None
    closure, is_new = Closure._base_manager.get_or_create(
        checksum=closure_checksum(version.pk, members),
        context_key=version.context_key,
        defaults={"workflow_id": version.workflow_id, "version": version},
    )
    if is_new:
        ClosureMember._base_manager.bulk_create(
            [
                ClosureMember(
                    closure=closure,
                    callee_id=row.workflow_id,
                    version=row,
                    key=version.context_key,
                )
                for row in members
            ]
        )
    return closure


def delete_unused_closures(closures: QuerySet[Closure]) -> int:
    """Delete those of these closures that no execution refers to; return their number.

    A closure that a start is about to use is locked by it, and stays.
    """
    executions: Any = Closure._meta.get_field("executions").related_model
    unused = closures.order_by("pk").filter(
        ~Exists(executions._base_manager.filter(closure=OuterRef("pk")))
    )
    rows = Closure._base_manager.all()
    ids = list(unused.values_list("pk", flat=True))
    locked = ids and locks.lock_rows(rows, ids, locks.Strength.UPDATE, skip_locked=True)
    if not locked:
        return 0
    # Judged again under the lock.
    free = list(unused.filter(pk__in=locked).values_list("pk", flat=True))
    try:
        with transaction.atomic():
            ClosureMember._base_manager.filter(closure__in=free)._raw_delete(rows.db)
            rows.filter(pk__in=free)._raw_delete(rows.db)
    except IntegrityError:
        # The keys see executions that an older snapshot does not. Left for the next time.
        return 0
    return len(free)
