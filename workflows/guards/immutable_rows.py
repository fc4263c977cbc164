"""Rules for write-once rows, and for fields that only the services write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from workflows.graph import find_calls
from workflows.guards.blockers import blocking_executions
from workflows.refusals import Blockers, Refusal


class VersionInUse(Refusal):
    message = _("A version is write-once: a stored version cannot be changed or deleted.")
    code = "version_in_use"


class WriteOnce(Refusal):
    message = _("This field is write-once and cannot be changed.")
    code = "written_once"


class AuditLogImmutable(Refusal):
    message = _("The audit log is write-once: its entries cannot be changed or deleted.")
    code = "log_kept"


class UseTheService(Refusal):
    message = _("Change the entity context with workflows.editing.change_entity_context().")
    code = "use_the_service"


class InvalidState(Refusal):
    message = _("The state of a workflow must be draft, active or retired.")
    code = "invalid_state"


class RowDeleted(Refusal):
    message = _("The record has been deleted.")
    code = "gone"


def workflow_deleted(workflow: Any) -> RowDeleted:
    """Return the refusal to edit or start a workflow that has been deleted."""
    return RowDeleted(gettext("The workflow “{title}” has been deleted.").format(title=workflow))


def refuse_bulk_write(names: Iterable[str]) -> None:
    """Raise ``UseTheService`` if a bulk statement would write a field that only a service may."""
    written = {name.removesuffix("_id") for name in names}
    if "cuid" in written:
        raise WriteOnce(
            gettext("The cuid of a workflow is write-once, because graphs refer to it.")
        )
    if written & {"entity_name", "entity_name_type", "primary_record_type"}:
        raise UseTheService
    if "state" in written:
        raise UseTheService(
            gettext("Change the state of a workflow with workflows.editing.set_state().")
        )
    if written & {"trigger", "trigger_data"}:
        raise UseTheService(gettext("Change the trigger of each workflow with Workflow.save()."))


def refuse_rewrite(row: Any, stored: Any, frozen: Sequence[str]) -> None:
    """Raise ``VersionInUse`` if a write-once field differs from the stored row."""
    if stored is None:
        return
    changed = [name for name in frozen if getattr(row, name) != getattr(stored, name)]
    if changed:
        raise VersionInUse(
            gettext("The {model} is write-once: {names} cannot be changed.").format(
                model=row._meta.verbose_name, names=", ".join(changed)
            )
        )


def refuse_bulk_rewrite(row_model: Any, names: Iterable[str]) -> None:
    """Raise ``VersionInUse`` if a bulk statement would write a write-once field.

    ``in_force`` may be written: the database's keys decide whether a version can be released.
    """
    frozen = {name.removesuffix("_id") for name in row_model.FROZEN} - {"in_force"}
    written = sorted({name.removesuffix("_id") for name in names} & frozen)
    if written:
        raise VersionInUse(
            gettext(
                "The {model} is write-once: {names} cannot be changed. Save a new graph with "
                "workflows.editing.save_graph()."
            ).format(model=row_model._meta.verbose_name, names=", ".join(written))
        )


def refuse_reference_addition(reference: Any) -> None:
    """Raise ``VersionInUse`` if the version's graph does not make this call."""
    callee = reference.callee.cuid
    if (reference.node_id, callee) not in set(find_calls(reference.version.source)):
        raise VersionInUse(
            gettext(
                "{version} has no node “{node}” that calls {callee}. Save a graph with this call "
                "with workflows.editing.save_graph()."
            ).format(version=reference.version, node=reference.node_id, callee=callee)
        )


def refuse_bulk_references() -> None:
    """Raise ``VersionInUse``: references are created with their version."""
    raise VersionInUse(
        gettext(
            "References are created with their version. Save a graph with these calls with "
            "workflows.editing.save_graph()."
        )
    )


def _deleted_model(origin: Any) -> Any:
    return origin.model if isinstance(origin, QuerySet) else type(origin)


def refuse_version_deletion(version: Any, origin: Any) -> None:
    """Judge the deletion of a version. The deletion of its workflow has a rule of its own.

    Args:
        version: the version.
        origin: the instance or queryset that the deletion began with.

    Raises:
        VersionInUse: the version is the latest, or an execution runs it or has pinned it.
        RowDeleted: it has been deleted already, alone or with its workflow.
    """
    if _deleted_model(origin) is not type(version):
        return
    of_workflow = type(version)._base_manager.filter(workflow=version.workflow_id)
    this_and_later = of_workflow.filter(number__gte=version.number).order_by("number")
    found = list(this_and_later.values_list("pk", flat=True)[:2])
    if version.pk not in found:
        raise RowDeleted(gettext("The version has been deleted."))
    if len(found) == 1:
        raise VersionInUse(
            gettext(
                "Version {number} is the latest of its workflow and cannot be deleted. Save a new "
                "graph instead."
            ).format(number=version.number)
        )
    refuse_version_in_use(version)


def refuse_version_in_use(version: Any) -> None:
    """Raise ``VersionInUse`` if an execution runs the version or has pinned it."""
    rows, total = blocking_executions(version.executions.all())
    if not rows:
        executions = version.executions.model._base_manager
        pinned = executions.filter(closure__members__version=version)
        rows, total = blocking_executions(pinned)
    if not rows:
        # Their steps are read with the graph that they ran on before they were moved.
        moved = executions.filter(moves__from_version=version).distinct()
        rows, total = blocking_executions(moved)
    if rows:
        raise VersionInUse(
            ngettext(
                "Version {number} cannot be deleted: {count} execution uses it.",
                "Version {number} cannot be deleted: {count} executions use it.",
                total,
            ).format(number=version.number, count=total),
            blockers=Blockers(rows, (), total),
        )


def refuse_reference_deletion(reference: Any, origin: Any) -> None:
    """Raise ``VersionInUse`` if a reference would be deleted without its version."""
    if _deleted_model(origin) is type(reference):
        raise VersionInUse(
            gettext(
                "The reference of node “{node}” cannot be deleted without its version. Save a "
                "graph without the node instead."
            ).format(node=reference.node_id)
        )
