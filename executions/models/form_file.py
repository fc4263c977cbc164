"""Files that were uploaded for the forms of steps, and the objects of the storage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from executions import guards
from executions.models.execution import Execution
from workflows.db.cuid import LENGTH, new_cuid
from workflows.models.account_names import account_name_field, account_name_of
from workflows.models.write_once_rows import WriteOnceQuerySet

MAX_FILE_NAME_LENGTH = 255
MAX_KEY_LENGTH = 200


class FormFileQuerySet(WriteOnceQuerySet["FormFile"]):
    """Files of forms, which are written once."""

    def refuse_writing(self, names: Iterable[str]) -> None:
        """Raise ``guards.ExecutionFrozen`` if one of these fields is written once."""
        guards.refuse_bulk_rewrite(self.model, names)

    def readable_by(self, user: Any) -> FormFileQuerySet:
        """Return the submitted files, and those that this user has uploaded but not submitted."""
        return self.filter(Q(attached_at__isnull=False) | Q(uploaded_by=user))

    def unsubmitted_of(self, user: Any, steps: Iterable[str]) -> FormFileQuerySet:
        """Return the files that this user has uploaded for steps (cuids) but not submitted."""
        return self.filter(step__in=list(steps), attached_at=None, uploaded_by=user).order_by("pk")


class FormFile(models.Model):
    """A file for a field of the form of a step. Its content is an object in the storage.

    ``attached_at`` is the time of the submit that used the file. Until then only its uploader can
    read it, as a draft. ``step`` is the cuid of the step, ``key`` names the object.
    """

    FROZEN: ClassVar = (
        *("cuid", "execution_id", "step", "field", "name", "size", "content_type", "sha256"),
        *("key", "uploaded_at"),
    )

    cuid = models.CharField("ID", max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    # The index below covers it.
    execution = models.ForeignKey(Execution, models.CASCADE, related_name="files", db_index=False)
    step = models.CharField(max_length=LENGTH)
    field = models.CharField(max_length=64)
    name = models.CharField(max_length=MAX_FILE_NAME_LENGTH)
    size = models.BigIntegerField()
    content_type = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64)
    key = models.CharField(max_length=MAX_KEY_LENGTH, unique=True)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    uploaded_by_name = account_name_field()
    uploaded_at = models.DateTimeField()
    attached_at = models.DateTimeField(null=True)

    objects = FormFileQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        verbose_name = "file"
        default_permissions = ()
        indexes: ClassVar = [
            models.Index(fields=["execution", "id"], name="executions_formfile_of"),
            models.Index(
                fields=["step"], condition=Q(attached_at=None), name="executions_formfile_draft"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def uploader(self) -> str:
        """The name of the account that uploaded it, which outlives the account."""
        return account_name_of(self, "uploaded_by")

    @property
    def reference(self) -> dict[str, Any]:
        """The value that a submit writes to the field of the entity, or to the variable."""
        return {"id": self.cuid, "name": self.name, "size": self.size, "sha256": self.sha256}


class UnusedObject(models.Model):
    """An object in the storage that no file refers to. It is deleted at ``due_at``.

    An upload writes the row before it stores the object, and removes it together with writing the
    file. A trigger writes one for each deleted file. So a crash or a rollback leaves no object
    behind that nothing knows.
    """

    key = models.CharField(max_length=MAX_KEY_LENGTH, unique=True)
    due_at = models.DateTimeField(db_index=True)

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return self.key
