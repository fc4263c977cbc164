"""What may not change, and why: every rule once, each refusal beside it.

A refusal is a class; its docstring is what the operator reads. The rules are handed rows
and querysets and import no models, so that ``clean()``, ``save()``, the services and the
signals ask the same function. They judge by plain reads; the locks are the caller's, and
the keys of the schema hold whatever was decided without them.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models import OuterRef, QuerySet, Subquery

from workflows.graph import (
    NodesManager,
    WorkflowValidationError,
    calls_in,
    incompatible,
    parse,
)
from workflows.refusals import (
    Blockers,
    BlockingExecution,
    BlockingWorkflow,
    Problem,
    Refusal,
    Remedy,
)

LISTED = 20
CALL_CYCLE = "call_cycle"


class ContextShape(Refusal):
    """A Finding has a finding type and no record type; an InventoryModel the reverse."""

    code = "context_shape"


class ActiveExecutions(Refusal):
    """Cannot change finding type while this workflow has active executions."""

    code = "active_executions"


class DependentActiveExecutions(Refusal):
    """Cannot change finding type: workflows referencing this one have active executions."""

    code = "dependent_active_executions"


class IncompatibleEntityTypes(Refusal):
    """Run Workflow: Incompatible entity name types."""

    code = "incompatible_entity_types"


class StaleVersion(Refusal):
    """The graph is based on a version that is no longer the latest."""

    code = "stale_version"


class Referenced(Refusal):
    """Other workflows call this one."""

    code = "referenced"


class HasExecutions(Refusal):
    """Cannot delete this workflow: executions have run on it."""

    code = "has_executions"


class TypeInUse(Refusal):
    """Cannot delete this type: it is in use."""

    code = "type_in_use"


class VersionInUse(Refusal):
    """A version is written once: what has been stored is neither rewritten nor deleted."""

    code = "version_in_use"


class Draining(Refusal):
    """A change of finding type has been put on hold until what runs has ended."""

    code = "draining"


class StaleToken(Refusal):
    """What the token was given for has changed since."""

    code = "stale_token"


class InvalidToken(Refusal):
    """The token is not one that an impact of this change has answered."""

    code = "invalid_token"


class Settled(Refusal):
    """The change is not on hold any more."""

    code = "settled"


class UseTheService(Refusal):
    """Change the entity context with workflows.services.change_entity_context()."""

    code = "use_the_service"


class Gone(Refusal):
    """What was to be changed has been deleted."""

    code = "gone"


class WrittenOnce(Refusal):
    """This is written once and cannot be changed."""

    code = "written_once"


class LogKept(Refusal):
    """The audit log is written once: its entries are neither changed nor deleted."""

    code = "log_kept"


class NoSuchType(Refusal):
    """There is no such finding type or record type."""

    code = "no_such_type"


class InvalidState(Refusal):
    """A workflow is a draft, active or retired."""

    code = "invalid_state"


@dataclass(frozen=True, slots=True)
class Crossing:
    """A call of a latest version that would join two contexts after a change."""

    caller: BlockingWorkflow
    callee: BlockingWorkflow
    caller_context: Any
    callee_context: Any
    other: BlockingWorkflow


class ContextChangeFacts(Protocol):
    """What the rule needs to know of a change of the entity context of a set of workflows."""

    field: str

    def own_executions(self) -> QuerySet[Any]:
        """The live executions of the set."""

    def dependent_executions(self) -> QuerySet[Any]:
        """The live executions outside the set that can reach it."""

    def crossings(self) -> Sequence[Crossing]:
        """The calls of latest versions across the set's border into another context."""

    def named(self) -> Sequence[BlockingWorkflow]:
        """The set itself."""

    def group(self) -> Sequence[BlockingWorkflow]:
        """The smallest set around this one that has no crossings."""

    def group_executions(self) -> QuerySet[Any]:
        """The live executions of that set, beside those of this one and its dependents."""


