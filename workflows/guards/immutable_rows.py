"""What is written once, and what only the services write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from workflows.graph import find_calls
from workflows.guards.blockers import blocking_executions, count
from workflows.refusals import Blockers, Refusal


class VersionInUse(Refusal):
    message = _("A version is written once: what has been stored is neither rewritten nor deleted.")
    code = "version_in_use"


class WriteOnce(Refusal):
    message = _("This is written once and cannot be changed.")
    code = "written_once"


class AuditLogImmutable(Refusal):
    message = _("The audit log is written once: its entries are neither changed nor deleted.")
    code = "log_kept"


class UseTheService(Refusal):
    message = _("Change the entity context with workflows.editing.change_entity_context().")
    code = "use_the_service"


class InvalidState(Refusal):
    message = _("A workflow is a draft, active or retired.")
    code = "invalid_state"


class RowDeleted(Refusal):
    message = _("What was to be changed has been deleted.")
    code = "gone"


def refuse_bulk_write(names: Iterable[str]) -> None:
    """Raises ``UseTheService`` when a bulk statement would write what only a service may."""
    written = {name.removesuffix("_id") for name in names}
    if "cuid" in written:
        raise WriteOnce("The cuid of a workflow is written once: versions call it by that name.")
    if written & {"entity_name", "entity_name_type", "primary_record_type"}:
        raise UseTheService
    if "state" in written:
        raise UseTheService("Change the state of a workflow with workflows.editing.set_state().")
    if written & {"trigger", "trigger_data"}:
        raise UseTheService("Change what starts a workflow by saving each, with Workflow.save().")


def refuse_rewrite(row: Any, stored: Any, frozen: Sequence[str]) -> None:
    """Raises ``VersionInUse`` when a field that is written once differs from what is stored."""
    if stored is None:
        return
    changed = [name for name in frozen if getattr(row, name) != getattr(stored, name)]
    if changed:
        raise VersionInUse(
            f"The {row._meta.verbose_name} is written once: {', '.join(changed)} cannot be changed."
        )


def refuse_bulk_rewrite(row_model: Any, names: Iterable[str]) -> None:
    """Raises ``VersionInUse`` when a bulk statement would write what is written once.

    Releasing a version is no rewrite: the keys say whether it may be let go.
    """
    frozen = {name.removesuffix("_id") for name in row_model.FROZEN} - {"in_force"}
    written = sorted({name.removesuffix("_id") for name in names} & frozen)
    if written:
        raise VersionInUse(
            f"The {row_model._meta.verbose_name} is written once: {', '.join(written)} cannot be "
            "changed. Save another graph with workflows.editing.save_graph()."
        )


def refuse_reference_addition(reference: Any) -> None:
    """Raises ``VersionInUse`` when the version's graph does not make this call."""
    callee = reference.callee.cuid
    if (reference.node_id, callee) not in set(find_calls(reference.version.source)):
        raise VersionInUse(
            f"{reference.version} has no node “{reference.node_id}” that calls {callee}: save a "
            "graph that has one with workflows.editing.save_graph()."
        )


def refuse_bulk_references() -> None:
    """Raises ``VersionInUse``: references come with their version."""
    raise VersionInUse(
        "References come with their version: save a graph that makes the calls with "
        "workflows.editing.save_graph()."
    )


def _deleted_model(origin: Any) -> Any:
    return origin.model if isinstance(origin, QuerySet) else type(origin)


def refuse_version_deletion(version: Any, origin: Any) -> None:
    """Raises ``VersionInUse`` when the version is the latest, or an execution or a pin has it.

    Raises ``Gone`` when it has been deleted meanwhile, alone or with its workflow.
    ``origin`` is what the deletion began with; for a workflow, its own rule answers.
    """
    if _deleted_model(origin) is not type(version):
        return
    of_workflow = type(version)._base_manager.filter(workflow=version.workflow_id)
    from_it_on = of_workflow.filter(number__gte=version.number).order_by("number")
    found = list(from_it_on.values_list("pk", flat=True)[:2])
    if version.pk not in found:
        raise RowDeleted("The version has been deleted.")
    if len(found) == 1:
        raise VersionInUse(
            f"Version {version.number} is the latest of its workflow and cannot be deleted: "
            "save another graph instead."
        )
    refuse_version_in_use(version)


def refuse_version_in_use(version: Any) -> None:
    """Raises ``VersionInUse`` when an execution or a pin has the version."""
    rows, total = blocking_executions(version.executions.all())
    if not rows:
        pinned = version.executions.model._base_manager.filter(pins__version=version)
        rows, total = blocking_executions(pinned.distinct())
    if rows:
        raise VersionInUse(
            f"Version {version.number} cannot be deleted: {count(total, 'execution')} "
            f"{'has' if total == 1 else 'have'} it.",
            blockers=Blockers(rows, (), total),
        )


def refuse_reference_deletion(reference: Any, origin: Any) -> None:
    """Raises ``VersionInUse`` when a reference would go without its version."""
    if _deleted_model(origin) is type(reference):
        raise VersionInUse(
            f"The reference of node “{reference.node_id}” goes only with its version: "
            "save a graph without the node instead."
        )
