"""The contents of files: each is in the storage, with the size and checksum of its upload."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from django.core.files.storage import default_storage

from executions.integrity.violation import CHUNK, Violation
from executions.models import FormFile

_REMEDY = "Restore the object from a backup of the storage."


def check_files() -> Iterator[Violation]:
    """Yield the files whose content is missing, differs or cannot be read. Reads all contents."""
    for row in FormFile._base_manager.order_by("pk").iterator(CHUNK):
        if detail := _problem(row):
            yield Violation(
                "file", "file", row.cuid, f"“{row.name}” ({row.key}): {detail}", _REMEDY
            )


def _problem(row: FormFile) -> str:
    digest, size = hashlib.sha256(), 0
    try:
        with default_storage.open(row.key, "rb") as content:
            for chunk in content.chunks():
                digest.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        return "The content is missing in the storage."
    except Exception as error:
        # Each storage has errors of its own.
        return f"The content cannot be read ({type(error).__name__})."
    if (size, digest.hexdigest()) != (row.size, row.sha256):
        return "The content is not the one that was uploaded: its checksum differs."
    return ""
