"""Rules for the entity context: its shape, changes, and changes on hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models import QuerySet
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from workflows.graph import incompatibility_message
from workflows.guards.blockers import LISTED, blocking_executions
from workflows.guards.triggers import TriggerTaken, describe_taken_trigger, free_trigger_remedy
from workflows.refusals import (
    Blockers,
    BlockingExecution,
    BlockingWorkflow,
    Problem,
    Refusal,
    Remedy,
)
from workflows.values import moments


class ContextShape(Refusal):
    message = _(
        "A Finding has a finding type and no record type. An InventoryModel has a record type and "
        "no finding type."
    )
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
    message = _("This finding type or record type does not exist.")
    code = "no_such_type"


class Draining(Refusal):
    message = _("A change of finding type is on hold until the live executions have ended.")
    code = "draining"


class StaleToken(Refusal):
    message = _("Something has changed since the token was issued.")
    code = "stale_token"


class InvalidToken(Refusal):
    message = _("The token does not come from an impact of this change.")
    code = "invalid_token"


class NotOnHold(Refusal):
    message = _("The change is no longer on hold.")
    code = "settled"


@dataclass(frozen=True, slots=True)
class Crossing:
    """A call of a latest version that would cross contexts after a change."""

    caller: BlockingWorkflow
    callee: BlockingWorkflow
    caller_context: Any
    callee_context: Any
    other: BlockingWorkflow


class ContextChangeFacts(Protocol):
    """The facts that the rule needs about a change of a set of workflows."""

    field: str

    def own_executions(self) -> QuerySet[Any]:
        """Return the live executions of the set."""

    def dependent_executions(self) -> QuerySet[Any]:
        """Return the live executions outside the set that can reach it."""

    def crossings(self) -> Sequence[Crossing]:
        """Return the calls of latest versions between the set and another context."""

    def trigger_conflicts(self) -> Sequence[BlockingWorkflow]:
        """Return the workflows that would start on creation beside another one."""

    def members(self) -> Sequence[BlockingWorkflow]:
        """Return the workflows of the set."""

    def group(self) -> Sequence[BlockingWorkflow]:
        """Return the smallest set around this one that has no crossings."""

    def group_executions(self) -> QuerySet[Any]:
        """Return the live executions of the group, without those of the set and its dependents."""


def refuse_context_shape(row: Any) -> None:
    """Raise ``ContextShape`` if the entity name and the types do not match."""
    finding = row.entity_name == "Finding"
    has = (row.entity_name_type_id is not None, row.primary_record_type_id is not None)
    if has != (finding, not finding):
        raise ContextShape(
            problems=[
                Problem(
                    "/entity_name_type" if finding else "/primary_record_type",
                    ContextShape.code,
                    gettext("A Finding needs a finding type and no record type.")
                    if finding
                    else gettext("An InventoryModel needs a record type and no finding type."),
                )
            ]
        )


def refuse_context_change(change: ContextChangeFacts, *, drained: bool = False) -> None:
    """Judge a change of entity context.

    The first broken rule gives the refusal its code and message; all of them are in its problems.

    Args:
        change: the facts of the change.
        drained: the change waits for the live executions, so they are not judged.

    Raises:
        ActiveExecutions: the workflows have live executions.
        DependentActiveExecutions: a dependent has live executions that can reach them, through the
            version they run, their pins, or its latest version.
        IncompatibleEntityTypes: the latest graph of one of them, or of a dependent, would call
            across contexts.
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
    conflicts = change.trigger_conflicts()
    if conflicts:
        found.append((TriggerTaken, describe_taken_trigger(conflicts)))
    if not found:
        return
    others = list(dict.fromkeys([*(crossing.other for crossing in crossings), *conflicts]))
    refusal, message = found[0]
    remedies = list(_remedies(change, [*own, *dependent], executions_total, bool(crossings)))
    if conflicts:
        remedies.append(free_trigger_remedy(conflicts))
    raise refusal(
        message,
        problems=[
            Problem("/trigger" if rule is TriggerTaken else f"/{change.field}", rule.code, text)
            for rule, text in found
        ],
        blockers=Blockers(
            [*own, *dependent][:LISTED], others[:LISTED], executions_total + len(others)
        ),
        remedies=remedies,
    )


def _remedies(
    change: ContextChangeFacts,
    executions: Sequence[BlockingExecution],
    total: int,
    has_crossings: bool,
) -> Iterable[Remedy]:
    group = change.group() if has_crossings else change.members()
    others, others_total = (
        blocking_executions(change.group_executions()) if has_crossings else ([], 0)
    )
    cuids = [workflow.cuid for workflow in group]
    if total + others_total:
        yield Remedy(
            "finish_or_cancel",
            ngettext(
                "Finish or cancel {count} live execution first.",
                "Finish or cancel {count} live executions first.",
                total + others_total,
            ).format(count=total + others_total),
            sorted({row.workflow_cuid for row in [*executions, *others]}),
        )
    if has_crossings:
        titles = ", ".join(f"“{workflow.title}”" for workflow in group[:LISTED])
        detail = gettext("Change these workflows together: {titles}.").format(titles=titles)
        yield Remedy("change_together", detail, cuids)
    if total + others_total:
        yield Remedy(
            "when_drained",
            gettext(
                "Put the change on hold: no new execution starts, and the change is applied when "
                "the live executions have ended."
            ),
            cuids,
        )


def _draining_sentence(rows: Sequence[Any]) -> str:
    change = rows[0].change
    return ngettext(
        "Workflow {workflows} is draining. At {date}, {user} requested to change its finding type "
        "to “{type}” when its live executions have ended.",
        "Workflows {workflows} are draining. At {date}, {user} requested to change their finding "
        "type to “{type}” when their live executions have ended.",
        len(rows),
    ).format(
        workflows=", ".join(f"“{row.title}”" for row in rows),
        date=moments.format_moment(change.asked_at),
        user=change.asker or gettext("an unknown user"),
        type=change.context_type,
    )


def refuse_draining(waiting: Sequence[Any]) -> None:
    """Raise ``Draining`` if a change of one of the workflows is on hold.

    Args:
        waiting: the ``PendingWorkflow`` rows of these workflows.
    """
    if not waiting:
        return
    by_change: dict[str, list[Any]] = {}
    for row in waiting:
        by_change.setdefault(row.change.cuid, []).append(row)
    sentences = [_draining_sentence(rows) for rows in by_change.values()]
    changes = sorted(by_change)
    raise Draining(
        " ".join(sentences),
        blockers=Blockers(
            (), [BlockingWorkflow(row.cuid, row.title) for row in waiting], len(waiting)
        ),
        remedies=[
            Remedy(
                "withdraw",
                gettext(
                    "Wait until the change has been applied, or withdraw it: pending change "
                    "{cuids}."
                ).format(cuids=", ".join(changes)),
                [row.cuid for row in waiting],
            )
        ],
    )
