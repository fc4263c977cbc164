"""Versions: a graph and the entity context it was drawn for, frozen together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When

from workflows import guards
from workflows.audit import actor
from workflows.db import locks
from workflows.db.composite_keys import CompositeForeignKey, KeyTarget
from workflows.db.cuid import LENGTH, new_cuid
from workflows.db.json_values import checksum
from workflows.graph import Graph, NodesManager
from workflows.guards.database_errors import translated_deletion
from workflows.models.account_names import account_name, name_of
from workflows.models.candidate import Candidate, carry_over, store
from workflows.models.types import Context, EntityContext, context_key_expression
from workflows.models.workflow import Workflow
from workflows.models.write_once_rows import WrittenOnceQuerySet


class VersionQuerySet(WrittenOnceQuerySet["Version"]):
    """Versions, by whether they are the latest and whether something has them."""

    def refuse_writing(self, names: Iterable[str]) -> None:
        """Raises ``guards.VersionInUse`` for all that is frozen."""
        guards.refuse_bulk_rewrite(self.model, names)

    def latest_of_each(self) -> VersionQuerySet:
        """Only versions that no later one of their workflow has replaced."""
        return self.exclude(Exists(self._later()))

    def superseded(self) -> VersionQuerySet:
        """Only versions that no new execution would run: a later one has replaced them, or
        their workflow is retired.
        """
        return self.filter(Exists(self._later()) | Q(workflow__state=Workflow.State.RETIRED))

    def _later(self) -> models.QuerySet[Version]:
        return later(self.db)

    def not_held(self) -> VersionQuerySet:
        """Only versions that no live execution runs or has pinned."""
        return self.exclude(Exists(_live("executions", self.db))).exclude(
            Exists(_live("pins", self.db))
        )


def later(using: str, prefix: str = "") -> models.QuerySet[Version]:
    """The versions of its workflow that came after the outer row's, or after that which
    ``prefix`` leads to.
    """
    return Version._base_manager.using(using).filter(
        workflow_id=OuterRef(f"{prefix}workflow_id"), number__gt=OuterRef(f"{prefix}number")
    )


def _live(relation: str, using: str) -> models.QuerySet[Any]:
    model: Any = Version._meta.get_field(relation).related_model
    rows: models.QuerySet[Any] = model.objects.using(using).live()
    return rows.filter(version_id=OuterRef("pk"))


class Version(EntityContext):
    """One number of a workflow: ``source`` = ``{"nodes": [...], "edges": [...]}`` and context.

    A row is never updated, but for ``in_force``: while it is true, the key ``held_key``
    binds the version to its workflow's context.
    """

    FROZEN: ClassVar = (
        "workflow_id",
        "number",
        "source",
        "checksum",
        "entity_name",
        "entity_name_type_id",
        "primary_record_type_id",
        "in_force",
    )

    cuid = models.CharField(max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    workflow = models.ForeignKey(Workflow, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    source = models.JSONField(default=dict)
    checksum = models.CharField(max_length=64, editable=False)
    in_force = models.BooleanField(default=True, editable=False)
    held_key = models.GeneratedField(
        expression=Case(When(in_force=True, then=context_key_expression()), default=Value(None)),
        output_field=models.TextField(null=True),
        db_persist=True,
    )
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )
    created_by_name = account_name()

    objects = VersionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["workflow", "-number"]
        constraints: ClassVar = [
            *EntityContext.Meta.constraints,
            models.UniqueConstraint(fields=["workflow", "number"], name="workflows_version_number"),
            KeyTarget(fields=["id", "workflow", "held_key"], name="workflows_version_held"),
            KeyTarget(fields=["id", "in_force", "context_key"], name="workflows_version_force"),
            CompositeForeignKey(
                name="workflows_version_workflow_fk",
                fields=["workflow", "held_key"],
                to_fields=["id", "context_key"],
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["workflow", "number"],
                condition=Q(in_force=True),
                name="workflows_version_in_force",
            )
        ]

    def __str__(self) -> str:
        return f"{self.workflow} v{self.number}"

    @property
    def author(self) -> str:
        """The name of the account that saved it; it outlives the account."""
        return name_of(self, "created_by")

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the version; its checksum is computed when it has none."""
        self.checksum = self.checksum or self.compute_checksum()
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Raises ``guards.VersionInUse`` when what is written once would be written anew."""
        super().clean()
        guards.refuse_rewrite(self, stored(self), self.FROZEN)

    def refuse_deletion(self, origin: Any) -> None:
        """Raises ``guards.VersionInUse``; takes the version's lock where it goes by itself."""
        if getattr(origin, "model", type(origin)) is Version:
            using = self._state.db or "default"
            rows = Version._base_manager.using(using)
            locks.limit_wait(using)
            locks.lock_rows(rows.all(), [self.pk], locks.Strength.UPDATE)
        guards.refuse_version_deletion(self, origin)

    @translated_deletion
    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises ``guards.VersionInUse`` when it is the latest, or something has it."""
        return super().delete(*args, **kwargs)

    def compute_checksum(self) -> str:
        """sha256 over workflow, number, context and source: all that is frozen."""
        return checksum(self.workflow_id, self.number, self.context.key, self.source)

    def active_execution_count(self) -> int:
        """How many live executions run this version."""
        return int(self.executions.live().count())

    def validate_source(self) -> Graph:
        """Judge the source by this version's own frozen context; nothing live is read.

        Raises:
            graph.WorkflowValidationError: the source is not a valid graph, or calls across
                contexts, or calls something that has no reference.
        """
        own = self.described_context()
        callees = {
            reference.callee.cuid: own
            if reference.context_key == own.key
            else Context("", None, None, reference.context_key)
            for reference in self.references.select_related("callee")
        }
        source = self.source if isinstance(self.source, dict) else {}
        return NodesManager.validate_nodes_data(
            source.get("nodes"), edges=source.get("edges"), context=own, callees=callees
        )


class ReferenceQuerySet(WrittenOnceQuerySet["Reference"]):
    """References, which come and go with their version."""

    def refuse_writing(self, names: Iterable[str]) -> None:
        """Raises ``guards.VersionInUse`` for all that is frozen."""
        guards.refuse_bulk_rewrite(self.model, names)

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Raises ``guards.VersionInUse``: no version gets references after it was saved."""
        guards.refuse_bulk_references()
        return []


