"""Moving the executions of a tree to another version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from executions.engine.move_mapping import find_mapping_problems, read_mapping
from executions.engine.move_plan import MovePlan, Obstacle, plan_steps
from executions.models import LIVE, Execution
from executions.services.decisions import require_reason
from executions.services.move_destination import Destination, find_destination
from executions.services.move_reading import (
    LiveTree,
    lock_live_tree,
    read_live_tree,
    read_members,
)
from executions.services.move_writing import write_move
from workflows.audit.log import Action, make_attempt, recording_refusals
from workflows.db import locks
from workflows.db.json_values import checksum
from workflows.guards.database_errors import translate_database_errors
from workflows.models import Version
from workflows.refusals import Problem, Refusal, Remedy

QUOTED = 3
"""The number of obstacles that the message of a refusal quotes."""


class MoveRefused(Refusal):
    message = _("The execution cannot be moved to this version.")
    code = "move_refused"

    def __init__(self, obstacles: Sequence[Obstacle]) -> None:
        reasons = " ".join(dict.fromkeys(row.reason for row in obstacles[:QUOTED]))
        more = len(obstacles) - QUOTED
        if more > 0:
            reasons += " " + ngettext(
                "And {number} more obstacle.", "And {number} more obstacles.", more
            ).format(number=more)
        remedies = dict.fromkeys(row.remedy for row in obstacles)
        super().__init__(
            f"{self.message} {reasons}",
            problems=[Problem(row.pointer, row.code, row.reason) for row in obstacles],
            remedies=[Remedy("remove_obstacle", remedy) for remedy in remedies],
        )
        self.obstacles = obstacles


@dataclass(frozen=True, slots=True)
class MoveResult:
    """The plan of a move, or its result.

    Attributes:
        version: the new version of the root; None if there is no such version.
        executions: the live executions of the tree with their present and their new version.
        token: identifies the state that was planned; ``move`` refuses another one.
        is_moved: False for a plan.
    """

    execution: Execution
    version: Version | None
    plan: MovePlan
    executions: list[tuple[Execution, Version, Version | None]] = field(default_factory=list)
    token: str = ""
    is_moved: bool = False


def plan_move(
    execution: Execution,
    *,
    to: Version | int | None = None,
    mapping: Mapping[str, Any] | None = None,
    retime: bool = False,
) -> MoveResult:
    """Return the plan of a move with its obstacles. Arguments as ``move``.

    It changes and locks nothing. With its ``token``, ``move`` refuses if anything has changed.
    """
    return _plan(execution, to, {} if mapping is None else mapping, retime)


@translate_database_errors
@locks.retrying
def _plan(
    execution: Execution, to: Version | int | None, mapping: Mapping[str, Any], retime: bool
) -> MoveResult:
    with locks.stable_snapshot():
        return _Move(execution, to, mapping, retime, lock=False).planned


def move(
    execution: Execution,
    *,
    to: Version | int | None = None,
    mapping: Mapping[str, Any] | None = None,
    retime: bool = False,
    token: str | None = None,
    why: str,
    by: Any = None,
) -> MoveResult:
    """Move a root and its live descendants to other versions, in one transaction.

    Callees get the versions that a start of the root's version would pin now. Open steps
    continue at the node of the same id and type, or where the mapping says.

    Args:
        to: the version of the root, or its number; the latest by default.
        mapping: the new node of each open step that does not continue at its own
            (``engine.move_mapping``).
        retime: compute due times again where the settings for them differ.
        token: the token of the plan; refuse if anything has changed since.
        why: the reason, for the audit log.

    Raises:
        MoveRefused: there are obstacles.
        ReasonRequired: ``why`` is blank.
    """
    number = to.number if isinstance(to, Version) else to
    requested = {"version": number, "mapping": {} if mapping is None else mapping, "retime": retime}
    with recording_refusals(
        lambda: [make_attempt(execution, Action.MOVED, after=requested, why=why, by=by)]
    ):
        require_reason(why)
        return _move(execution, to, {} if mapping is None else mapping, retime, token, why, by)


@translate_database_errors
@locks.retrying
def _move(
    execution: Execution,
    to: Version | int | None,
    mapping: Mapping[str, Any],
    retime: bool,
    token: str | None,
    why: str,
    by: Any,
) -> MoveResult:
    with transaction.atomic():
        found = _Move(execution, to, mapping, retime)
        planned = found.planned
        obstacles = planned.plan.obstacles
        if token is not None and token != planned.token:
            obstacles = [_outdated(), *obstacles]
        if obstacles:
            raise MoveRefused(obstacles)
        assert found.tree is not None and found.destination is not None
        write_move(found.tree, found.destination, planned.plan, retime=retime, why=why, by=by)
        return MoveResult(
            found.tree.root, planned.version, planned.plan, planned.executions, is_moved=True
        )


class _Move:
    """A move, under its locks if it is to be made: the tree, the destination and the plan."""

    def __init__(
        self,
        execution: Execution,
        to: Version | int | None,
        mapping: Mapping[str, Any],
        retime: bool,
        *,
        lock: bool = True,
    ) -> None:
        self.is_locking = lock
        self.tree: LiveTree | None = None
        self.destination: Destination | None = None
        self.planned = MoveResult(execution, None, MovePlan())
        problems = list(find_mapping_problems(mapping))
        if execution.root_id is not None:
            self._note(_not_a_root(execution))
        elif problems:
            remedy = gettext("Correct the mapping.")
            self._note(*(Obstacle(row.code, row.detail, remedy, row.pointer) for row in problems))
        else:
            self._plan(execution, to, mapping, retime)

    def _note(self, *obstacles: Obstacle) -> None:
        self.planned.plan.obstacles.extend(obstacles)

    def _plan(
        self,
        execution: Execution,
        to: Version | int | None,
        mapping: Mapping[str, Any],
        retime: bool,
    ) -> None:
        read_tree = lock_live_tree if self.is_locking else read_live_tree
        self.tree = tree = read_tree(execution)
        if tree.root.status not in LIVE:
            self._note(_ended(tree.root))
            return
        self.destination = destination = find_destination(tree.root, to, lock=self.is_locking)
        self._note(*destination.obstacles)
        if destination.version is None:
            return
        if destination.is_present(tree.root):
            self._note(_already_there(destination.version))
        members = read_members(tree, destination)
        called = [version.workflow.cuid for version in destination.versions]
        known = [*called, *tree.pinned, *(one.workflow for one in members)]
        mapped = read_mapping(mapping, members[0].workflow, known)
        plan = plan_steps(members, mapped)
        plan.obstacles[:0] = self.planned.plan.obstacles
        executions = [
            (row, row.version, destination.version_of(row.workflow_id)) for row in tree.executions
        ]
        token = _fingerprint(tree.root, destination, mapping, retime)
        self.planned = MoveResult(tree.root, destination.version, plan, executions, token)


def _fingerprint(
    root: Execution, destination: Destination, mapping: Mapping[str, Any], retime: bool
) -> str:
    """Return the token of a plan. Each change in a tree writes the time of its root."""
    return checksum(
        [root.cuid, root.updated_at.isoformat(), root.version_id, root.closure_id],
        [[row.pk, row.checksum] for row in destination.versions],
        mapping,
        retime,
    )


def _not_a_root(execution: Execution) -> Obstacle:
    return Obstacle(
        "not_a_root",
        gettext("Another execution called this one."),
        gettext("Move its root {cuid}: its child executions are moved with it.").format(
            cuid=execution.root
        ),
        execution=execution.cuid,
    )


def _ended(root: Execution) -> Obstacle:
    return Obstacle(
        "execution_ended",
        gettext("Execution {cuid} has ended.").format(cuid=root.cuid),
        gettext("Only live executions can be moved. Start a new one."),
        execution=root.cuid,
    )


def _already_there(version: Version) -> Obstacle:
    return Obstacle(
        "already_there",
        gettext("The execution runs version {number} and its pinned versions already.").format(
            number=version.number
        ),
        gettext("Choose another version."),
        "/version",
    )


def _outdated() -> Obstacle:
    return Obstacle(
        "plan_outdated",
        gettext("The execution or the versions have changed since the plan was made."),
        gettext("Make a new plan, check it, and move again."),
        "/token",
    )
