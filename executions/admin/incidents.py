"""Incidents: correct the data of an execution before a retry, and retry all of one cause."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from executions.admin import bulk
from executions.models import BulkKind, Entity, Execution, Finding, InventoryModel, Step
from workflows import guards
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.forms import ObjectField
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.models import EntityName


class CorrectionForm(forms.Form):
    """The fields of the entity, which can be corrected before a step runs again."""

    fields_of_entity = ObjectField(
        required=False,
        label=_("Fields of the entity"),
        help_text=_(
            "Correct the data here if it caused the incident. It is saved before retrying."
        ),
    )
    read = ObjectField(required=False)

    def __init__(self, entity: Entity, data: Any = None) -> None:
        initial = {"fields_of_entity": entity.fields, "read": entity.fields}
        super().__init__(data, prefix="correct", initial=initial)
        self.entity = entity
        self.fields["read"].widget = forms.HiddenInput()

    def save(self) -> None:
        """Save the changed fields. Fields that others have changed meanwhile are kept.

        Raises:
            guards.InvalidFields: the database cannot store the fields.
        """
        read, typed = self.cleaned_data["read"], self.cleaned_data["fields_of_entity"]
        if read == typed:
            return
        entity = type(self.entity)._base_manager.get(pk=self.entity.pk)
        entity.fields = guards.overlay(read, typed, entity.fields)
        entity.save()


def correction_form(request: HttpRequest, execution: Execution) -> CorrectionForm | None:
    """Return the form that corrects the entity, if the user may change entities of its kind."""
    is_finding = execution.entity.entity_name == EntityName.FINDING
    model: Any = Finding if is_finding else InventoryModel
    user: Any = request.user
    if not user.has_perm(f"executions.change_{model._meta.model_name}"):
        return None
    posted = "correct-fields_of_entity" in request.POST
    return CorrectionForm(execution.entity, request.POST if posted else None)


def executions_alike(step: Step) -> Any:
    """Return the executions of the workflow with an incident of the same cause at the node."""
    code = (step.incident or {}).get("code")
    same = Step.objects.incidents().filter(node_id=step.node_id, incident__code=code)
    workflow = step.execution.workflow_id
    ids = same.filter(execution__workflow=workflow).order_by().values("execution")
    return Execution.objects.filter(pk__in=ids)


def retry_alike(
    model_admin: GuardedAdmin, request: HttpRequest, execution: Execution, cuid: str
) -> HttpResponse:
    """Open the preview of a retry of all executions with the same incident, on POST.

    Raises:
        Http404: the execution has no such incident.
    """
    step = Step.objects.incidents().filter(execution=execution, cuid=cuid).first()
    if step is None:
        raise Http404
    preview = None
    if request.method == "POST":
        preview = bulk.open_preview(model_admin, request, BulkKind.RETRY, executions_alike(step))
    return preview or HttpResponseRedirect(admin_url(Execution, "change", execution.pk))