def blocking_executions(executions: QuerySet[Any]) -> tuple[list[BlockingExecution], int]:
    """The first ``LISTED`` of these executions, and how many there are in all."""
    # By workflow first: ordered by id alone, PostgreSQL would walk the primary key past all that
    # have ended, in the hope of soon meeting the first few that have not. Nor is the workflow
    # joined, which it would do before it knows which few are listed.
    workflow: Any = executions.model._meta.get_field("workflow").related_model
    named = workflow._base_manager.order_by().filter(pk=OuterRef("workflow_id"))
    rows = list(
        executions.order_by("workflow_id", "pk").values_list(
            "cuid", "status", Subquery(named.values("cuid")), Subquery(named.values("title"))
        )[: LISTED + 1]
    )
    total = len(rows) if len(rows) <= LISTED else executions.count()
    return [BlockingExecution(*row) for row in rows[:LISTED]], total


def blocking_workflows(workflows: QuerySet[Any]) -> tuple[list[BlockingWorkflow], int]:
    """The first ``LISTED`` of these workflows, and how many there are in all."""
    rows = list(workflows.order_by("pk").values_list("cuid", "title")[: LISTED + 1])
    total = len(rows) if len(rows) <= LISTED else workflows.count()
    return [BlockingWorkflow(*row) for row in rows[:LISTED]], total


def refuse_context_shape(row: Any) -> None:
    """Raises ``ContextShape`` when entity name and types do not go together."""
    finding = row.entity_name == "Finding"
    has = (row.entity_name_type_id is not None, row.primary_record_type_id is not None)
    if has != (finding, not finding):
        raise ContextShape(
            problems=[
                Problem(
                    "/entity_name_type" if finding else "/primary_record_type",
                    ContextShape.code,
                    "A Finding needs a finding type and no record type."
                    if finding
                    else "An InventoryModel needs a record type and no finding type.",
                )
            ]
        )


def refuse_bulk_write(names: Iterable[str]) -> None:
    """Raises ``UseTheService`` when a bulk statement would write what only a service may."""
    written = {name.removesuffix("_id") for name in names}
    if "cuid" in written:
        raise WrittenOnce("The cuid of a workflow is written once: versions call it by that name.")
    if written & {"entity_name", "entity_name_type", "primary_record_type"}:
        raise UseTheService
    if "state" in written:
        raise UseTheService("Change the state of a workflow with workflows.services.set_state().")


