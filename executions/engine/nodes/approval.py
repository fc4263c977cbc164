"""The approval: several people vote, and the execution leaves by what they decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.assignees import NAMED
from executions.engine.nodes.behaviour import TITLE, Behaviour, Visit, Vote
from executions.engine.nodes.deadline import (
    DEADLINE,
    DEADLINE_DEFS,
    DEADLINE_PROPERTY,
    deadline_problems,
    wait_until_deadline,
)
from workflows.graph import Problems

APPROVED, REJECTED = "approved", "rejected"
ALL = "all"


class Approval(Behaviour):
    description = _(
        "Waits for votes; 'needed' approvals (one, if not said; or 'all') approve. It is "
        "rejected as soon as so many have rejected it that the approvals that are needed "
        "cannot come together any more. Until it is decided, everybody may vote again."
    )
    name = "approval"
    exits: tuple[str, ...] = (APPROVED, REJECTED)
    people_at: ClassVar = ""
    schema: ClassVar = {
        "properties": {
            "title": TITLE,
            **NAMED,
            "needed": {
                "title": "Approvals needed",
                "description": "How many approvals it takes: a number, or 'all' of those who may"
                " vote.",
                "anyOf": [
                    {"title": "Number of approvals", "type": "integer", "minimum": 1},
                    {"title": "Word", "type": "string", "enum": [ALL]},
                ],
                "default": 1,
            },
            DEADLINE: DEADLINE_PROPERTY,
        },
        "$defs": DEADLINE_DEFS,
        "examples": [
            {"label": "Approve it", "groups": ["risk"], "needed": 2, "deadline": "P5D"},
            {"users": ["ada", "grace"], "needed": "all"},
        ],
    }
    parts: ClassVar = {DEADLINE: deadline_problems}

    def problems(self, data: Mapping[str, Any]) -> Problems:
        """Somebody may vote, and enough of them."""
        if not data.get("groups") and not data.get("users"):
            yield "", "An approval names who may vote: groups, users or both."
        needed, users = data.get("needed", 1), data.get("users", [])
        if needed != ALL and users and not data.get("groups") and needed > len(users):
            yield "/needed", f"{needed} are needed, but only {len(users)} may vote."

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
        if not eligible:
            # Nobody may vote any more: "all" of nobody approves nothing.
            return
        if approvals >= wanted:
            visit.leave(APPROVED, output=output)
        elif rejections and eligible - rejections < wanted:
            visit.leave(REJECTED, output=output)


def _wanted(data: Mapping[str, Any], eligible: int) -> int:
    needed = data.get("needed", 1)
    return eligible if needed == ALL else int(needed)