class Reference(models.Model):
    """One ``run_workflow`` node of a version, and the workflow that it calls."""

    FROZEN: ClassVar = ("version_id", "node_id", "callee_id", "context_key")

    version = models.ForeignKey(Version, models.CASCADE, related_name="references")
    node_id = models.CharField(max_length=128)
    callee = models.ForeignKey(Workflow, models.DO_NOTHING, related_name="callers")
    context_key = models.TextField(editable=False)
    in_force = models.BooleanField(default=True, editable=False)
    held_key = models.GeneratedField(
        expression=Case(When(in_force=True, then=F("context_key")), default=Value(None)),
        output_field=models.TextField(null=True),
        db_persist=True,
    )

    objects = ReferenceQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["version", "node_id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["version", "node_id"], name="workflows_reference_node"),
            CompositeForeignKey(
                name="workflows_reference_version_fk",
                fields=["version", "in_force", "context_key"],
                to_fields=["id", "in_force", "context_key"],
                on_update="CASCADE",
            ),
            CompositeForeignKey(
                name="workflows_reference_callee_fk",
                fields=["callee", "held_key"],
                to_fields=["id", "context_key"],
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["callee", "held_key"], name="workflows_reference_held")
        ]

    def __str__(self) -> str:
        return f"{self.version}: {self.node_id} → {self.callee}"

    def clean(self) -> None:
        """Raises ``guards.VersionInUse`` when it would be written anew, or added."""
        super().clean()
        self.refuse_writing()

    def refuse_writing(self, using: str | None = None) -> None:
        """Raises ``guards.VersionInUse`` for another call than the version's graph makes."""
        before = stored(self, using)
        if before is None:
            guards.refuse_reference_addition(self)
        guards.refuse_rewrite(self, before, self.FROZEN)


def stored(row: models.Model, using: str | None = None) -> Any:
    """The row as the database has it now; None when it is new."""
    rows = type(row)._base_manager.using(using or row._state.db)
    return rows.filter(pk=row.pk).first() if row.pk else None


