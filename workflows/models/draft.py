"""Drafts: a user's unsaved changes of a graph."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from workflows.db.cuid import LENGTH
from workflows.models.workflow import Workflow


class GraphDraft(models.Model):
    """One user's draft of a workflow's graph.

    ``at`` is the number of the current state. Earlier states can be restored by undo, later ones
    by redo. State 0 is the source of the version that the draft is based on. Nothing runs on a
    draft, and other users do not see it.
    """

    workflow = models.ForeignKey(Workflow, models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    base = models.PositiveIntegerField()
    base_cuid = models.CharField(max_length=LENGTH)
    at = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["workflow", "user"], name="workflows_graphdraft_once")
        ]

    def __str__(self) -> str:
        return f"{self.workflow}, on top of version {self.base}"


class DraftState(models.Model):
    """A state of a draft: the source, and the description of the change that led to it."""

    draft = models.ForeignKey(GraphDraft, models.CASCADE, related_name="states", db_index=False)
    number = models.PositiveIntegerField()
    source = models.JSONField()
    # The column has the field's earlier name.
    description = models.TextField(blank=True, db_column="told")

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["number"]
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["draft", "number"], name="workflows_draftstate_once")
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.description}"
