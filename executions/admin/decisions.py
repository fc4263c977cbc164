"""What can be decided at an open step: votes, an early waking, and how an incident ends.

A vote is given on the page of the execution. What an operator decides has a page of its own, which
says what will happen and asks why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html

from executions import services
from executions.engine.nodes import behaviour
from executions.engine.nodes.approval import Approval
from executions.engine.nodes.assignees import asked_at, is_among, voters
from executions.models import OPERATE, SLEEPING, SUBMIT, Execution, Step
from workflows.admin.recorded import recorded
from workflows.admin.refused import REFUSING
from workflows.admin.shown import admin_url
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
    """The buttons of a step, and the exits that a skip can leave by."""

    buttons: list[Decision] = field(default_factory=list)
    handles: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.buttons)

    @property
    def asks_first(self) -> bool:
        """Whether the buttons lead to a page that asks why."""
        return bool(self.buttons) and self.buttons[0].name not in VOTES


_LABELS = {
    "approve": "Approve",
    "reject": "Reject",
    "wake": "Go on now",
    "retry": "Try again",
    "skip": "Skip it",
}


def decisions(execution: Execution, step: Step, node: Node, user: Any) -> Decisions:
    """What this user can decide at this step."""
    may_operate, may_vote = user.has_perm(OPERATE), user.has_perm(SUBMIT)

    def buttons(*names: str) -> list[Decision]:
        return [Decision(name, _LABELS[name], _url(execution, step.cuid, name)) for name in names]

    if step.state == Step.State.INCIDENT:
        if not may_operate:
            return Decisions()
        handles = behaviour(node.type).handles(node.data) or ()
        return Decisions(buttons("retry", "skip"), handles=handles)
    kind = behaviour(node.type)
    if isinstance(kind, Approval):
        key = asked_at(step, execution.version_id, node)
        if not kind.can_be_approved(node.data, len(voters(key))):
            # Too few are left who may vote: an operator ends it.
            return Decisions(buttons("skip"), handles=kind.exits) if may_operate else Decisions()
        if not may_vote or not is_among(key, user):
            return Decisions()
        return Decisions(buttons("approve", "reject"))
    may_wake = may_operate and node.type in SLEEPING
    return Decisions(buttons("wake")) if may_wake else Decisions()


def _url(execution: Execution, cuid: str, name: str) -> str:
    return admin_url(Execution, "decide", execution.pk, cuid, name)


def decide(
    model_admin: ExecutionAdmin, request: HttpRequest, execution: Execution, cuid: str, name: str
) -> HttpResponse:
    """GET says what a button of a step will do and asks why; POST does it.

    Whatever is refused is told on the page of the execution.
    """
    back = HttpResponseRedirect(admin_url(Execution, "change", execution.pk))
    if request.method != "POST":
        return _confirmation(model_admin, request, execution, cuid, name) or back
    note = request.POST.get("note", "").strip()
    handle = request.POST.get("handle") or None
    services_by_name: dict[str, Callable[..., Execution]] = {
        "approve": lambda **how: services.vote(execution, approves=True, notes=note, **how),
        "reject": lambda **how: services.vote(execution, approves=False, notes=note, **how),
        "wake": lambda **how: services.wake(execution, why=note, **how),
        "retry": lambda **how: services.retry(execution, why=note, **how),
        "skip": lambda **how: services.skip(execution, why=note, handle=handle, **how),
    }
    if name not in services_by_name:
        raise Http404
    try:
        after = services_by_name[name](step=cuid, by=request.user)
    except REFUSING as error:
        model_admin.message_refusal(request, recorded(error))
        return back
    model_admin.log_change(request, execution, f"{_LABELS[name]}: {cuid}.")
    status = after.get_status_display().lower()
    text = format_html("Done: {}. The execution is {} now.", _LABELS[name].lower(), status)
    model_admin.message_user(request, text, messages.SUCCESS)
    return back


def _confirmation(
    model_admin: ExecutionAdmin, request: HttpRequest, execution: Execution, cuid: str, name: str
) -> HttpResponse | None:
    """The page that asks; None where there is nothing of that name to decide."""
    step = Step.objects.filter(execution=execution, cuid=cuid).open().first()
    if step is None or name in VOTES:
        return None
    try:
        node = execution.get_workflow_manager().node(step.node_id)
    except Refusal:
        return None
    found = decisions(execution, step, node, request.user)
    if name not in {button.name for button in found.buttons}:
        return None
    return model_admin.render_page(
        request,
        "executions/admin/decide.html",
        {
            "title": _LABELS[name],
            "step": step,
            "step_title": node.data.get("title") or node.label,
            "sentences": list(_outcome(step, node, name)),
            "handles": found.handles if name == "skip" else (),
            "button": _LABELS[name],
            "back_url": admin_url(Execution, "change", execution.pk),
        },
        row=execution,
    )


def _outcome(step: Step, node: Node, name: str) -> Iterator[str]:
    """What will happen, in sentences."""
    if name == "wake":
        yield "It goes on at once, as if its time had come. What it waited for is not waited for."
    elif name == "skip":
        yield "The step is closed without having been done, and the execution goes on after it."
    elif node.type == RUN_WORKFLOW:
        yield "A new execution of what it calls begins, on the version that is pinned."
    elif node.type in PERFORMED:
        yield "It is tried again in the background; what it sends may arrive a second time."
    else:
        yield f"The step is entered again, as attempt {step.attempt + 1}."
    if name == "retry":
        yield "If the cause is still there, it ends as an incident again. Nothing else changes."