def _count(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def refuse_context_change(change: ContextChangeFacts, *, drained: bool = False) -> None:
    """Judge a change of entity context; the first rule that holds names it, the rest are added.

    ``drained``: the change waits until what runs has ended, so only the graphs are judged.

    Raises:
        ActiveExecutions: the workflows have live executions.
        DependentActiveExecutions: a dependent has live executions that can reach them,
            through the version they run, their pins, or its latest version.
        IncompatibleEntityTypes: the latest graph of one of them, or of a dependent, would
            call across contexts.
    """
    found: list[tuple[type[Refusal], str]] = []
    own: list[BlockingExecution] = []
    dependent: list[BlockingExecution] = []
    executions_total = 0
    if not drained:
        own, own_total = blocking_executions(change.own_executions())
        if own:
            found.append((ActiveExecutions, str(ActiveExecutions.__doc__)))
        dependent, dependent_total = blocking_executions(change.dependent_executions())
        if dependent:
            found.append((DependentActiveExecutions, str(DependentActiveExecutions.__doc__)))
        executions_total = own_total + dependent_total
    crossings = change.crossings()
    found += [
        (IncompatibleEntityTypes, incompatible(crossing.caller_context, crossing.callee_context))
        for crossing in crossings
    ]
    if not found:
        return
    others = list(dict.fromkeys(crossing.other for crossing in crossings))
    refusal, message = found[0]
    raise refusal(
        message,
        problems=[Problem(f"/{change.field}", kind.code, text) for kind, text in found],
        blockers=Blockers(
            [*own, *dependent][:LISTED], others[:LISTED], executions_total + len(others)
        ),
        remedies=_ways_to_change(change, [*own, *dependent], executions_total, bool(crossings)),
    )


def _ways_to_change(
    change: ContextChangeFacts,
    executions: Sequence[BlockingExecution],
    total: int,
    together: bool,
) -> Iterable[Remedy]:
    """Finish what runs, or wait for it; change together what must move along."""
    group = change.group() if together else change.named()
    beside, beside_total = blocking_executions(change.group_executions()) if together else ([], 0)
    cuids = [workflow.cuid for workflow in group]
    if total + beside_total:
        yield Remedy(
            "finish_or_cancel",
            f"Finish or cancel {_count(total + beside_total, 'live execution')} first.",
            sorted({row.workflow_cuid for row in [*executions, *beside]}),
        )
    if together:
        titles = ", ".join(f"“{workflow.title}”" for workflow in group[:LISTED])
        yield Remedy("change_together", f"Change these workflows together: {titles}.", cuids)
    if total + beside_total:
        yield Remedy(
            "when_drained",
            "Put the change on hold: no new execution starts, and it is made as soon as these "
            "have ended.",
            cuids,
        )


def refuse_draining(waiting: Sequence[Any]) -> None:
    """Raises ``Draining`` when a change waits for one of the workflows.

    ``waiting``: the memberships of these workflows in changes on hold.
    """
    if not waiting:
        return
    sentences = []
    for row in waiting:
        change = row.change
        who = change.asked_by.get_username() if change.asked_by else "somebody"
        sentences.append(
            f"Workflow “{row.title}” is draining: {who} asked on "
            f"{change.asked_at:%Y-%m-%d at %H:%M} UTC to change its finding type to "
            f"“{change.context_type}” once what runs has ended."
        )
    changes = sorted({row.change.cuid for row in waiting})
    raise Draining(
        " ".join(sentences),
        blockers=Blockers(
            (), [BlockingWorkflow(row.cuid, row.title) for row in waiting], len(waiting)
        ),
        remedies=[
            Remedy(
                "withdraw",
                "Wait until the change has been made, or withdraw it: "
                + ", ".join(f"pending change {cuid}" for cuid in changes)
                + ".",
                [row.cuid for row in waiting],
            )
        ],
    )


def refuse_calls(
    source: dict[str, Any],
    context: Any,
    callees: Mapping[str, Any],
    cyclic: Container[int] = (),
) -> None:
    """Judge every call of a graph by the workflows that it names, as they are now.

    Args:
        context: the entity context that the graph is for.
        callees: the workflows that there are, by cuid.
        cyclic: the ids of those from which the caller is reached already.

    Raises:
        graph.WorkflowValidationError: a callee is missing, retired or of another context, or
            would close a cycle; all problems at once, each with its JSON pointer.
    """
    problems: list[Problem] = []
    try:
        graph = NodesManager.validate_nodes_data(
            source["nodes"],
            edges=source["edges"],
            context=context,
            callees={cuid: row.described_context() for cuid, row in callees.items()},
        )
    except WorkflowValidationError as refusal:
        problems += refusal.problems
        graph = parse(source)
    for node in graph.calls:
        pointer = f"/nodes/{node.index}/data/workflow"
        callee = callees.get(node.data["workflow"])
        if callee is not None and callee.state == "retired":
            detail = f"Workflow “{callee.title}” ({callee.cuid}) is retired and cannot be called."
            problems.append(Problem(pointer, WorkflowValidationError.code, detail))
        if callee is not None and callee.pk in cyclic:
            detail = (
                f"The workflow would call itself through “{callee.title}” ({callee.cuid}), "
                "which is the workflow itself or calls it, directly or through others."
            )
            problems.append(Problem(pointer, CALL_CYCLE, detail))
    if problems:
        order = [WorkflowValidationError.code, IncompatibleEntityTypes.code, CALL_CYCLE]
        raise WorkflowValidationError(sorted(problems, key=lambda row: order.index(row.code)))


def refuse_referenced(callers: QuerySet[Any], *, edit: str) -> None:
    """Raises ``Referenced`` when one of ``callers`` is there. ``edit``: "retire", "delete"."""
    rows, total = blocking_workflows(callers)
    if rows:
        titles = ", ".join(f"“{row.title}”" for row in rows)
        raise Referenced(
            f"Cannot {edit} this workflow: {_count(total, 'other workflow')} "
            f"{'calls' if total == 1 else 'call'} it ({titles}).",
            blockers=Blockers((), rows, total),
            remedies=[
                Remedy(
                    "remove_calls",
                    "Remove the run_workflow nodes that call it from these workflows"
                    + (", or delete those workflows." if edit == "delete" else ", or retire them."),
                    [row.cuid for row in rows],
                )
            ],
        )


def refuse_used(executions: QuerySet[Any], pins: QuerySet[Any]) -> None:
    """Raises ``HasExecutions`` when a workflow has executions or is pinned by some."""
    rows, total = blocking_executions(executions)
    if not rows and pins.exists():
        rows, total = blocking_executions(
            executions.model._base_manager.filter(pins__in=pins).distinct()
        )
    if rows:
        raise HasExecutions(
            blockers=Blockers(rows, (), total),
            remedies=[Remedy("retire", "Retire the workflow instead; what ran stays readable.")],
        )


def users_of_type(row: Any) -> Iterable[tuple[str, QuerySet[Any]]]:
    """What has a foreign key to this type: the name of the model, and the rows."""
    for relation in row._meta.get_fields(include_hidden=True):
        if (
            relation.auto_created
            and relation.one_to_many
            and not relation.related_model._meta.proxy
        ):
            yield (
                str(relation.related_model._meta.verbose_name),
                relation.related_model._base_manager.using(row._state.db).filter(
                    **{relation.field.name: row}
                ),
            )


def refuse_type_deletion(row: Any) -> None:
    """Raises ``TypeInUse`` when anything uses this finding type or record type."""
    uses = [(name, users.count(), users) for name, users in users_of_type(row)]
    used = [(name, number, users) for name, number, users in uses if number]
    if not used:
        return
    workflows = next((users for name, _, users in used if name == "workflow"), None)
    rows, _ = blocking_workflows(workflows) if workflows is not None else ([], 0)
    raise TypeInUse(
        f"Cannot delete the {row._meta.verbose_name} “{row}”: it is in use by "
        + ", ".join(_count(number, name) for name, number, _ in used)
        + ".",
        blockers=Blockers((), rows, sum(number for _, number, _ in used)),
        remedies=[Remedy("change_type", "Give what uses it another type first.")],
    )


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
            "changed. Save another graph with workflows.services.save_graph()."
        )


def refuse_reference_addition(reference: Any) -> None:
    """Raises ``VersionInUse`` when the version's graph does not make this call."""
    callee = reference.callee.cuid
    if (reference.node_id, callee) not in set(calls_in(reference.version.source)):
        raise VersionInUse(
            f"{reference.version} has no node “{reference.node_id}” that calls {callee}: save a "
            "graph that has one with workflows.services.save_graph()."
        )


def refuse_bulk_references() -> None:
    """Raises ``VersionInUse``: references come with their version."""
    raise VersionInUse(
        "References come with their version: save a graph that makes the calls with "
        "workflows.services.save_graph()."
    )


def _deleted_model(origin: Any) -> Any:
    return origin.model if isinstance(origin, QuerySet) else type(origin)


def refuse_version_deletion(version: Any, origin: Any) -> None:
    """Raises ``VersionInUse`` when an execution or a pin has the version.

    ``origin`` is what the deletion began with; for a workflow, its own rule answers.
    """
    if _deleted_model(origin) is not type(version):
        return
    if not version.workflow.versions.filter(number__gt=version.number).exists():
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
            f"Version {version.number} cannot be deleted: {_count(total, 'execution')} "
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
