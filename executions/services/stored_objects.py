"""Objects in the storage of files: storing, opening, checking and deleting them.

Objects are stored and deleted outside of transactions. ``UnusedObject`` makes up for crashes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from executions.models import MAX_KEY_LENGTH, Execution, FormDraft, FormFile, UnusedObject
from workflows.audit.log import Action, record
from workflows.db import clock
from workflows.db.cuid import new_cuid
from workflows.guards import count
from workflows.refusals import Attempt, Refusal

logger = logging.getLogger(__name__)

UPLOAD_TIME = timedelta(days=1)
"""The time after which an object whose upload was not finished is deleted."""
RETENTION = timedelta(days=7)
"""The time after which a file is deleted that was not submitted, and is in no draft."""
_BATCH = 200
_MAX_MEDIA_TYPE = 100


class StorageUnavailable(Refusal):
    message = _("The storage of files does not respond. Try again later.")
    code = "storage_unavailable"


class FileMissing(Refusal):
    message = _("The content of the file is missing in the storage. Ask an administrator.")
    code = "file_missing"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that was stored for an upload: its key, size in bytes, checksum and media type."""

    key: str
    size: int
    sha256: str
    content_type: str


@contextmanager
def stored(execution: Execution, file: Any) -> Iterator[StoredObject]:
    """Store the content of an uploaded file. Delete it afterwards if no file was written for it.

    Args:
        execution: the execution that the file is for.
        file: an ``UploadedFile``.

    Raises:
        StorageUnavailable: the storage has failed.
    """
    # Before the save: some storages close the file.
    size, sha256, media = file.size, _checksum(file), (file.content_type or "")[:_MAX_MEDIA_TYPE]
    wanted = f"executions/{execution.cuid}/{new_cuid()}"
    pending = UnusedObject.objects.create(key=wanted, due_at=clock.now() + UPLOAD_TIME)
    try:
        key = default_storage.save(wanted, file, max_length=MAX_KEY_LENGTH)
    except Exception as error:
        # Each storage has errors of its own.
        logger.exception("A file could not be stored.")
        raise StorageUnavailable from error
    if key != wanted:
        UnusedObject.objects.filter(pk=pending.pk).update(key=key)
    try:
        yield StoredObject(key, size, sha256, media)
    finally:
        _delete_objects(UnusedObject.objects.filter(pk=pending.pk))


def _checksum(file: Any) -> str:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return digest.hexdigest()


def open_object(file: FormFile) -> Any:
    """Return the content of a file, open for reading.

    Raises:
        FileMissing: the storage has no such object.
        StorageUnavailable: the storage has failed.
    """
    try:
        return default_storage.open(file.key, "rb")
    except FileNotFoundError as error:
        logger.error("The object %s of the file %s is missing.", file.key, file.cuid)
        raise FileMissing from error
    except Exception as error:
        logger.exception("A file could not be opened.")
        raise StorageUnavailable from error


def delete_unused_objects() -> int:
    """Delete the objects that are due, and return their number."""
    due = UnusedObject.objects.filter(due_at__lte=clock.now()).order_by("pk")
    return _delete_objects(due)


def _delete_objects(rows: Any) -> int:
    """Delete objects, then their rows: a crash between the two repeats the deletion."""
    number = 0
    for row in rows.iterator(_BATCH):
        try:
            default_storage.delete(row.key)
        except Exception:
            # Its row stays, so that a later round tries again.
            logger.exception("The object %s could not be deleted.", row.key)
        else:
            row.delete()
            number += 1
    return number


def unsubmitted_files() -> Any:
    """Return the files that were not submitted in time, and are in no draft."""
    drafts = FormDraft.objects.filter(step__cuid=OuterRef("step"), user=OuterRef("uploaded_by"))
    before = clock.now() - RETENTION
    return FormFile.objects.filter(~Exists(drafts), attached_at=None, uploaded_at__lt=before)


def purge_files() -> int:
    """Delete files that were not submitted in time, and the objects that nothing uses.

    Returns:
        The number of deleted files.
    """
    number = 0
    # A read first, because a deletion takes SQLite's only write lock.
    while ids := list(unsubmitted_files().values_list("pk", flat=True)[:_BATCH]):
        number += _delete_files(ids)
    delete_unused_objects()
    return number


def _delete_files(ids: list[int]) -> int:
    with transaction.atomic():
        # A submit may have attached one of them meanwhile.
        rows = FormFile._base_manager.filter(pk__in=ids, attached_at=None)
        number = int(rows._raw_delete("default"))
        if number:
            title = count(number, "file")
            why = "Purged: not submitted"
            after = {"number": number}
            record(
                [Attempt(Action.DELETED, kind="file", cuid="", title=title, before=after, why=why)]
            )
        return number