def append_version(
    workflow: Workflow,
    source: dict[str, Any],
    *,
    latest: Version | None = None,
    by: Any = None,
    notes: str = "",
    candidates: Iterable[Candidate] | None = None,
) -> tuple[Version, bool]:
    """Give the workflow its next version; whether the number is a new one.

    ``candidates``: whom its nodes ask; left out, those of the latest version, whose graph it has.

    A latest version that no execution and no pin has is *replaced*: deleted and inserted
    again under its number with a new id, never updated (a start that has read the row would
    otherwise stand on a graph that it never walked). Callers hold the workflow's lock.
    """
    using = workflow._state.db or "default"
    number, replaced = 1, False
    if candidates is None:
        # Read now: a latest version that is replaced takes its own with it.
        candidates = [] if latest is None else carry_over(latest)
    if latest is not None:
        replaced = _give_up(latest)
        number = latest.number if replaced else latest.number + 1
    version = Version(
        workflow=workflow,
        number=number,
        source=source,
        entity_name=workflow.entity_name,
        entity_name_type_id=workflow.entity_name_type_id,
        primary_record_type_id=workflow.primary_record_type_id,
        in_force=workflow.state != Workflow.State.RETIRED,
        created_by=by or actor.user(),
        notes=notes,
    )
    version.save(using=using, force_insert=True)
    store(candidates, version)
    calls = [node for node in source["nodes"] if node["type"] == "run_workflow"]
    if calls:
        ids = dict(
            Workflow._base_manager.using(using)
            .filter(cuid__in={node["data"]["workflow"] for node in calls})
            .values_list("cuid", "pk")
        )
        Reference._base_manager.using(using).bulk_create(
            [
                Reference(
                    version=version,
                    node_id=node["id"],
                    callee_id=ids[node["data"]["workflow"]],
                    context_key=version.context.key,
                    in_force=version.in_force,
                )
                for node in calls
            ]
        )
    return version, not replaced


def _give_up(latest: Version) -> bool:
    """Delete the version if nothing has it; a start that is just taking it keeps it."""
    using = latest._state.db or "default"
    rows = Version._base_manager.using(using)
    if not locks.lock_rows(rows.all(), [latest.pk], locks.Strength.UPDATE, skip_locked=True):
        return False
    try:
        if latest.executions.exists() or latest.pins.exists():
            return False
        with transaction.atomic(using=using):
            # Past the signals, which let no latest version go.
            Reference._base_manager.using(using).filter(version=latest)._raw_delete(using)
            Candidate._base_manager.using(using).filter(version=latest)._raw_delete(using)
            rows.filter(pk=latest.pk)._raw_delete(using)
    except IntegrityError:
        return False
    return True


def release_superseded(workflow_ids: Iterable[int], using: str) -> int:
    """Let go of the superseded versions of these workflows, and of their callers, that no live
    execution holds; how many were let go. Rows that a runner is at are left for the next time.
    """
    ids = list(workflow_ids)
    in_force = Version._base_manager.using(using).filter(in_force=True).order_by()
    callers = Reference._base_manager.using(using).filter(in_force=True).order_by()
    superseded = (
        Version.objects.using(using)
        # A union, for an OR of both would read every version that is in force.
        .filter(
            pk__in=in_force.filter(workflow_id__in=ids)
            .values("pk")
            .union(callers.filter(callee_id__in=ids).values("version_id")),
            in_force=True,
        )
        .order_by("pk")
        .superseded()
        .not_held()
    )
    return _release(superseded.values_list("pk", flat=True), using, skip_locked=True)


def _release(ids: Iterable[int], using: str, *, skip_locked: bool = False) -> int:
    rows = Version.objects.using(using)
    locked = locks.lock_rows(rows.all(), ids, locks.Strength.UPDATE, skip_locked=skip_locked)
    if not locked:
        return 0
    try:
        with transaction.atomic(using=using):
            # Judged again under the lock: what took the version since then keeps it.
            return rows.filter(pk__in=locked).not_held().update(in_force=False)
    except IntegrityError:
        # The keys see what an older snapshot does not. Left for the next time.
        return 0


def release_all(workflow_ids: Iterable[int], using: str) -> None:
    """Let go of all versions of these workflows, so that their context can change.

    The keys refuse it when a live execution holds one of them.
    """
    rows = Version.objects.using(using).filter(workflow_id__in=list(workflow_ids), in_force=True)
    ids = list(rows.values_list("pk", flat=True))
    locks.lock_rows(Version._base_manager.using(using).all(), ids, locks.Strength.UPDATE)
    Version._base_manager.using(using).filter(pk__in=ids).update(in_force=False)
