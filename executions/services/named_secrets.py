"""The secrets that workflows name: values stay where they are, so they may be missing here."""

from __future__ import annotations

from collections.abc import Iterable

from executions.models import Secret
from workflows import guards
from workflows.files import Item


def missing_secrets(items: Iterable[Item]) -> list[str]:
    """A sentence for each secret that is not here, with the workflows that name it."""
    titles: dict[str, list[str]] = {}
    for item in items:
        for name in sorted(_named(item)):
            titles.setdefault(name, []).append(f"“{item.title}” ({item.cuid})")
    known = set(Secret._base_manager.filter(name__in=titles).values_list("name", flat=True))
    return [
        f"The secret “{name}” is not here, and does not come with a file; named by "
        f"{', '.join(named[:10])}" + (f" and {len(named) - 10} more." if len(named) > 10 else ".")
        for name, named in sorted(titles.items())
        if name not in known
    ]


def _named(item: Item) -> set[str]:
    named = guards.secrets_in(item.source)
    named += guards.secrets_of_trigger(item.entry.trigger, item.entry.trigger_data)
    return {name for _, name in named}
