"""Refusals as lines and as data, with the content of an API response."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from workflows.refusals import Refusal


def format_refusal(refusal: Refusal) -> Iterator[str]:
    """Yield lines with the message and its code, other problems, blockers and remedies."""
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
    listed = len(refusal.blockers.executions) + len(refusal.blockers.workflows)
    if refusal.blockers.total > listed:
        yield f"  and {refusal.blockers.total - listed} more"
    for remedy in refusal.remedies:
        yield f"  what you can do: {remedy.detail}"


def serialize_refusal(refusal: Refusal) -> dict[str, Any]:
    """Return a refusal as data, for ``--json``."""
    return {
        "code": refusal.code,
        "detail": refusal.message,
        "errors": [asdict(problem) for problem in refusal.problems],
        "blockers": asdict(refusal.blockers),
        "remedies": [asdict(remedy) for remedy in refusal.remedies],
    }
