"""Reassigning an open step to other groups and users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.engine.node_visit import NodeVisit
from executions.engine.nodes.approval import Approval
from executions.engine.nodes.assignees import candidates
from executions.models import FOR_PEOPLE, Execution, Step
from executions.services.advancing import lock_tree, visit_open_step
from executions.services.voting import count_votes
from workflows.audit.log import Action, make_attempt, record, recording_refusals
from workflows.db import locks
from workflows.guards import Stale, find_unknown_people
from workflows.guards.database_errors import translate_database_errors
from workflows.models import Candidate
from workflows.models.candidate import (
    GROUPS,
    USERS,
    AssigneeName,
    read_voting_rule,
    resolve_candidates,
    step_key,
)
from workflows.refusals import Attempt, Problem, Refusal


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
    """Replace the assignees of one open form or approval.

    Other visits of the node keep theirs. The step is no longer claimed. The votes of accounts that
    may still vote stay, and may decide the step.

    Args:
        groups, users: the names of the new assignees; at least one.
        why: the reason, for the audit log.
        node, step: the node or the cuid of the open step.
        instead_of: the ``groups`` and ``users`` that the caller has read; None skips the check.

    Raises:
        guards.Stale: the assignees have changed since they were read.
        NotReassignable: the step has no assignees, nobody is named, a name is unknown, or there is
            no reason.
        guards.NotOpen, guards.ExecutionEnded: as ``submit``.
    """

    def attempt(**values: Any) -> Attempt:
        return make_attempt(execution, Action.REASSIGNED, why=why, by=by, **values)

    named = [
        AssigneeName("", True, name, f"/{GROUPS}/{place}") for place, name in enumerate(groups)
    ]
    named += [
        AssigneeName("", False, name, f"/{USERS}/{place}") for place, name in enumerate(users)
    ]
    requested = {"node": node or step, GROUPS: list(groups), USERS: list(users)}
    with recording_refusals(lambda: [attempt(after=requested)]):
        return _reassign(execution, named, why, node, step, by, instead_of)


@translate_database_errors
@locks.retrying
def _reassign(
    execution: Execution,
    named: list[AssigneeName],
    why: str,
    node: str | None,
    step: str | None,
    by: Any,
    read: Mapping[str, Sequence[str]] | None,
) -> Execution:
    with transaction.atomic():
        visit = visit_open_step(lock_tree(execution, by), node, step)
        current = visit.run.execution
        if visit.node.type not in FOR_PEOPLE:
            raise NotReassignable(f"Step “{visit.node.label}” has no assignees.")
        chosen = _resolve_names(named, why)
        before = assignee_names(list(candidates(visit.candidates_key)))
        if read is not None:
            _refuse_stale(before, read, named)
        replace_candidates(visit, chosen)
        if visit.node.type == Approval.name:
            count_votes(visit)
        visit.advance.finish()
        after = assignee_names(list(candidates(step_key(visit.step.cuid))))
        entry = make_attempt(
            current,
            Action.REASSIGNED,
            before={"node": visit.node.id, **before},
            after={"node": visit.node.id, "step": visit.step.cuid, **after},
            why=why,
            by=by,
        )
        record([entry])
        return current


def _resolve_names(named: list[AssigneeName], why: str) -> list[Candidate]:
    if not why.strip():
        raise _missing("/why", "Give a reason.")
    if not named:
        raise _missing(f"/{GROUPS}", "Name a group or a user.")
    unique = list({(one.is_group, one.name): one for one in named}.values())
    chosen = resolve_candidates(unique)
    if problems := find_unknown_people(unique, chosen):
        raise NotReassignable(problems[0].detail, code=problems[0].code, problems=problems)
    return chosen


def _refuse_stale(
    before: Mapping[str, Sequence[str]],
    read: Mapping[str, Sequence[str]],
    named: list[AssigneeName],
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


def _missing(pointer: str, detail: str) -> NotReassignable:
    return NotReassignable(detail, problems=[Problem(pointer, "required", detail)])


def replace_candidates(visit: NodeVisit, chosen: list[Candidate]) -> None:
    """Give an open step candidates of its own: unsaved rows."""
    step, key = visit.step, step_key(visit.step.cuid)
    Candidate.objects.filter(key=key).delete()
    for row in chosen:
        for name, value in read_voting_rule(visit.node.data).items():
            setattr(row, name, value)
        row.version_id = visit.run.execution.version_id
        row.node_id, row.step, row.key = step.node_id, step.cuid, key
    Candidate.objects.bulk_create(chosen)
    Step._base_manager.filter(pk=step.pk).update(assignees=key, claimed_by=None, claimed_at=None)
    step.assignees, step.claimed_by = key, None


def assignee_names(rows: Sequence[Candidate]) -> dict[str, list[str]]:
    """Return the present names of candidates: of groups, and of users."""
    return {
        GROUPS: [row.current_name for row in rows if row.is_group],
        USERS: [row.current_name for row in rows if not row.is_group],
    }
