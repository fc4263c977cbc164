"""The open steps of an execution: the forms they ask with, and what is posted to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django import forms as django_forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html

from executions import services
from executions.admin.decisions import Decisions, decisions
from executions.engine import forms
from executions.engine.nodes.assignees import asked_at, candidates, may_submit
from executions.guards import Ended, NotOpen
from executions.inbox import unassigned
from executions.models import (
    FOR_PEOPLE,
    OPEN,
    OPERATE,
    SUBMIT,
    Execution,
    FormDraft,
    Step,
    Vote,
)
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.refusals import REFUSING, refusal_of
from workflows.graph import Node
from workflows.refusals import Refusal
from workflows.values.moment_fields import resolutions

if TYPE_CHECKING:
    from executions.admin.execution import ExecutionAdmin

USER_ACTION = "user_action"
INBOX = "inbox"
"""What a form is sent with that was filled in there."""


@dataclass(frozen=True, slots=True)
class OpenStep:
    """One step at which an execution stands, as its page shows it."""

    step: Step
    title: str
    form: django_forms.Form | None = None
    url: str = ""
    button: str = ""
    note: str = ""
    child: Execution | None = None
    reassign_url: str = ""
    is_unassigned: bool = False
    decisions: Decisions = field(default_factory=Decisions)
    votes: list[Vote] = field(default_factory=list)


def open_steps(execution: Execution, user: Any, *, bound: dict[str, Any]) -> list[OpenStep]:
    """The open steps; ``bound`` has the forms that were refused, by the cuid of their step."""
    steps = (
        Step.objects.filter(execution=execution)
        .open()
        .select_related("child")
        .prefetch_related("votes")
    )
    try:
        manager = execution.get_workflow_manager()
    except Refusal as refusal:
        damage = f"The frozen graph is damaged: {refusal.message}"
        return [OpenStep(step, step.label or step.node_id, note=damage) for step in steps]
    nobody = set(unassigned().filter(execution=execution).values_list("pk", flat=True))
    drafts = FormDraft.objects.of(user, steps)
    return [
        replace(
            _open_step(
                execution, step, manager.node(step.node_id), user, bound, drafts.get(step.pk)
            ),
            reassign_url=_reassign_url(execution, step, user),
            is_unassigned=step.pk in nobody,
        )
        for step in steps
    ]


def _reassign_url(execution: Execution, step: Step, user: Any) -> str:
    if step.type not in FOR_PEOPLE or not user.has_perm(OPERATE):
        return ""
    return admin_url(Execution, "reassign", execution.pk, step.cuid)


def _open_step(
    execution: Execution,
    step: Step,
    node: Node,
    user: Any,
    bound: dict[str, Any],
    draft: Any,
) -> OpenStep:
    title = node.data.get("title") or node.label
    votes = list(step.votes.all())
    found = decisions(execution, step, node, user)
    if step.state == Step.State.INCIDENT or node.type != USER_ACTION:
        is_told = found.votes or step.state == Step.State.INCIDENT
        note = "" if is_told else _note(execution, step, node)
        return OpenStep(step, title, note=note, child=step.child, decisions=found, votes=votes)
    if not user.has_perm(SUBMIT):
        note = "Waits for somebody who may fill in forms."
        return OpenStep(step, title, note=note, decisions=found)
    key = asked_at(step, execution.version_id, node)
    if not may_submit(key, user):
        note = f"Assigned to {_assignees(key)}."
        return OpenStep(step, title, note=note, decisions=found)
    return OpenStep(
        step,
        title,
        decisions=found,
        form=bound.get(step.cuid) or form_of(step, node, draft=draft),
        url=admin_url(Execution, "submit", execution.pk, step.cuid),
        button=node.data.get("button_label") or "Submit",
    )


def _note(execution: Execution, step: Step, node: Node) -> str:
    if node.type == "approval":
        return f"Waits for {_assignees(asked_at(step, execution.version_id, node))}."
    if node.type == "webhook":
        return f"Waits for a delivery to /hooks/{step.cuid}/."
    return "Is done in the background." if node.type in ("notify", "http_request") else ""


def _assignees(key: str) -> str:
    return ", ".join(str(row) for row in candidates(key)) or "nobody"


def form_of(
    step: Step, node: Node, data: Any = None, *, draft: Mapping[str, Any] | None = None
) -> django_forms.Form:
    """Return the form of a user action, with the user's draft; ``data`` is what was posted."""
    # The prefix keeps the names of two open steps, and Django's own, apart.
    asked = node.data.get("fields", [])
    draft = draft or {}
    known = {field["name"]: draft[field["name"]] for field in asked if field["name"] in draft}
    return forms.build(asked)(data, prefix=step.cuid, initial=known)


def submit_form(
    model_admin: ExecutionAdmin, request: HttpRequest, execution: Execution, cuid: str
) -> HttpResponse:
    """Submit what was posted, or keep it as a draft; errors stand at their fields, with what was
    typed. Who came from the inbox is led back to it.
    """
    step = Step.objects.filter(execution=execution, cuid=cuid, type=USER_ACTION).first()
    if step is None:
        raise Http404
    is_from_inbox = request.POST.get("back_to") == INBOX
    own = admin_url(Execution, "change", execution.pk)
    back = HttpResponseRedirect(admin_url(Execution, "inbox") if is_from_inbox else own)
    if request.method != "POST":
        return back

    def again() -> HttpResponse:
        if is_from_inbox:
            return model_admin.inbox(request, bound={cuid: form})
        return model_admin.page(request, execution, bound={cuid: form})

    node = execution.get_workflow_manager().node(step.node_id)
    form = form_of(step, node, request.POST)
    if "_draft" in request.POST:
        _keep_draft(model_admin, request, execution, step, form)
        return back
    if not form.is_valid() and step.state in OPEN:
        return again()
    data = forms.to_json(form.cleaned_data)
    try:
        after = services.submit(execution, data=data, step=cuid, by=request.user)
    except forms.FormInvalid as refusal:
        _put_at_fields(form, refusal)
        return again()
    except (Ended, NotOpen) as refusal:
        text = format_html("The step “{}” is no longer open. {}", node.label, refusal.message)
        model_admin.message_user(request, text, messages.ERROR)
        return back
    except REFUSING as error:
        other = refusal_of(error)
        if other is None:
            raise
        model_admin.message_refusal(request, other)
        return again()
    model_admin.log_change(request, execution, f"Submitted “{node.label}”.")
    text = format_html(
        "Submitted “{}”; the execution is {} now.", node.label, after.get_status_display().lower()
    )
    model_admin.message_user(request, text, messages.SUCCESS)
    for told in resolutions(form):
        model_admin.message_user(request, told, messages.WARNING)
    return back


def _keep_draft(
    model_admin: ExecutionAdmin,
    request: HttpRequest,
    execution: Execution,
    step: Step,
    form: django_forms.Form,
) -> None:
    # As it was typed: nothing of it is judged before it is submitted.
    typed = {
        name: field.widget.value_from_datadict(request.POST, request.FILES, form.add_prefix(name))
        for name, field in form.fields.items()
    }
    try:
        services.save_draft(execution, data=typed, step=step.cuid, by=request.user)
    except REFUSING as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        model_admin.message_refusal(request, refusal)
        return
    text = format_html("The draft of “{}” is kept.", step.label or step.node_id)
    model_admin.message_user(request, text, messages.SUCCESS)


def _put_at_fields(form: django_forms.Form, refusal: forms.FormInvalid) -> None:
    for problem in refusal.problems:
        name = problem.pointer.split("/")[-1]
        form.add_error(name if name in form.fields else None, problem.detail)
