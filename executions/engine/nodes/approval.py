"""The approval: several people vote, and the execution leaves by what they decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from executions.engine import durations
from executions.engine.nodes.assignees import assignee_problems
from executions.engine.nodes.behaviour import Behaviour, Visit, Vote
from executions.engine.nodes.deadline import wait_until_deadline
from workflows.jsontext import kind

APPROVED, REJECTED = "approved", "rejected"
ALL = "all"


class Approval(Behaviour):
    """Waits for votes; ``needed`` approvals (one, if not said; or ``all``) approve.

    It is rejected as soon as so many have rejected it that the approvals that are needed
    cannot come together any more. Until it is decided, everybody may vote again.
    """

    name = "approval"
    keys = frozenset({"title", "groups", "users", "needed", "deadline"})

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check who may vote, and how many are needed."""
        if not isinstance(data.get("title", ""), str):
            yield "/title", f"Its 'title' must be text, not {kind(data['title'])}."
        yield from assignee_problems({key: data[key] for key in ("groups", "users") if key in data})
        if not data.get("groups") and not data.get("users"):
            yield "", "An approval names who may vote: groups, users or both."
        needed = data.get("needed", 1)
        if needed != ALL and (isinstance(needed, bool) or not isinstance(needed, int)):
            yield "/needed", f"How many are needed is a number or '{ALL}', not {kind(needed)}."
        elif needed != ALL and needed < 1:
            yield "/needed", "At least one approval is needed."
        elif needed != ALL and not data.get("groups"):
            users = data.get("users")
            if isinstance(users, list) and needed > len(users):
                yield "/needed", f"{needed} are needed, but only {len(users)} may vote."
        if "deadline" in data and (reason := durations.problem("deadline", data["deadline"])):
            yield "/deadline", reason

    def handles(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        """Return its two exits."""
        return (APPROVED, REJECTED)

    def enter(self, visit: Visit) -> None:
        """Wait for votes."""
        wait_until_deadline(visit)

    def can_be_approved(self, data: Mapping[str, Any], eligible: int) -> bool:
        """Whether those who may vote are enough; people leave while an execution waits."""
        return 0 < _wanted(data, eligible) <= eligible

    def decide(self, visit: Visit, votes: Sequence[Vote], eligible: int) -> None:
        """Leave if the votes so far decide it."""
        approvals = sum(vote.approves for vote in votes)
        rejections = len(votes) - approvals
        wanted = _wanted(visit.node.data, eligible)
        output = {"approvals": approvals, "rejections": rejections, "needed": wanted}
        if approvals >= wanted:
            visit.leave(APPROVED, output=output)
        elif rejections and eligible - rejections < wanted:
            visit.leave(REJECTED, output=output)


def _wanted(data: Mapping[str, Any], eligible: int) -> int:
    needed = data.get("needed", 1)
    return eligible if needed == ALL else int(needed)
