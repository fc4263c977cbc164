"""Limits of uploaded files: their size, and the endings and characters of their names."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext

from executions.models import MAX_FILE_NAME_LENGTH

_JOINERS = "\u200c\u200d"
"""Invisible characters that some scripts and emoji need."""
_MAX_ENDING = 20


def max_size_of(field: Mapping[str, Any]) -> int:
    """Return the maximum size of a file in this field, in bytes."""
    limit = int(settings.FILE_MAX_BYTES)
    return min(int(field.get("max_size", limit)), limit)


def size_problem(field: Mapping[str, Any], size: int) -> str | None:
    """Return why a file is too large for this field, or None.

    Args:
        size: the size of the file in bytes.
    """
    limit = max_size_of(field)
    if size <= limit:
        return None
    detail = gettext("The file has %(size)s bytes. At most %(limit)s bytes (%(readable)s) fit.")
    return detail % {"size": size, "limit": limit, "readable": filesizeformat(limit)}


def name_problem(field: Mapping[str, Any], name: str) -> str | None:
    """Return why a file with this name is not accepted, or None."""
    accept = field.get("accept", ())
    if not name.strip(". "):
        return gettext("The file has no name.")
    if not accept or name.lower().endswith(tuple(ending.lower() for ending in accept)):
        return None
    return gettext("The name must end with %(endings)s.") % {"endings": ", ".join(accept)}


def clean_name(name: str) -> str:
    """Return the name of a file without folders, control characters and excess length.

    The ending of a long name stays. Characters that change the direction of text are removed: they
    make an ending look like another one.
    """
    name = unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2])
    name = "".join(
        one for one in name if one in _JOINERS or not unicodedata.category(one).startswith("C")
    ).strip()
    if len(name) <= MAX_FILE_NAME_LENGTH:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > _MAX_ENDING:
        return name[:MAX_FILE_NAME_LENGTH]
    return stem[: MAX_FILE_NAME_LENGTH - len(ending) - 1] + dot + ending
