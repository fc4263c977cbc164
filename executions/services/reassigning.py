"""Reassigning: an operator replaces the groups and users that one open step asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.approval import Approval
from executions.engine.nodes.assignees import candidates
from executions.engine.run import NodeVisit
from executions.models import FOR_PEOPLE, Execution, Step
from executions.services.advancing import locked_advance, visit_to
from executions.services.vote_counting import count_votes
from workflows.audit.log import Action, attempting, record, told
from workflows.db import locks
from workflows.guards import Stale, unknown_people
from workflows.guards.database_errors import translated
from workflows.models import Candidate
from workflows.models.candidate import GROUPS, USERS, Named, needed_by, resolve, step_key
from workflows.refusals import Attempt, Problem, Refusal

DB = "default"


class NotReassignable(Refusal):
    message = _("The step cannot be reassigned like this.")
    code = "not_reassignable"


def reassign(
    execution: Execution,
    *,
    groups: Sequence[str] = (),
    users: Sequence[str] = (),
    why: str,
    node: str | None = None,
    step: str | None = None,
    by: Any = None,
    instead_of: Mapping[str, Sequence[str]] | None = None,
) -> Execution:
    """Replace the people that one open form or approval asks; other steps keep theirs.

    The votes of accounts that are still asked stay, and may decide the step.

    Args:
        groups, users: the names of those that the step asks from now on; at least one.
        why: the reason, for the audit log.
        node, step: the node or the cuid of the open step.
        instead_of: the ``groups`` and ``users`` that the step asked when it was read; None: any.

    Raises:
        guards.Stale: the step asks others than when it was read.
        NotReassignable: the step asks nobody, nobody is named, a name is unknown, or no reason is
            given.
        guards.NotOpen, guards.Ended: as ``submit``.
    """

    def attempt(**values: Any) -> Attempt:
        return told(execution, Action.REASSIGNED, why=why, by=by, **values)

    named = [Named("", True, name, f"/{GROUPS}/{place}") for place, name in enumerate(groups)]
    named += [Named("", False, name, f"/{USERS}/{place}") for place, name in enumerate(users)]
    asked = {"node": node or step, GROUPS: list(groups), USERS: list(users)}
    with attempting(lambda: [attempt(after=asked)], using=DB):
        return _reassign(execution, named, why, node, step, by, instead_of)


@translated
@locks.retrying
def _reassign(
    execution: Execution,
    named: list[Named],
    why: str,
    node: str | None,
    step: str | None,
    by: Any,
    read: Mapping[str, Sequence[str]] | None,
) -> Execution:
    with transaction.atomic():
        visit = visit_to(locked_advance(execution, by), node, step)
        current = visit.run.execution
        if visit.node.type not in FOR_PEOPLE:
            raise NotReassignable(f"Step “{visit.node.label}” asks nobody.")
        chosen = _chosen(named, why)
        before = names_by_kind(list(candidates(visit.asks)))
        if read is not None:
            _refuse_stale(before, read, named)
        _replace(visit, chosen)
        if visit.node.type == Approval.name:
            count_votes(visit)
        visit.advance.finish()
        after = names_by_kind(list(candidates(step_key(visit.step.cuid))))
        entry = told(
            current,
            Action.REASSIGNED,
            before={"node": visit.node.id, **before},
            after={"node": visit.node.id, **after},
            why=why,
            by=by,
        )
        record([entry], using=DB)
        return current


def _chosen(named: list[Named], why: str) -> list[Candidate]:
    if not why.strip():
        raise _refused("/why", "Give a reason.")
    if not named:
        raise _refused(f"/{GROUPS}", "Name a group or a user.")
    unique = list({(one.is_group, one.name): one for one in named}.values())
    chosen = resolve(unique)
    if problems := unknown_people(unique, chosen):
        raise NotReassignable(problems[0].detail, code=problems[0].code, problems=problems)
    return chosen


def _refuse_stale(
    before: Mapping[str, Sequence[str]], read: Mapping[str, Sequence[str]], named: list[Named]
) -> None:
    labels = {GROUPS: _("Groups"), USERS: _("Users")}
    problems = []
    for name, label in labels.items():
        typed = [one.name for one in named if one.is_group == (name == GROUPS)]
        if set(before[name]) in (set(read.get(name, ())), set(typed)):
            continue
        detail = gettext("%(label)s: now %(now)s, yours %(yours)s.") % {
            "label": label,
            "now": _listed(before[name]),
            "yours": _listed(typed),
        }
        problems.append(Problem(f"/{name}", Stale.code, detail))
    if problems:
        raise Stale(problems)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"“{name}”" for name in names) or gettext("empty")


def _refused(pointer: str, detail: str) -> NotReassignable:
    return NotReassignable(detail, problems=[Problem(pointer, "required", detail)])


def _replace(visit: NodeVisit, chosen: list[Candidate]) -> None:
    step, key = visit.step, step_key(visit.step.cuid)
    Candidate.objects.filter(key=key).delete()
    for row in chosen:
        row.needed = needed_by(visit.node.data)
        row.version_id = visit.run.execution.version_id
        row.node_id, row.step, row.key = step.node_id, step.cuid, key
    Candidate.objects.bulk_create(chosen)
    Step._base_manager.filter(pk=step.pk).update(assignees=key)
    step.assignees = key


def names_by_kind(rows: Sequence[Candidate]) -> dict[str, list[str]]:
    """Return the names of candidates as they are now: of groups, and of users."""
    return {
        GROUPS: [row.current_name for row in rows if row.is_group],
        USERS: [row.current_name for row in rows if not row.is_group],
    }
