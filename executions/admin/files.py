"""Files of forms on the pages of executions: uploading, listing and downloading them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms as django_forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect

from executions import services
from executions.engine.file_input import FileField
from executions.engine.form_fields import file_fields
from executions.models import VIEW_STEPS, Execution, FormFile, Step
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal
from workflows.db.json_values import storage_problem
from workflows.graph import Node

LISTED = 200
"""The number of files that the page of an execution lists."""


def unsubmitted_files(
    user: Any, steps: Iterable[tuple[Step, Node | None]]
) -> dict[str, list[FormFile]]:
    """Return the files that a user has uploaded but not submitted, by the cuids of the steps."""
    cuids = [step.cuid for step, node in steps if node is not None and file_fields(node.data)]
    found: dict[str, list[FormFile]] = {}
    for row in FormFile.objects.unsubmitted_of(user, cuids) if cuids else ():
        found.setdefault(row.step, []).append(row)
    return found


def show_files(form: django_forms.Form, files: Iterable[FormFile]) -> None:
    """Let the fields of a form show these uploaded files, if they are among their values."""
    known = {
        row.cuid: {
            **row.reference,
            "url": admin_url(Execution, "file", row.execution_id, row.cuid),
        }
        for row in files
    }
    for field in form.fields.values():
        if isinstance(field, FileField):
            field.widget.known = known


def upload_files(
    request: HttpRequest, execution: Execution, step: Step, node: Node
) -> tuple[Any, dict[str, list[str]]]:
    """Upload the files of a posted form, so that none is lost if other answers are not valid.

    Returns:
        The posted values with the ids of the files instead of the files, and the problems by the
        name of the field.
    """
    values = request.POST.copy()
    problems: dict[str, list[str]] = {}
    for name, field in file_fields(node.data).items():
        posted = f"{step.cuid}-{name}"
        ids = []
        for file in request.FILES.getlist(posted):
            sent = services.Upload(execution, file, name, request.user, step=step.cuid)
            try:
                ids.append(services.upload(sent).cuid)
            except REFUSING as error:
                text = f"{sent.name}: {log_refusal(error).message}"
                problems.setdefault(name, []).append(text)
        # A new file replaces the one that was chosen before.
        before = values.getlist(posted) if field.get("multiple") or not ids else []
        values.setlist(posted, [*before, *ids])
    return values, problems


def file_context(execution: Execution, user: Any) -> dict[str, Any]:
    """Return the newest files of an execution, for users who may read its steps."""
    if not user.has_perms(VIEW_STEPS):
        return {"files": []}
    rows = FormFile.objects.filter(execution=execution).readable_by(user)
    newest = list(rows.select_related("uploaded_by").order_by("-pk")[:LISTED])
    titles = _step_titles(newest)
    return {
        "files": [
            {
                "file": row,
                "step_title": titles.get(row.step, ""),
                "url": admin_url(Execution, "file", execution.pk, row.cuid),
            }
            for row in newest
        ]
    }


def _step_titles(files: list[FormFile]) -> dict[str, str]:
    cuids = {row.step for row in files}
    if not cuids:
        return {}
    found = Step.objects.filter(cuid__in=cuids).values_list("cuid", "label", "node_id")
    return {cuid: label or node for cuid, label, node in found}


def download_page(
    model_admin: GuardedAdmin, request: HttpRequest, pk: int, cuid: str
) -> HttpResponse:
    """Return the content of a file. Raise ``Http404`` if the user may not read it."""
    rows = FormFile.objects.filter(execution=pk).readable_by(request.user)
    row = None if storage_problem(cuid) else rows.filter(cuid=cuid).first()
    if row is None:
        raise Http404
    try:
        return services.download(row)  # type: ignore[return-value]
    except REFUSING as error:
        model_admin.message_refusal(request, log_refusal(error))
        return HttpResponseRedirect(admin_url(Execution, "change", pk))
