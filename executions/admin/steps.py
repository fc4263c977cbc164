"""The open steps of an execution and the submission of their forms."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django import forms as django_forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext

from executions import services
from executions.admin.decisions import BACKGROUND_TYPES, Decisions, decisions
from executions.admin.files import show_files, unsubmitted_files, upload_files
from executions.admin.inbox_filters import back_to_inbox, next_task
from executions.admin.titles import step_title
from executions.engine import form_actions, forms
from executions.engine.claims import find_claimer
from executions.engine.for_each import item_of
from executions.engine.four_eyes import excluded_ids
from executions.engine.nodes.assignees import candidates, current_candidates_key, may_submit
from executions.guards import ExcludedVoter, ExecutionEnded, NotOpen
from executions.models import (
    FOR_PEOPLE,
    OPEN,
    OPERATE,
    SUBMIT,
    USER_ACTION,
    Execution,
    FormDraft,
    FormFile,
    Step,
    Vote,
)
from executions.task_queries import unassigned
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusals import REFUSING, refusal_of
from workflows.admin.graph_diagram import type_title
from workflows.graph import Node
from workflows.refusals import Refusal
from workflows.values import moments
from workflows.values.moment_fields import list_resolutions


@dataclass(frozen=True, slots=True)
class OpenStep:
    """A current step as the page of the execution shows it."""

    step: Step
    title: str
    form: django_forms.Form | None = None
    url: str = ""
    button: str = ""
    actions: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""
    child: Execution | None = None
    reassign_url: str = ""
    is_unassigned: bool = False
    claimer: Any = None
    """The account whose claim binds, or None."""
    decisions: Decisions = field(default_factory=Decisions)
    votes: list[Vote] = field(default_factory=list)
    request: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    """The values of the step at an incident, for users who may view them."""
    alike: int = 0
    """The number of executions with the same incident, for operators."""
    alike_url: str = ""

    @property
    def type_title(self) -> str:
        """Return the title of the node type."""
        return type_title(self.step.type)

    @property
    def incident_at(self) -> datetime | None:
        """Return the time of the incident, if there is one."""
        return moments.read((self.step.incident or {}).get("at") or "")


def open_steps(execution: Execution, user: Any, *, bound: dict[str, Any]) -> list[OpenStep]:
    """Return the open steps of an execution.

    Args:
        bound: the forms with errors, by the cuid of their step.
    """
    steps = (
        Step.objects.filter(execution=execution)
        .open()
        .select_related("child__workflow", "claimed_by")
        .prefetch_related("votes")
    )
    try:
        manager = execution.get_workflow_manager()
    except Refusal as refusal:
        values = {"problem": refusal.message}
        note = gettext("The stored graph is damaged: %(problem)s") % values
        return [OpenStep(step, step_title(step), note=note) for step in steps]
    unassigned_ids = set(unassigned().filter(execution=execution).values_list("pk", flat=True))
    drafts = FormDraft.objects.of(user, steps)
    nodes = {step.pk: manager.node(step.node_id) for step in steps}
    files = unsubmitted_files(user, [(step, nodes[step.pk]) for step in steps])
    return [
        replace(
            _open_step(
                execution,
                step,
                nodes[step.pk],
                user,
                bound,
                (drafts.get(step.pk), files.get(step.cuid, ())),
            ),
            reassign_url=_reassign_url(execution, step, user),
            is_unassigned=step.pk in unassigned_ids,
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
    saved: tuple[Any, Iterable[FormFile]],
) -> OpenStep:
    own_label = node.label if item_of(step) is None else step_title(step)
    title = node.data.get("title") or own_label
    votes = list(step.votes.all())
    key = current_candidates_key(step, execution.version_id, node)
    claimer = find_claimer(step, node, key)
    found = decisions(execution, step, node, user, claimer)
    if step.state == Step.State.INCIDENT or node.type != USER_ACTION:
        needs_note = not found.votes and step.state != Step.State.INCIDENT
        note = _note(step, node, key, user) if needs_note else ""
        return OpenStep(
            step,
            title,
            note=note,
            child=step.child,
            claimer=claimer,
            decisions=found,
            votes=votes,
        )
    if not user.has_perm(SUBMIT):
        note = _assigned_text(key, gettext("everyone who may submit forms"))
        return OpenStep(step, title, note=note, claimer=claimer, decisions=found)
    if not may_submit(key, user):
        note = _assigned_text(key)
        return OpenStep(step, title, note=note, claimer=claimer, decisions=found)
    if claimer not in (None, user) and step.cuid not in bound:
        return OpenStep(step, title, claimer=claimer, decisions=found)
    return OpenStep(
        step,
        title,
        claimer=claimer,
        decisions=found,
        form=bound.get(step.cuid) or form_of(step, node, draft=saved[0], files=saved[1]),
        url=admin_url(Execution, "submit", execution.pk, step.cuid),
        button=node.data.get("button_label") or gettext("Submit"),
        actions=form_actions.list_actions(node.data),
    )


def _note(step: Step, node: Node, key: str, user: Any) -> str:
    if node.type == "approval":
        is_excluded = user.pk in excluded_ids(step, node)
        return f"{ExcludedVoter.message} " * is_excluded + _assigned_text(key)
    if node.type == "webhook":
        return gettext("Waits for a request to %(path)s.") % {"path": f"/hooks/{step.cuid}/"}
    return gettext("Runs in the background.") if node.type in BACKGROUND_TYPES else ""


def _assigned_text(key: str, nobody: str = "") -> str:
    names = ", ".join(str(row) for row in candidates(key)) or nobody or gettext("nobody")
    return gettext("Assigned to %(names)s.") % {"names": names}


def form_of(
    step: Step,
    node: Node,
    data: Any = None,
    *,
    draft: Mapping[str, Any] | None = None,
    files: Iterable[FormFile] = (),
) -> django_forms.Form:
    """Return the form of a user action.

    Args:
        data: the submitted values.
        draft: the values of the user's draft.
        files: the files that the user has uploaded for the step but not submitted.
    """
    # The prefix separates the field names of several open steps and of Django.
    fields = node.data.get("fields", [])
    draft = draft or {}
    known = {field["name"]: draft[field["name"]] for field in fields if field["name"] in draft}
    form = forms.build(fields)(data, prefix=step.cuid, initial=known)
    show_files(form, files)
    return form


def submit_form(
    model_admin: GuardedAdmin,
    request: HttpRequest,
    execution: Execution,
    cuid: str,
    show_forms: Callable[[dict[str, django_forms.Form]], HttpResponse],
) -> HttpResponse:
    """Submit the posted form of a step, or save it as a draft.

    Args:
        cuid: the public id of the step.
        show_forms: returns the page again with the forms that have errors, by the cuid of their
            step.

    Raises:
        Http404: the execution has no such step, or it takes no form.
    """
    step = Step.objects.filter(execution=execution, cuid=cuid, type=USER_ACTION).first()
    if step is None:
        raise Http404
    inbox = back_to_inbox(request)
    back = HttpResponseRedirect(inbox or admin_url(Execution, "change", execution.pk))
    if request.method != "POST":
        return back

    node = execution.get_workflow_manager().node(step.node_id)
    values, problems = upload_files(request, execution, step, node)
    files = unsubmitted_files(request.user, [(step, node)]).get(cuid, ())
    form = form_of(step, node, values, files=files)
    if "_draft" in request.POST:
        _save_draft(model_admin, request, execution, step, form)
        for text in itertools.chain(*problems.values()):
            model_admin.message_user(request, text, messages.ERROR)
        return back
    handle = request.POST.get("_action")
    is_valid = form.is_valid() or not _validates(node, handle)
    for name, texts in problems.items():
        # Without the file, a required answer is missing too.
        form.errors.pop(name, None)
        form.add_error(name, texts)
    if (problems or not is_valid) and step.state in OPEN:
        return show_forms({cuid: form})
    data = forms.to_json(form.cleaned_data)
    try:
        after = services.submit(execution, data=data, step=cuid, by=request.user, action=handle)
    except forms.FormInvalid as refusal:
        _add_field_errors(form, refusal)
        return show_forms({cuid: form})
    except (ExecutionEnded, NotOpen) as refusal:
        text = format_html(
            gettext("The step “{}” is no longer open. {}"), node.label, refusal.message
        )
        model_admin.message_user(request, text, messages.ERROR)
        return back
    except REFUSING as error:
        known = refusal_of(error)
        if known is None:
            raise
        model_admin.message_refusal(request, known)
        return show_forms({cuid: form})
    taken = form_actions.action_labels(node.data).get(handle or "", "")
    values = {"step": node.label, "action": taken}
    change = (
        gettext("Submitted “%(step)s” by “%(action)s”.")
        if taken
        else gettext("Submitted “%(step)s”.")
    )
    model_admin.log_change(request, execution, change % values)
    status = after.get_status_display().lower()
    text = format_html(gettext("“{}” was submitted. The execution is {}."), node.label, status)
    model_admin.message_user(request, text, messages.SUCCESS)
    for warning in list_resolutions(form):
        model_admin.message_user(request, warning, messages.WARNING)
    if inbox is not None:
        following = request.POST.get("next", "")
        return HttpResponseRedirect(back_to_inbox(request, task=following) or inbox)
    if found := next_task(request.user):
        text = format_html(gettext('Next task: <a href="{}">{}</a>'), found[1], found[0])
        model_admin.message_user(request, text, messages.INFO)
    return back


def _validates(node: Node, handle: str | None) -> bool:
    """Return True if this action of a form requires valid answers."""
    actions = form_actions.list_actions(node.data)
    return next((one["validates"] for one in actions if one["handle"] == handle), True)


def _save_draft(
    model_admin: GuardedAdmin,
    request: HttpRequest,
    execution: Execution,
    step: Step,
    form: django_forms.Form,
) -> None:
    # Drafts are stored as typed and validated when they are submitted.
    typed = {
        name: field.widget.value_from_datadict(form.data, {}, form.add_prefix(name))
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
    text = format_html(gettext("The draft of “{}” was saved."), step_title(step))
    model_admin.message_user(request, text, messages.SUCCESS)


def _add_field_errors(form: django_forms.Form, refusal: forms.FormInvalid) -> None:
    for problem in refusal.problems:
        name = problem.pointer.split("/")[-1]
        form.add_error(name if name in form.fields else None, problem.detail)
