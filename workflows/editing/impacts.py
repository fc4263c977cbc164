"""Impact: the effects of a change of entity context, judged without making it.

An impact carries a token of what the judgement rested on: the workflows involved, each with its
context and latest version, and the newest live execution. The change is refused if the token is
stale. An execution that has ended since does not make it stale; a new one does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.core import signing
from django.db.models import Exists, Max, OuterRef
from django.utils.translation import gettext

from workflows import guards, running
from workflows.editing.context_change import ContextChange, read_workflows
from workflows.models import Context, Reference, Version, Workflow, call_queries
from workflows.refusals import Blockers, BlockingWorkflow, Problem, Refusal, Remedy

SALT = "holdfast.impact"


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version that the change would append, or that would replace the latest one."""

    workflow: Workflow
    number: int
    replaces: bool


@dataclass(frozen=True, slots=True)
class Impact:
    """The refusal of a change, if any, and what the change takes and makes.

    ``can_wait`` is True if the change can be put on hold; ``hold_refusal`` says why not. Both are
    judged only if the caller asked for it.
    """

    refusal: Refusal | None
    workflows: Sequence[Workflow]
    group: Sequence[BlockingWorkflow]
    versions: Sequence[NewVersion]
    token: str
    can_wait: bool = False
    hold_refusal: Refusal | None = None

    @property
    def is_allowed(self) -> bool:
        """Return True if the change would be made now."""
        return self.refusal is None


def impact(
    workflows: Iterable[Workflow], context: Context, *, when: Literal["now", "drained"] = "now"
) -> Impact:
    """Judge a change of entity context; write nothing.

    Args:
        workflows: the workflows that would change together.
        context: their new context.
        when: ``drained`` also asks whether the change can be put on hold.

    Raises:
        guards.RowDeleted: one of the workflows has been deleted.
    """
    rows = read_workflows({row.pk for row in workflows})
    change = ContextChange(rows, context)
    # Before the judgement, so that a change between the two makes the token stale.
    token = create_token(change)
    refusal = _refusal_of(change.judge)
    can_wait, hold_refusal = False, None
    if when == "drained" and refusal is not None and _blocked_by_executions_only(refusal):
        hold_refusal = _refusal_of(change.judge_hold)
        can_wait = hold_refusal is None
    return Impact(
        refusal,
        rows,
        change.group() if change.workflows else [],
        _new_versions(change.workflows),
        token,
        can_wait,
        hold_refusal,
    )


def _refusal_of(judge: Any) -> Refusal | None:
    try:
        judge()
    except guards.Refusal as refusal:
        return refusal
    return None


def _blocked_by_executions_only(refusal: Refusal) -> bool:
    codes = {refusal.code, *(row.code for row in refusal.problems)}
    return codes <= {guards.ActiveExecutions.code, guards.DependentActiveExecutions.code}


def _new_versions(workflows: Sequence[Workflow]) -> list[NewVersion]:
    executions, pk = running.registered, OuterRef("pk")
    is_used = Exists(executions.executions().filter(version_id=pk)) | Exists(
        executions.pins().filter(version_id=pk)
    )
    latest: Any = Version.objects.latest_of_each()
    rows = latest.filter(workflow__in=[row.pk for row in workflows]).annotate(is_used=is_used)
    found = {row[0]: row[1:] for row in rows.values_list("workflow_id", "number", "is_used")}
    return [
        NewVersion(row, number + is_used, not is_used)
        for row in workflows
        if row.pk in found
        for number, is_used in [found[row.pk]]
    ]


class UndecidedChange(ContextChange):
    """A change of a workflow to any other context, before one has been chosen."""

    def __init__(self, workflow: Workflow) -> None:
        super().__init__([workflow], Context("", None, None))
        self.field = "entity_name_type"

    def crossings(self) -> Sequence[guards.Crossing]:
        """Return nothing: crossings depend on the context."""
        return ()

    def trigger_conflicts(self) -> Sequence[BlockingWorkflow]:
        """Return nothing: conflicts depend on the context."""
        return ()

    def refusal(self) -> guards.Refusal | None:
        """Return the refusal of every change, or None."""
        return _refusal_of(self.judge)


# Tokens


def create_token(change: ContextChange) -> str:
    """Return a signed token of what the judgement of this change rests on."""
    return signing.dumps(_basis(change), salt=SALT, compress=True)


def refuse_stale_token(token: str, change: ContextChange) -> None:
    """Compare what the token was created for with the database.

    Raises:
        guards.InvalidToken: it is not a token, or one for another change.
        guards.StaleToken: something has changed since, with a problem for each difference.
    """
    try:
        then = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        raise guards.InvalidToken from None
    now = _basis(change)
    if (then["to"], then["of"]) != (now["to"], now["of"]):
        raise guards.InvalidToken(gettext("The token belongs to another change."))
    problems = list(_changed_workflows(then["workflows"], now["workflows"]))
    executions, total = guards.blocking_executions(
        (change.own_executions() | change.dependent_executions()).filter(pk__gt=then["execution"])
    )
    problems += [
        Problem(
            "/token",
            "new_execution",
            gettext("Execution {cuid} of “{title}” now blocks the change.").format(
                cuid=row.cuid, title=row.workflow_title
            ),
        )
        for row in executions
    ]
    if problems:
        raise guards.StaleToken(
            gettext("Something has changed since the token was issued:")
            + " "
            + " ".join(problem.detail for problem in problems[: guards.LISTED]),
            problems=problems,
            blockers=Blockers(executions, (), total),
            remedies=[Remedy("ask_again", gettext("Request the impact again and review it."))],
        )


def _basis(change: ContextChange) -> dict[str, Any]:
    own = change.requested_ids
    latest = Version.objects.latest_of_each()
    called = Reference._base_manager.filter(version__in=latest.filter(workflow_id__in=own))
    concerned = {
        *own,
        *call_queries.follow_calls(own, "callers", in_use=True),
        *called.values_list("callee_id", flat=True),
    }
    rows = latest.filter(workflow_id__in=concerned).order_by("workflow_id")
    return {
        "to": change.context.key,
        "of": own,
        "workflows": {
            cuid: [context, version]
            for cuid, context, version in rows.values_list(
                "workflow__cuid", "workflow__context_key", "cuid"
            )
        },
        "execution": max(
            rows.aggregate(newest=Max("pk"))["newest"] or 0
            for rows in (change.own_executions(), change.dependent_executions())
        ),
    }


def _changed_workflows(then: dict[str, Any], now: dict[str, Any]) -> Iterator[Problem]:
    changed = sorted(cuid for cuid in {*then, *now} if then.get(cuid) != now.get(cuid))
    titles = dict(Workflow._base_manager.filter(cuid__in=changed).values_list("cuid", "title"))
    for cuid in changed:
        if cuid not in then:
            detail, code = gettext("Workflow “{title}” ({cuid}) is now affected."), "new_workflow"
        elif cuid not in now:
            detail, code = (
                gettext("Workflow “{title}” ({cuid}) is no longer affected."),
                "no_workflow",
            )
        elif then[cuid][0] != now[cuid][0]:
            detail, code = (
                gettext("Workflow “{title}” ({cuid}) has another finding type."),
                "other_type",
            )
        else:
            detail, code = (
                gettext("Workflow “{title}” ({cuid}) has another version."),
                "other_version",
            )
        title = titles.get(cuid, cuid)
        yield Problem("/token", code, detail.format(title=title, cuid=cuid))
