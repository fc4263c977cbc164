"""The secrets that imported workflows name; their values are never exported."""

from __future__ import annotations

from collections.abc import Iterable

from executions.models import Secret
from workflows import guards
from workflows.files import PlanItem


def missing_secrets(items: Iterable[PlanItem]) -> list[str]:
    """Return a sentence for each missing secret, with the workflows that name it."""
    titles: dict[str, list[str]] = {}
    for item in items:
        for name in sorted(_secrets_of(item)):
            titles.setdefault(name, []).append(f"“{item.title}” ({item.cuid})")
    known = set(Secret._base_manager.filter(name__in=titles).values_list("name", flat=True))
    return [
        f"The secret “{name}” does not exist here, and files contain no secrets. It is used by "
        f"{', '.join(users[:10])}" + (f" and {len(users) - 10} more." if len(users) > 10 else ".")
        for name, users in sorted(titles.items())
        if name not in known
    ]


def _secrets_of(item: PlanItem) -> set[str]:
    uses = guards.find_secrets(item.source)
    uses += guards.find_trigger_secrets(item.entry.trigger, item.entry.trigger_data)
    return {name for _, name in uses}
