"""The approval: people vote, and the result chooses the exit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.assignees import NAMED
from executions.engine.nodes.behaviour import TITLE, Visit, Vote
from executions.engine.nodes.deadline import (
    DEADLINE_DEFS,
    DEADLINE_OF_PEOPLE,
    DeadlineBehaviour,
    deadline_problems,
    wait_until_deadline,
)
from workflows.graph import Problems
from workflows.models.candidate import DEADLINE, EXCLUDE, STARTER, SUBMITTER

APPROVED, REJECTED = "approved", "rejected"
ALL = "all"


class Approval(DeadlineBehaviour):
    description = _(
        "Waits for votes. It is approved when 'needed' people have approved (1 by default, or "
        "'all' for everybody who may vote), and rejected as soon as that number cannot be reached "
        "any more. Until then, everybody may change their vote."
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
                "description": "The number of approvals that approve it, or 'all' for everybody who"
                " may vote.",
                "anyOf": [
                    {"title": "Number of approvals", "type": "integer", "minimum": 1},
                    {"title": "All", "type": "string", "enum": [ALL]},
                ],
                "default": 1,
            },
            EXCLUDE: {
                "title": "Exclude",
                "description": "Users who may not vote (four eyes): 'starter', who started the"
                " execution; 'submitter', everybody who submitted a form in it, in an execution"
                " that it called, or in one that called it.",
                "type": "array",
                "items": {"title": "Excluded user", "type": "string", "enum": [STARTER, SUBMITTER]},
                "uniqueItems": True,
                "default": [],
            },
            DEADLINE: DEADLINE_OF_PEOPLE,
        },
        "$defs": DEADLINE_DEFS,
        "examples": [
            {"label": "Approve", "groups": ["risk"], "needed": 2, "deadline": "P5D"},
            {"users": ["ada", "grace"], "needed": "all"},
            {"groups": ["risk"], "exclude": ["starter", "submitter"]},
        ],
    }
    parts: ClassVar = {DEADLINE: deadline_problems}

    def problems(self, data: Mapping[str, Any]) -> Problems:
        """Require voters, and enough of them for ``needed``."""
        if not data.get("groups") and not data.get("users"):
            yield "", gettext("Choose who may vote: groups, users or both.")
        needed, users = data.get("needed", 1), data.get("users", [])
        if needed != ALL and users and not data.get("groups") and needed > len(users):
            yield (
                "/needed",
                ngettext(
                    "{needed} approvals are needed, but only {count} user may vote.",
                    "{needed} approvals are needed, but only {count} users may vote.",
                    len(users),
                ).format(needed=needed, count=len(users)),
            )

    def enter(self, visit: Visit) -> None:
        """Wait for votes."""
        wait_until_deadline(visit)

    def can_be_approved(self, data: Mapping[str, Any], eligible: int) -> bool:
        """Return True if ``eligible`` voters are enough; accounts may leave meanwhile."""
        return 0 < _wanted(data, eligible) <= eligible

    def decide(self, visit: Visit, votes: Sequence[Vote], eligible: int) -> None:
        """Leave by an exit if the votes so far are decisive."""
        approvals = sum(vote.approves for vote in votes)
        rejections = len(votes) - approvals
        wanted = _wanted(visit.node.data, eligible)
        output = {"approvals": approvals, "rejections": rejections, "needed": wanted}
        if not eligible:
            # Without voters, "all" would approve with no vote.
            return
        if approvals >= wanted:
            visit.leave(APPROVED, output=output)
        elif rejections and eligible - rejections < wanted:
            visit.leave(REJECTED, output=output)


def _wanted(data: Mapping[str, Any], eligible: int) -> int:
    needed = data.get("needed", 1)
    return eligible if needed == ALL else int(needed)
