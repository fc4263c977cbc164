"""How commands print a refusal: what the API would answer, as lines or as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from workflows.refusals import Refusal


def refusal_lines(refusal: Refusal) -> Iterator[str]:
    """The message and its code, then the other problems, the blockers and the remedies."""
    yield f"{refusal.message} [{refusal.code}]"
    for problem in refusal.problems:
        if problem.detail != refusal.message:
            yield f"  also: {problem.detail} [{problem.code}]"
    for execution in refusal.blockers.executions:
        yield (
            f"  blocked by execution {execution.cuid} ({execution.status}) "
            f"of “{execution.workflow_title}”"
        )
    for workflow in refusal.blockers.workflows:
        yield f"  blocked by workflow {workflow.cuid} “{workflow.title}”"
    shown = len(refusal.blockers.executions) + len(refusal.blockers.workflows)
    if refusal.blockers.total > shown:
        yield f"  and {refusal.blockers.total - shown} more"
    for remedy in refusal.remedies:
        yield f"  what helps: {remedy.detail}"


def refusal_data(refusal: Refusal) -> dict[str, Any]:
    """The same as data, for ``--json``."""
    return {
        "code": refusal.code,
        "detail": refusal.message,
        "errors": [asdict(problem) for problem in refusal.problems],
        "blockers": asdict(refusal.blockers),
        "remedies": [asdict(remedy) for remedy in refusal.remedies],
    }
