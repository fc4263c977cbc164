"""The choice of a media type by the ``Accept`` header (RFC 9110, 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_QUALITY = re.compile(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", re.IGNORECASE)


def _parse_ranges(header: str) -> list[tuple[str, float]]:
    """Return the media ranges in lower case, each with its quality (1 without a valid one)."""
    found = []
    for part in header.split(","):
        name, *params = part.split(";")
        quality = next((float(q[1]) for row in params if (q := _QUALITY.fullmatch(row))), 1.0)
        found.append((name.strip().lower(), quality))
    return found


def choose(header: str, media_types: Iterable[str]) -> str | None:
    """Return the media type that the header prefers; None if it accepts none of them.

    Of equal ones, the type that the header names precedes one that only a wildcard matches;
    otherwise the first one is chosen.
    """
    ranges = _parse_ranges(header)
    best: tuple[Any, str] | None = None
    for media_type in media_types:
        wanted = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
        # The most specific range decides.
        matches = [
            (len(wanted) - place, quality)
            for place, name in enumerate(wanted)
            for given, quality in ranges
            if given == name
        ]
        if not matches:
            continue
        specificity, quality = max(matches)
        rank = (quality, specificity)
        if quality > 0 and (best is None or rank > best[0]):
            best = (rank, media_type)
    return best[1] if best else None
