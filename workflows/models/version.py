"""Versions: a graph and its entity context, frozen together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When

from workflows import guards, running
from workflows.audit import actor
from workflows.db import locks
from workflows.db.built_queries import select_ids
from workflows.db.composite_keys import CompositeForeignKey, KeyTarget
from workflows.db.cuid import LENGTH, new_cuid
from workflows.db.json_values import checksum
from workflows.graph import Graph, NodesManager
from workflows.graph.positions import Positions, with_positions
from workflows.guards.database_errors import translate_deletion_errors
from workflows.models.account_names import account_name_field, account_name_of
from workflows.models.candidate import Candidate, copy_candidates, save_candidates
from workflows.models.types import Context, EntityContext, context_key_expression
from workflows.models.workflow import Workflow
from workflows.models.write_once_rows import WriteOnceQuerySet


class VersionQuerySet(WriteOnceQuerySet["Version"]):
    """Versions, by whether they are the latest and whether live executions use them."""

    def refuse_writing(self, names: Iterable[str]) -> None:
        """Raise ``guards.VersionInUse`` if one of these fields is frozen."""
        guards.refuse_bulk_rewrite(self.model, names)

    def latest_of_each(self) -> VersionQuerySet:
        """Return the latest version of each workflow."""
        return self.exclude(Exists(later_versions()))

    def superseded(self) -> VersionQuerySet:
        """Return the versions that no new execution would run.

        There is a later one, or their workflow is retired.
        """
        return self.filter(Exists(later_versions()) | Q(workflow__state=Workflow.State.RETIRED))

    def not_in_use(self) -> VersionQuerySet:
        """Return the versions that no live execution runs or has pinned."""
        executions, pk = running.registered, OuterRef("pk")
        return self.exclude(Exists(executions.live_executions().filter(version_id=pk))).exclude(
            Exists(executions.live_executions_pinning(version=pk))
        )


def later_versions(prefix: str = "") -> models.QuerySet[Version]:
    """Return the later versions of the outer row's workflow, for a subquery.

    Args:
        prefix: the lookup that leads from the outer row to its version, e.g. ``version__``.
    """
    return Version._base_manager.filter(
        workflow_id=OuterRef(f"{prefix}workflow_id"), number__gt=OuterRef(f"{prefix}number")
    )


class Version(EntityContext):
    """A numbered version of a workflow: ``{"nodes": [...], "edges": [...]}`` and context.

    Only ``in_force`` and ``positions`` are ever updated. While the version is in force, the key
    ``held_key`` binds it to its workflow's context.
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

    cuid = models.CharField("ID", max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    # A composite index begins with it, here and below: a second one would only cost writes.
    workflow = models.ForeignKey(Workflow, models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    source = models.JSONField(default=dict)
    positions = models.JSONField(null=True, editable=False)
    """The positions of nodes in pictures, by node id. They are no part of the checksum. None in
    rows of earlier releases."""
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
    created_by_name = account_name_field()

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
    def source_with_positions(self) -> Any:
        """Return the source, whose nodes have their positions."""
        return with_positions(self.source, self.positions or {})

    @property
    def author(self) -> str:
        """Return the name of the account that saved the version, even if it has been deleted."""
        return account_name_of(self, "created_by")

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the version; compute its checksum if it has none."""
        self.checksum = self.checksum or self.compute_checksum()
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Raise ``guards.VersionInUse`` if a write-once field has changed."""
        super().clean()
        guards.refuse_rewrite(self, read_stored(self), self.FROZEN)

    def refuse_deletion(self, origin: Any) -> None:
        """Judge the deletion of the version; lock it if it is not deleted with its workflow.

        Args:
            origin: the instance or queryset that the deletion began with.

        Raises:
            guards.VersionInUse: it is the latest version, or an execution uses it.
        """
        if getattr(origin, "model", type(origin)) is Version:
            locks.limit_wait()
            locks.lock_rows(Version._base_manager.all(), [self.pk], locks.Strength.UPDATE)
        guards.refuse_version_deletion(self, origin)

    @translate_deletion_errors
    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the version. Raises what ``refuse_deletion`` raises."""
        return super().delete(*args, **kwargs)

    def compute_checksum(self) -> str:
        """Return the SHA-256 of the frozen fields: workflow, number, context and source."""
        return checksum(self.workflow_id, self.number, self.context.key, self.source)

    @property
    def is_used(self) -> bool:
        """Return True if an execution, live or ended, runs this version or has pinned it.

        A stored closure counts as well, until it is deleted with its last execution, and so does
        an execution that ran the version before it was moved.
        """
        pins = running.registered.pins()
        return bool(
            self.executions.exists()
            or pins.filter(version_id=self.pk).exists()
            or self.closures.exists()
            or self.moves_from.exists()
        )

    def active_execution_count(self) -> int:
        """Count the live executions that run this version."""
        return int(self.executions.live().count())

    def validate_source(self) -> Graph:
        """Check the source against the version's frozen context; read nothing live.

        Raises:
            graph.WorkflowValidationError: the source is not a valid graph, a call crosses
                contexts, or a call has no reference.
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


class ReferenceQuerySet(WriteOnceQuerySet["Reference"]):
    """References, which are created and deleted with their version."""

    def refuse_writing(self, names: Iterable[str]) -> None:
        """Raise ``guards.VersionInUse`` if one of these fields is frozen."""
        guards.refuse_bulk_rewrite(self.model, names)

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Raise ``guards.VersionInUse``: a stored version gets no more references."""
        guards.refuse_bulk_references()
        return []


class Reference(models.Model):
    """A ``run_workflow`` node of a version and the workflow that it calls."""

    FROZEN: ClassVar = ("version_id", "node_id", "callee_id", "context_key")

    version = models.ForeignKey(Version, models.CASCADE, related_name="references", db_index=False)
    node_id = models.CharField(max_length=128)
    callee = models.ForeignKey(Workflow, models.DO_NOTHING, related_name="callers", db_index=False)
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
        """Raise ``guards.VersionInUse`` if the reference was changed or added."""
        super().clean()
        self.refuse_writing()

    def refuse_writing(self) -> None:
        """Raise ``guards.VersionInUse`` for a call that the version's graph does not make."""
        before = read_stored(self)
        if before is None:
            guards.refuse_reference_addition(self)
        guards.refuse_rewrite(self, before, self.FROZEN)


def read_stored(row: models.Model) -> Any:
    """Read the row from the database; return None if it is new."""
    return type(row)._base_manager.filter(pk=row.pk).first() if row.pk else None


def append_version(
    workflow: Workflow,
    source: dict[str, Any],
    *,
    latest: Version | None = None,
    by: Any = None,
    notes: str = "",
    candidates: Iterable[Candidate] | None = None,
    positions: Positions | None = None,
) -> tuple[Version, bool]:
    """Give a locked workflow its next version.

    A latest version that no execution and no pin uses is *replaced*: it is deleted and inserted
    again under its number with a new id. It is never updated, because a start may have read the
    row already and would then run a graph that it has not checked.

    Args:
        workflow: the workflow; the caller has locked it.
        source: the graph.
        latest: the latest version; None if there is none.
        by: the user who saves it; the current user by default.
        notes: what has changed.
        candidates: the candidates that its nodes ask. By default those of ``latest``, for the
            same graph.
        positions: the positions of its nodes. By default those of ``latest``.

    Returns:
        The version, and True if its number is new.
    """
    number, replaced = 1, False
    if candidates is None:
        # Read first: replacing the latest version deletes its candidates.
        candidates = [] if latest is None else copy_candidates(latest)
    if positions is None:
        positions = {} if latest is None else latest.positions
    if latest is not None:
        replaced = _delete_unused(latest)
        number = latest.number if replaced else latest.number + 1
    version = Version(
        workflow=workflow,
        number=number,
        source=source,
        positions=positions,
        entity_name=workflow.entity_name,
        entity_name_type_id=workflow.entity_name_type_id,
        primary_record_type_id=workflow.primary_record_type_id,
        in_force=workflow.state != Workflow.State.RETIRED,
        created_by=by or actor.user(),
        notes=notes,
    )
    version.save(force_insert=True)
    save_candidates(candidates, version)
    _create_references(version)
    return version, not replaced


def _create_references(version: Version) -> None:
    calls = [node for node in version.source["nodes"] if node["type"] == "run_workflow"]
    if not calls:
        return
    cuids = {node["data"]["workflow"] for node in calls}
    ids = dict(Workflow._base_manager.filter(cuid__in=cuids).values_list("cuid", "pk"))
    Reference._base_manager.bulk_create(
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


def _delete_unused(latest: Version) -> bool:
    """Delete the version if nothing uses it. A start that is about to use it has locked it."""
    rows = Version._base_manager.all()
    if not locks.lock_rows(rows, [latest.pk], locks.Strength.UPDATE, skip_locked=True):
        return False
    try:
        if latest.is_used:
            return False
        with transaction.atomic():
            # Raw deletion, because the signals refuse to delete the latest version.
            for model in (Reference, Candidate):
                model._base_manager.filter(version=latest)._raw_delete(rows.db)
            rows.filter(pk=latest.pk)._raw_delete(rows.db)
    except IntegrityError:
        return False
    return True


def release_superseded(workflow_ids: Iterable[int]) -> int:
    """Release the superseded versions of these workflows and of their callers.

    Versions that a live execution uses stay in force. Rows that a runner has locked are left for
    the next time.

    Returns:
        The number of versions that were released.
    """
    found = select_ids(_superseded, sorted(workflow_ids))
    locked = locks.lock_rows(Version.objects.all(), found, locks.Strength.UPDATE, skip_locked=True)
    if not locked:
        return 0
    try:
        with transaction.atomic():
            # Judged again under the lock: an execution may have started on a version since.
            return Version.objects.filter(pk__in=locked).not_in_use().update(in_force=False)
    except IntegrityError:
        # The keys see executions that an older snapshot does not. Left for the next time.
        return 0


def _superseded(ids: list[int]) -> models.QuerySet[Any, Any]:
    """Return the ids of versions that ``release_superseded`` releases."""
    in_force = Version._base_manager.filter(in_force=True).order_by()
    callers = Reference._base_manager.filter(in_force=True).order_by()
    superseded = (
        # A union: with an OR, the database would read every version that is in force.
        Version.objects.filter(
            pk__in=in_force.filter(workflow_id__in=ids)
            .values("pk")
            .union(callers.filter(callee_id__in=ids).values("version_id")),
            in_force=True,
        )
        .order_by("pk")
        .superseded()
        .not_in_use()
    )
    return superseded.values_list("pk", flat=True)


def release_all(workflow_ids: Iterable[int]) -> None:
    """Release all versions of these workflows, so that their context can change.

    The database's keys refuse it if a live execution uses one of them.
    """
    rows = Version._base_manager.all()
    in_force = rows.filter(workflow_id__in=list(workflow_ids), in_force=True)
    ids = list(in_force.values_list("pk", flat=True))
    locks.lock_rows(rows, ids, locks.Strength.UPDATE)
    rows.filter(pk__in=ids).update(in_force=False)
