"""Records that belong to an execution: ``executions/<cuid>/<name>/``."""

from __future__ import annotations

from rest_framework import mixins

from executions.models import Execution
from workflows.api.base.resources import Resource, find_by_cuid


class ExecutionPart(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """A resource below an execution."""

    filter_backends = []

    def find_execution(self) -> Execution:
        """Return the execution of the URL. Raise ``NotFound`` if there is none."""
        rows = Execution.objects.select_related("version")
        small = rows.defer("version__source", "passed", "variables")
        execution: Execution = find_by_cuid(small, self.kwargs["cuid"])
        return execution
