"""Lists of lines that a command shortens unless ``--all`` is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

LISTED = 200


def limit_lines(lines: Sequence[str], limit: int | None, more: str = "more") -> Iterator[str]:
    """Yield at most ``limit`` lines, and one about the others; None yields all."""
    yield from lines[:limit]
    if limit is not None and len(lines) > limit:
        yield f"… and {len(lines) - limit} {more} (--all lists them)."
