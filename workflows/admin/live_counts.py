"""Where live executions stand, as marks on the picture of a graph."""

from __future__ import annotations

from typing import Any

from django.db.models import Count

from workflows.admin.base.formatting import admin_url, execution_model
from workflows.admin.graph_picture import Mark

_INCIDENT = "incident"


def standing(relation: str, pk: int, *, linked: bool = True) -> dict[str, list[Mark]]:
    """By node id, how many live executions stand there, those with an incident apart.

    ``relation`` is what the executions have in common, ``workflow`` or ``version``. One statement.
    """
    execution = execution_model()
    steps: Any = execution._meta.get_field("steps").related_model
    rows = (
        steps.objects.open()
        .filter(**{f"execution__{relation}": pk, "execution__live_key__isnull": False})
        .order_by("node_id", "-state")
        .values_list("node_id", "state")
        .annotate(number=Count("execution_id", distinct=True))
    )
    found: dict[str, list[Mark]] = {}
    for node_id, state, number in rows:
        failed = state == _INCIDENT
        query = {relation: pk, "node": node_id, **({"incident": "yes"} if failed else {})}
        told = f"{number} live execution{'' if number == 1 else 's'} {_WORDS[failed]}"
        found.setdefault(node_id, []).append(
            Mark(
                str(number),
                told,
                _INCIDENT if failed else "live",
                admin_url(execution, "changelist", **query) if linked else None,
            )
        )
    return found


_WORDS = {False: "here", True: "with an incident here"}
