"""The decisions at an open step: votes, and how an operator moves the execution on.

Users vote on the page of the execution. Each decision of an operator has a page of its own, which
says what will happen and asks why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html

from executions import services
from executions.engine.nodes import behaviour
from executions.engine.nodes.approval import Approval
from executions.engine.nodes.assignees import asked_at, is_among, voters
from executions.engine.nodes.join import Join
from executions.models import OPERATE, SLEEPING, SUBMIT, Execution, Step
from executions.services.interventions import moved_by_postponing
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.refusal_log import recorded
from workflows.admin.base.refusals import REFUSING
from workflows.graph import RUN_WORKFLOW, Node
from workflows.refusals import Refusal

if TYPE_CHECKING:
    from executions.admin.execution import ExecutionAdmin

PERFORMED = ("notify", "http_request")
VOTES = ("approve", "reject")


@dataclass(frozen=True, slots=True)
class Decision:
    """A button: where it posts to, and what it says."""

    name: str
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Decisions:
    """The buttons of a step: those of a voter, and those of an operator."""

    votes: list[Decision] = field(default_factory=list)
    buttons: list[Decision] = field(default_factory=list)
    """Each leads to a page that asks why."""


class DecisionForm(forms.Form):
    """The reason for a decision, and what else it needs."""

    handle = forms.ChoiceField(label="It is left by")
    until = forms.DateTimeField(
        label="New time",
        widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"}),
    )
    note = forms.CharField(
        label="Why",
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="Stands in the audit log of the execution from then on.",
    )

    def __init__(self, name: str, handles: tuple[str, ...], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["note"].required = name in NEED_WHY
        if name == "postpone":
            zone = timezone.get_current_timezone_name()
            self.fields["until"].help_text = f"In the time zone {zone}."
        else:
            del self.fields["until"]
        if name == "skip" and len(handles) > 1:
            exits: Any = self.fields["handle"]
            exits.choices = [("", "---------"), *((handle, handle) for handle in handles)]
        else:
            del self.fields["handle"]

    def add_refusal(self, refusal: Refusal) -> bool:
        """Show a refusal beside the field that it points at; False where it points at none."""
        names = {"/why": "note", "/handle": "handle", "/until": "until"}
        found = [(names.get(row.pointer), row.detail) for row in refusal.problems]
        shown = [(name, detail) for name, detail in found if name in self.fields]
        for name, detail in shown:
            self.add_error(name, detail)
        return bool(shown)


_LABELS = {
    "approve": "Approve",
    "reject": "Reject",
    "wake": "Go on now",
    "retry": "Try again",
    "skip": "Skip it",
    "postpone": "Postpone",
}
NEED_WHY = ("skip", "postpone")


def decisions(execution: Execution, step: Step, node: Node, user: Any) -> Decisions:
    """Return what this user can decide at this step."""

    def buttons(*names: str) -> list[Decision]:
        return [Decision(name, _LABELS[name], _url(execution, step.cuid, name)) for name in names]

    kind = behaviour(node.type)
    key = asked_at(step, execution.version_id, node)
    may_vote = (
        step.state == Step.State.OPEN
        and isinstance(kind, Approval)
        and user.has_perm(SUBMIT)
        and kind.can_be_approved(node.data, len(voters(key)))
        and is_among(key, user)
    )
    return Decisions(
        votes=buttons(*VOTES) if may_vote else [],
        buttons=buttons(*_of_operators(step, node)) if user.has_perm(OPERATE) else [],
    )


def _of_operators(step: Step, node: Node) -> Iterator[str]:
    """The decisions of an operator that the services take at such a step."""
    if step.state == Step.State.INCIDENT:
        yield from ("retry", "skip")
        return
    kind = behaviour(node.type)
    if node.type in SLEEPING:
        yield "wake"
    if kind.can_begin_again:
        yield "retry"
    if moved_by_postponing(node.type, node.data) is not None:
        yield "postpone"
    if not isinstance(kind, Join):
        yield "skip"


def _url(execution: Execution, cuid: str, name: str) -> str:
    return admin_url(Execution, "decide", execution.pk, cuid, name)


def decide(
    model_admin: ExecutionAdmin, request: HttpRequest, execution: Execution, cuid: str, name: str
) -> HttpResponse:
    """GET says what a button of a step will do and asks why; POST does it.

    A reason, an exit or a time that is refused is told on the same page, and everything else on
    the page of the execution.
    """
    back = HttpResponseRedirect(admin_url(Execution, "change", execution.pk))
    if name not in _LABELS:
        if request.method == "POST":
            raise Http404
        return back
    found = _found(execution, cuid)
    handles = () if found is None else behaviour(found[1].type).handles(found[1].data) or ()
    form = DecisionForm(name, handles, request.POST if request.method == "POST" else None)
    if request.method != "POST":
        if found is None or name not in _of_operators(*found):
            return back
        return _confirmation(model_admin, request, execution, found, name, form)
    if not form.is_valid() and found is not None:
        return _confirmation(model_admin, request, execution, found, name, form)
    try:
        after = _service(execution, name, form.cleaned_data)(step=cuid, by=request.user)
    except REFUSING as error:
        refusal = recorded(error)
        if found is not None and form.add_refusal(refusal):
            return _confirmation(model_admin, request, execution, found, name, form)
        model_admin.message_refusal(request, refusal)
        return back
    model_admin.log_change(request, execution, f"{_LABELS[name]}: {cuid}.")
    status = after.get_status_display().lower()
    text = format_html("Done: {}. The execution is {} now.", _LABELS[name].lower(), status)
    model_admin.message_user(request, text, messages.SUCCESS)
    return back


def _service(execution: Execution, name: str, sent: dict[str, Any]) -> Callable[..., Execution]:
    why = sent.get("note", "").strip()
    # A time that could not be read is missing only where the step is open no longer.
    until = sent.get("until") or timezone.now()
    found: dict[str, Callable[..., Execution]] = {
        "approve": partial(services.vote, execution, approves=True, notes=why),
        "reject": partial(services.vote, execution, approves=False, notes=why),
        "wake": partial(services.wake, execution, why=why),
        "retry": partial(services.retry, execution, why=why),
        "skip": partial(services.skip, execution, why=why, handle=sent.get("handle")),
        "postpone": partial(services.postpone, execution, why=why, until=until),
    }
    return found[name]


def _found(execution: Execution, cuid: str) -> tuple[Step, Node] | None:
    """The open step with this cuid and its node; None where there is none to decide about."""
    step = Step.objects.filter(execution=execution, cuid=cuid).open().first()
    if step is None:
        return None
    try:
        return step, execution.get_workflow_manager().node(step.node_id)
    except Refusal:
        return None


def _confirmation(
    model_admin: ExecutionAdmin,
    request: HttpRequest,
    execution: Execution,
    found: tuple[Step, Node],
    name: str,
    form: DecisionForm,
) -> HttpResponse:
    """The page that asks."""
    step, node = found
    return model_admin.render_page(
        request,
        "executions/admin/decide.html",
        {
            "title": _LABELS[name],
            "step": step,
            "step_title": node.data.get("title") or node.label,
            "sentences": list(_outcome(step, node, name)),
            "form": form,
            "button": _LABELS[name],
            "back_url": admin_url(Execution, "change", execution.pk),
        },
        row=execution,
    )


def _outcome(step: Step, node: Node, name: str) -> Iterator[str]:
    """What will happen, in sentences."""
    is_incident = step.state == Step.State.INCIDENT
    if name in VOTES:
        yield "Your vote is counted and kept in the history, with your notes."
    elif name == "wake":
        yield "It goes on at once, as if its time had come. What it waited for is not waited for."
    elif name == "skip":
        yield "The step is closed without having been done, and the execution goes on after it."
        if node.type == RUN_WORKFLOW and not is_incident:
            yield "The execution that it called is cancelled."
        if node.type == "approval":
            yield "The votes so far stay in the history."
    elif name == "postpone":
        if node.type in SLEEPING:
            yield "It sleeps until the new time."
        else:
            yield "The step has the new deadline, and is not overdue before that."
    elif node.type in PERFORMED and not is_incident:
        yield "It is tried at once, in the background; what it sends may arrive a second time."
    elif node.type == RUN_WORKFLOW:
        yield "A new execution of what it calls begins, on the version that is pinned."
    elif node.type in PERFORMED:
        yield "It is tried again in the background; what it sends may arrive a second time."
    else:
        yield f"The step is entered again, as attempt {step.attempt + 1}."
        if not is_incident:
            yield "Its dates are computed anew."
    if name == "retry" and is_incident:
        yield "If the cause is still there, it ends as an incident again. Nothing else changes."
