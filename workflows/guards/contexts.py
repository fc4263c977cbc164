"""The entity context: what may not change under what runs, and what waits until it has ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from workflows.graph import incompatibility_message
from workflows.guards.blockers import LISTED, blocking_executions, count
from workflows.guards.triggers import TriggerTaken, free_trigger_remedy, taken
from workflows.refusals import (
    Blockers,
    BlockingExecution,
    BlockingWorkflow,
    Problem,
    Refusal,
    Remedy,
)


class ContextShape(Refusal):
    message = _("A Finding has a finding type and no record type; an InventoryModel the reverse.")
    code = "context_shape"


class ActiveExecutions(Refusal):
    message = _("Cannot change finding type while this workflow has active executions.")
    code = "active_executions"


class DependentActiveExecutions(Refusal):
    message = _(
        "Cannot change finding type: workflows referencing this one have active executions."
    )
    code = "dependent_active_executions"


class IncompatibleEntityTypes(Refusal):
    message = _("Run Workflow: Incompatible entity name types.")
    code = "incompatible_entity_types"


class NoSuchType(Refusal):
    message = _("There is no such finding type or record type.")
    code = "no_such_type"


class Draining(Refusal):
    message = _("A change of finding type has been put on hold until what runs has ended.")
    code = "draining"


class StaleToken(Refusal):
    message = _("What the token was given for has changed since.")
    code = "stale_token"


class InvalidToken(Refusal):
    message = _("The token is not one that an impact of this change has answered.")
    code = "invalid_token"


class NotOnHold(Refusal):
    message = _("The change is not on hold any more.")
    code = "settled"


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

    def trigger_conflicts(self) -> Sequence[BlockingWorkflow]:
        """The workflows that would start on creation beside another one, after a change."""

    def members(self) -> Sequence[BlockingWorkflow]:
        """The set itself."""

    def group(self) -> Sequence[BlockingWorkflow]:
        """The smallest set around this one that has no crossings."""

    def group_executions(self) -> QuerySet[Any]:
        """The live executions of that set, beside those of this one and its dependents."""


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


def refuse_context_change(change: ContextChangeFacts, *, drained: bool = False) -> None:
    """Judge a change of entity context; the first rule that holds names it, the rest are added.

    ``drained``: the change waits until what runs has ended, so only the graphs are judged.

    Raises:
        ActiveExecutions: the workflows have live executions.
        DependentActiveExecutions: a dependent has live executions that can reach them,
            through the version they run, their pins, or its latest version.
        IncompatibleEntityTypes: the latest graph of one of them, or of a dependent, would
            call across contexts.
        TriggerTaken: two workflows would start when an entity of the new context is created.
    """
    found: list[tuple[type[Refusal], str]] = []
    own: list[BlockingExecution] = []
    dependent: list[BlockingExecution] = []
    executions_total = 0
    if not drained:
        own, own_total = blocking_executions(change.own_executions())
        if own:
            found.append((ActiveExecutions, str(ActiveExecutions.message)))
        dependent, dependent_total = blocking_executions(change.dependent_executions())
        if dependent:
            found.append((DependentActiveExecutions, str(DependentActiveExecutions.message)))
        executions_total = own_total + dependent_total
    crossings = change.crossings()
    found += [
        (
            IncompatibleEntityTypes,
            incompatibility_message(crossing.caller_context, crossing.callee_context),
        )
        for crossing in crossings
    ]
    takers = change.trigger_conflicts()
    if takers:
        found.append((TriggerTaken, taken(takers)))
    if not found:
        return
    others = list(dict.fromkeys([*(crossing.other for crossing in crossings), *takers]))
    refusal, message = found[0]
    ways = list(_ways_to_change(change, [*own, *dependent], executions_total, bool(crossings)))
    raise refusal(
        message,
        problems=[
            Problem("/trigger" if kind is TriggerTaken else f"/{change.field}", kind.code, text)
            for kind, text in found
        ],
        blockers=Blockers(
            [*own, *dependent][:LISTED], others[:LISTED], executions_total + len(others)
        ),
        remedies=[*ways, free_trigger_remedy(takers)] if takers else ways,
    )


def _ways_to_change(
    change: ContextChangeFacts,
    executions: Sequence[BlockingExecution],
    total: int,
    together: bool,
) -> Iterable[Remedy]:
    """Finish what runs, or wait for it; change together what must move along."""
    group = change.group() if together else change.members()
    beside, beside_total = blocking_executions(change.group_executions()) if together else ([], 0)
    cuids = [workflow.cuid for workflow in group]
    if total + beside_total:
        yield Remedy(
            "finish_or_cancel",
            f"Finish or cancel {count(total + beside_total, 'live execution')} first.",
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
        who = change.asker or "somebody"
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
