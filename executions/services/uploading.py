"""Uploading a file for a field of the form of an open step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.engine import file_limits
from executions.engine.claims import refuse_claimed
from executions.engine.form_fields import file_fields
from executions.engine.node_visit import NodeVisit
from executions.models import Execution, FormFile, UnusedObject
from executions.services.advancing import lock_tree, visit_open_step
from executions.services.stored_objects import StoredObject, stored
from executions.services.submitting import require_assigned
from workflows.audit.log import Action, make_attempt, record
from workflows.db import clock, locks
from workflows.db.json_values import quoted
from workflows.guards.database_errors import translate_database_errors
from workflows.refusals import Problem, Refusal


class InvalidUpload(Refusal):
    message = _("The file is not valid.")
    code = "invalid_upload"


class FileTooLarge(Refusal):
    message = _("The file is too large.")
    code = "file_too_large"


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file and the field that it is for.

    Attributes:
        execution: the execution.
        file: an ``UploadedFile``.
        field: the name of the field.
        by: the account that uploads it.
        node: the id of the node where the step is open.
        step: the cuid of the open step; needed where a node has several.
    """

    execution: Execution
    file: Any
    field: str
    by: Any
    node: str | None = None
    step: str | None = None

    @property
    def name(self) -> str:
        """The name of the file without folders and unusual characters."""
        return file_limits.clean_name(self.file.name or "")


def upload(sent: Upload) -> FormFile:
    """Store a file for a form. It is attached by a submit that names its id.

    Raises:
        guards.NotOpen, guards.NotAssigned, guards.Claimed, guards.ExecutionEnded: as ``submit``.
        InvalidUpload: the form has no such field, or the file is empty or has another ending.
        FileTooLarge: the file exceeds the limit of the field or ``FILE_MAX_BYTES``.
        StorageUnavailable: the storage has failed.
    """
    check_upload(sent)
    with stored(sent.execution, sent.file) as content:
        return add_file(sent, content)


@translate_database_errors
@locks.retrying
def check_upload(sent: Upload) -> None:
    """Refuse an upload before its content is stored. Raise as ``upload``."""
    with transaction.atomic():
        _visit_form(sent)


@translate_database_errors
@locks.retrying
def add_file(sent: Upload, content: StoredObject) -> FormFile:
    """Write the file of a stored object. Raise as ``upload``."""
    with transaction.atomic():
        visit = _visit_form(sent)
        row = FormFile.objects.create(
            execution=visit.run.execution,
            step=visit.step.cuid,
            field=sent.field,
            name=sent.name,
            size=content.size,
            content_type=content.content_type,
            sha256=content.sha256,
            key=content.key,
            uploaded_by=sent.by,
            uploaded_at=clock.now(),
        )
        UnusedObject.objects.filter(key=content.key).delete()
        names = ("step", "field", "name", "size", "sha256")
        values = {name: getattr(row, name) for name in names}
        after = {"file": row.cuid, "node": visit.node.id, **values}
        record([make_attempt(visit.run.execution, Action.UPLOADED, after=after, by=sent.by)])
        return row


def _visit_form(sent: Upload) -> NodeVisit:
    """Return the visit to the open form, under the locks of its tree. Raise as ``upload``."""
    visit = visit_open_step(lock_tree(sent.execution, sent.by), sent.node, sent.step)
    require_assigned(visit, sent.by)
    refuse_claimed(visit.step, visit.node, visit.candidates_key, sent.by)
    field = file_fields(visit.node.data).get(sent.field)
    if field is None:
        detail = gettext("The form has no field %(field)s for files.")
        raise _invalid("/field", detail % {"field": quoted(sent.field)})
    _refuse_file(field, sent)
    return visit


def _refuse_file(field: Mapping[str, Any], sent: Upload) -> None:
    if not sent.file.size:
        raise _invalid("/file", gettext("The file is empty."))
    if detail := file_limits.name_problem(field, sent.name):
        raise _invalid("/file", detail)
    if detail := file_limits.size_problem(field, sent.file.size):
        raise FileTooLarge(detail, problems=[Problem("/file", FileTooLarge.code, detail)])


def _invalid(pointer: str, detail: str) -> InvalidUpload:
    return InvalidUpload(detail, problems=[Problem(pointer, InvalidUpload.code, detail)])
