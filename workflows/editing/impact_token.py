"""What an impact saw, carried along by whoever acts on it later.

A token holds the workflows that the judgement rested on, each with its context and its latest
version, and how far the live executions went. An execution that has ended since is no reason
to refuse; one that has come is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core import signing
from django.db.models import Max

from workflows import guards
from workflows.editing.context_edit import ContextChange
from workflows.models import Reference, Version, Workflow, call_queries
from workflows.refusals import Blockers, Problem, Remedy

SALT = "holdfast.impact"


def seen(ids: Iterable[int], change: ContextChange) -> dict[str, Any]:
    """What the judgement of this change rests on, as the database has it now."""
    using = change.using
    own = sorted(set(ids))
    latest = Version.objects.using(using).latest_of_each()
    called = Reference._base_manager.using(using).filter(
        version__in=latest.filter(workflow_id__in=own)
    )
    concerned = {
        *own,
        *call_queries.walk(own, "callers", using, in_use=True),
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
        "execution": _newest(change),
    }


def _newest(change: ContextChange) -> int:
    blocking = (change.own_executions(), change.dependent_executions())
    return max(rows.aggregate(newest=Max("pk"))["newest"] or 0 for rows in blocking)


def token_of(ids: Iterable[int], change: ContextChange) -> str:
    """The token of an impact."""
    return signing.dumps(seen(ids, change), salt=SALT, compress=True)


def refuse_stale(token: str, ids: Iterable[int], change: ContextChange) -> None:
    """Judge whether what the token saw is still so.

    Raises:
        guards.InvalidToken: it is no token, or one for another change.
        guards.StaleToken: what has changed since, each with a sentence.
    """
    try:
        then = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        raise guards.InvalidToken from None
    now = seen(ids, change)
    if (then["to"], then["of"]) != (now["to"], now["of"]):
        raise guards.InvalidToken("The token was given for another change.")
    problems = list(_other_workflows(then["workflows"], now["workflows"]))
    executions, total = guards.blocking_executions(
        (change.own_executions() | change.dependent_executions()).filter(pk__gt=then["execution"])
    )
    problems += [
        Problem(
            "/token",
            "new_execution",
            f"Execution {row.cuid} of “{row.workflow_title}” stands in the way now.",
        )
        for row in executions
    ]
    if problems:
        raise guards.StaleToken(
            "What the token was given for has changed since: "
            + " ".join(problem.detail for problem in problems[: guards.LISTED]),
            problems=problems,
            blockers=Blockers(executions, (), total),
            remedies=[Remedy("ask_again", "Ask for the impact again, and judge by that.")],
        )


def _other_workflows(then: dict[str, Any], now: dict[str, Any]) -> Iterable[Problem]:
    differ = sorted(cuid for cuid in {*then, *now} if then.get(cuid) != now.get(cuid))
    titles = dict(Workflow._base_manager.filter(cuid__in=differ).values_list("cuid", "title"))
    for cuid in differ:
        named = f"workflow “{titles.get(cuid, cuid)}” ({cuid})"
        if cuid not in then:
            detail, code = f"The {named} is concerned now.", "new_workflow"
        elif cuid not in now:
            detail, code = f"The {named} is not concerned any more.", "no_workflow"
        elif then[cuid][0] != now[cuid][0]:
            detail, code = f"The {named} has another finding type.", "other_type"
        else:
            detail, code = f"The {named} has another version.", "other_version"
        yield Problem("/token", code, detail)
