"""Comments on executions and their steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from executions import guards
from executions.models.execution import Execution
from workflows.db.cuid import LENGTH, new_cuid
from workflows.models.account_names import account_name_field, account_name_of
from workflows.models.write_once_rows import WriteOnceQuerySet

COMMENT = "executions.add_comment"
"""The permission to comment on executions. Comments are read with the execution."""
MAX_TEXT_LENGTH = 10_000


class CommentQuerySet(WriteOnceQuerySet["Comment"]):
    """Comments, whose texts are written once."""

    def refuse_writing(self, names: Iterable[str]) -> None:
        """Raise ``guards.ExecutionFrozen`` if one of these fields is written once."""
        guards.refuse_bulk_rewrite(self.model, names)


class Comment(models.Model):
    """A comment of a user on an execution. It is never edited, but can be withdrawn.

    ``step`` is the cuid of the step that it is about; blank for the whole execution.
    """

    FROZEN: ClassVar = ("cuid", "execution_id", "step", "text", "at")

    cuid = models.CharField("ID", max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    # The index below covers it.
    execution = models.ForeignKey(
        Execution, models.CASCADE, related_name="comments", db_index=False
    )
    step = models.CharField(max_length=LENGTH, blank=True, default="")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    author_name = account_name_field()
    text = models.TextField(max_length=MAX_TEXT_LENGTH)
    at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    withdrawn_by_name = account_name_field()

    objects = CommentQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        default_permissions = ("add",)
        indexes: ClassVar = [models.Index(fields=["execution", "id"], name="executions_comment_of")]

    def __str__(self) -> str:
        return self.cuid

    def clean(self) -> None:
        """Raise ``guards.ExecutionFrozen`` for a change of the text."""
        super().clean()
        if self.pk:
            guards.refuse_rewrite(self, self.FROZEN, None)

    @property
    def visible_text(self) -> str | None:
        """The text; None if it was withdrawn."""
        return self.text if self.withdrawn_at is None else None

    @property
    def writer(self) -> str:
        """The name of the account that wrote it, kept after the account is deleted."""
        return account_name_of(self, "author")

    @property
    def withdrawer(self) -> str:
        """The name of the account that withdrew it, kept after the account is deleted."""
        return account_name_of(self, "withdrawn_by")

    @classmethod
    def of(cls, execution: Any) -> models.QuerySet[Comment]:
        """Return the comments on an execution with their accounts, in their order."""
        rows = cls.objects.filter(execution=execution).select_related("author", "withdrawn_by")
        return rows.order_by("pk")
