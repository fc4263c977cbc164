"""The number of live executions of a row, as an expression of a query."""

from __future__ import annotations

from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce

from workflows import running


def count_on_older_versions() -> Coalesce:
    """Return an expression that counts the live roots of a version's workflow on older versions.

    A move can bring them to this version.
    """
    live = running.registered.live_executions().filter(
        workflow=OuterRef("workflow_id"), root=None, version__number__lt=OuterRef("number")
    )
    counted = live.order_by().values("workflow").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted), 0)


def count_live_executions(relation: str) -> Coalesce:
    """Return an expression that counts a row's live executions by their index.

    Args:
        relation: The field of an execution that refers to the row: ``workflow`` or ``version``.
    """
    live = running.registered.live_executions().filter(**{relation: OuterRef("pk")}).order_by()
    return Coalesce(Subquery(live.values(relation).annotate(n=Count("pk")).values("n")), 0)
