"""I1, I2, I3 and I5: executions, versions, callees and entities have one entity context."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from executions.integrity.row_queries import read_rows
from executions.integrity.violation import Violation
from executions.models import LIVE, Execution
from workflows.models import Reference, Version, Workflow

RETIRED = Workflow.State.RETIRED


def _executions_with_other_context() -> QuerySet[Execution]:
    return (
        Execution.objects.filter(status__in=LIVE)
        .exclude(
            version__workflow=F("workflow"),
            version__in_force=True,
            version__context_key=F("workflow__context_key"),
            context_key=F("version__context_key"),
        )
        .select_related("workflow", "version__workflow")
        .defer("version__source")
    )


def check_live_contexts() -> Iterator[Violation]:
    """Yield live executions whose version is not of their workflow, is not in force, or has
    another entity context than the execution or the workflow (I1).
    """
    (rows,) = read_rows(_executions_with_other_context)
    for row in rows:
        version = row.version
        if version.workflow_id != row.workflow_id:
            detail = f"Its workflow is {row.workflow.cuid}, but it runs {version}."
        elif version.context_key != row.workflow.context_key:
            detail = (
                f"It runs {version} in the context {version.context_key}, but its workflow "
                f"{row.workflow.cuid} has {row.workflow.context_key}."
            )
        elif row.context_key != version.context_key:
            detail = (
                f"It has the context {row.context_key}, but runs {version}, which has "
                f"{version.context_key}."
            )
        else:
            detail = f"It runs {version}, which is not in force."
        yield Violation(
            "I1",
            "execution",
            row.cuid,
            detail,
            workflows=(row.workflow_id, version.workflow_id),
            root=row.root_or_self_id,
        )


def _workflows_without_version() -> QuerySet[Workflow]:
    return Workflow.objects.exclude(state=RETIRED).filter(versions=None)


def _latest_versions_with_other_context() -> QuerySet[Version]:
    return (
        Version.objects.latest_of_each()
        .exclude(workflow__state=RETIRED)
        .exclude(context_key=F("workflow__context_key"), in_force=True)
        .select_related("workflow")
        .defer("source")
    )


def check_latest_contexts() -> Iterator[Violation]:
    """Yield workflows, except retired ones, without a version, or whose latest version is not
    in force or has another entity context (I2).
    """
    workflows, versions = read_rows(_workflows_without_version, _latest_versions_with_other_context)
    for row in workflows:
        yield Violation(
            "I2",
            "workflow",
            row.cuid,
            f"“{row.title}” has no version.",
            remedy="Delete the workflow, or restore its versions from a backup.",
        )
    for version in versions:
        detail = (
            f"Its latest version {version.number} is not in force."
            if version.context_key == version.workflow.context_key
            else f"Its latest version {version.number} has the context {version.context_key}, "
            f"the workflow {version.workflow.context_key}."
        )
        yield Violation(
            "I2", "workflow", version.workflow.cuid, detail, workflows=(version.workflow_id,)
        )


def _running_versions() -> Any:
    live = Execution.objects.filter(status__in=LIVE).order_by()
    executions = live.filter(version=OuterRef("pk"))
    pinning = live.filter(closure__members__version=OuterRef("pk"))
    return Version.objects.filter(Exists(executions) | Exists(pinning))


def _references_with_other_context() -> QuerySet[Reference]:
    latest = Version.objects.latest_of_each().exclude(workflow__state=RETIRED)
    return (
        Reference.objects.filter(Q(version__in=latest) | Q(version__in=_running_versions()))
        .exclude(
            callee__context_key=F("version__context_key"), context_key=F("version__context_key")
        )
        .select_related("version__workflow", "callee")
        .defer("version__source")
    )


def check_called_contexts() -> Iterator[Violation]:
    """Yield callees of latest and running versions that have another entity context (I3)."""
    (references,) = read_rows(_references_with_other_context)
    for row in references:
        yield Violation(
            "I3",
            "version",
            row.version.cuid,
            f"{row.version} has the context {row.version.context_key}; its node “{row.node_id}” "
            f"calls {row.callee.cuid}, which has {row.callee.context_key}.",
            workflows=(row.version.workflow_id, row.callee_id),
        )


def _executions_with_entity_of_other_context() -> QuerySet[Execution]:
    return (
        Execution.objects.filter(status__in=LIVE)
        .exclude(entity__context_key=F("context_key"))
        .select_related("entity")
    )


def check_entity_contexts() -> Iterator[Violation]:
    """Yield live executions whose entity has another context (I5)."""
    (rows,) = read_rows(_executions_with_entity_of_other_context)
    for row in rows:
        yield Violation(
            "I5",
            "execution",
            row.cuid,
            f"It has the context {row.context_key}, its entity {row.entity.cuid} has "
            f"{row.entity.context_key}.",
            root=row.root_or_self_id,
        )
