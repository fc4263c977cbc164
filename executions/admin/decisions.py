"""Decisions at an open step: votes and operator actions.

Users vote on the page of the execution. Each operator action has a page that describes its effect
and asks for a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions import services
from executions.admin.inbox_filters import back_to_inbox
from executions.admin.incidents import CorrectionForm, correction_form
from executions.admin.reason_field import ReasonField
from executions.admin.titles import execution_title
from executions.engine.claims import may_do
from executions.engine.four_eyes import eligible_voters
from executions.engine.nodes import behaviour
from executions.engine.nodes.approval import Approval
from executions.engine.nodes.assignees import current_candidates_key
from executions.engine.nodes.join import Join
from executions.models import FOR_PEOPLE, OPERATE, SLEEPING, SUBMIT, Execution, Step
from executions.services.postponing import job_to_postpone
from executions.services.skipping import skip_exits
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal
from workflows.graph import RUN_WORKFLOW, Node
from workflows.refusals import Refusal

BACKGROUND_TYPES = ("notify", "http_request")
VOTES = ("approve", "reject")


@dataclass(frozen=True, slots=True)
class Decision:
    """A button with its label and URL."""

    name: str
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Decisions:
    """The buttons of a step for voters and for operators."""

    votes: list[Decision] = field(default_factory=list)
    claims: list[Decision] = field(default_factory=list)
    """Claiming the step, or giving it back."""
    buttons: list[Decision] = field(default_factory=list)
    """Operator actions. Each leads to a page that asks for a reason."""


class DecisionForm(forms.Form):
    """The reason for a decision, and what else it needs."""

    handle = forms.ChoiceField(label=_("Exit"))
    until = forms.DateTimeField(
        label=_("New time"),
        widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"}),
    )
    note = ReasonField(help_text=_("Recorded in the audit log of the execution."))

    def __init__(
        self, name: str, handles: tuple[str | None, ...], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["note"].required = name in REASON_REQUIRED
        if name == "postpone":
            zone = timezone.get_current_timezone_name()
            self.fields["until"].help_text = gettext("Time zone: %(zone)s.") % {"zone": zone}
        else:
            del self.fields["until"]
        if name == "skip" and len(handles) > 1:
            exits: Any = self.fields["handle"]
            exits.required = None not in handles
            exits.choices = [
                ("", "---------"),
                *((handle, handle) for handle in handles if handle is not None),
            ]
        else:
            del self.fields["handle"]

    def add_refusal(self, refusal: Refusal) -> bool:
        """Add a refusal to the fields it points at. Return False if it points at none."""
        names = {"/why": "note", "/handle": "handle", "/until": "until"}
        found = [(names.get(row.pointer), row.detail) for row in refusal.problems]
        matching = [(name, detail) for name, detail in found if name in self.fields]
        for name, detail in matching:
            self.add_error(name, detail)
        return bool(matching)


_LABELS = {
    "approve": _("Approve"),
    "reject": _("Reject"),
    "claim": _("Claim"),
    "unclaim": _("Unclaim"),
    "wake": _("Skip the wait"),
    "retry": _("Retry"),
    "skip": _("Skip the step"),
    "postpone": _("Postpone"),
}
_MESSAGES = {
    "approve": _("Your approval of “%(step)s” was recorded."),
    "reject": _("Your rejection of “%(step)s” was recorded."),
    "claim": _("You have claimed “%(step)s”."),
    "unclaim": _("“%(step)s” is no longer claimed."),
    "wake": _("The wait “%(step)s” was skipped."),
    "retry": _("“%(step)s” is retried."),
    "skip": _("“%(step)s” was skipped."),
    "postpone": _("“%(step)s” was postponed."),
}
REASON_REQUIRED = ("skip", "postpone")


def _buttons(execution: Execution, step: Step, *names: str) -> list[Decision]:
    return [Decision(name, str(_LABELS[name]), _url(execution, step.cuid, name)) for name in names]


def claim_button(execution: Execution, step: Step, *, is_own: bool) -> Decision:
    """Return the button that claims a step, or gives the user's own claim back."""
    (button,) = _buttons(execution, step, "unclaim" if is_own else "claim")
    return button


def vote_buttons(execution: Execution, step: Step) -> list[Decision]:
    """Return the buttons of a vote."""
    return _buttons(execution, step, *VOTES)


def decisions(
    execution: Execution, step: Step, node: Node, user: Any, claimer: Any = None
) -> Decisions:
    """Return the buttons of a step for a user.

    Args:
        claimer: the account whose claim binds, or None.
    """

    kind = behaviour(node.type)
    key = current_candidates_key(step, execution.version_id, node)
    may_act = (
        step.state == Step.State.OPEN
        and step.type in FOR_PEOPLE
        and user.has_perm(SUBMIT)
        and may_do(step, node, key, user)
        and (claimer is None or claimer == user)
    )
    may_vote = (
        may_act
        and isinstance(kind, Approval)
        and kind.can_be_approved(node.data, len(eligible_voters(step, node, key)))
    )
    actions = _operator_actions(step, node, user) if user.has_perm(OPERATE) else ()
    return Decisions(
        votes=vote_buttons(execution, step) if may_vote else [],
        claims=[claim_button(execution, step, is_own=claimer == user)] if may_act else [],
        buttons=_buttons(execution, step, *actions),
    )


def _operator_actions(step: Step, node: Node, user: Any) -> Iterator[str]:
    """Yield the names of the operator actions that are allowed at a step."""
    if step.claimed_by_id not in (None, user.pk):
        yield "unclaim"
    if step.state == Step.State.INCIDENT:
        yield from ("retry", "skip")
        return
    kind = behaviour(node.type)
    if node.type in SLEEPING:
        yield "wake"
    if kind.can_be_retried:
        yield "retry"
    if job_to_postpone(step, node) is not None:
        yield "postpone"
    if not isinstance(kind, Join):
        yield "skip"


def _url(execution: Execution, cuid: str, name: str) -> str:
    return admin_url(Execution, "decide", execution.pk, cuid, name)


def decide(
    model_admin: GuardedAdmin, request: HttpRequest, execution: Execution, cuid: str, name: str
) -> HttpResponse:
    """Describe a decision and ask for a reason on GET, carry it out on POST.

    Errors in the reason, exit or time are shown in the form, other refusals on the page of the
    execution.

    Raises:
        Http404: the decision does not exist.
    """
    # After a vote, the step is no longer among the user's tasks.
    task = request.POST.get("next", "") if name in VOTES else cuid
    own = admin_url(Execution, "change", execution.pk)
    back = HttpResponseRedirect(back_to_inbox(request, task=task) or own)
    if name not in _LABELS:
        if request.method == "POST":
            raise Http404
        return back
    found = _find_step(execution, cuid)
    handles = () if found is None else skip_exits(execution.get_workflow_manager().graph, found[1])
    form = DecisionForm(name, handles, request.POST if request.method == "POST" else None)
    is_incident = found is not None and found[0].state == Step.State.INCIDENT
    correction = correction_form(request, execution) if name == "retry" and is_incident else None

    def confirmation(step_and_node: tuple[Step, Node]) -> HttpResponse:
        forms_of_page = (form, correction)
        return _confirmation(model_admin, request, execution, step_and_node, name, forms_of_page)

    if request.method != "POST":
        if found is None or name not in _operator_actions(*found, request.user):
            return back
        return confirmation(found)
    is_corrected = correction is not None and correction.is_bound
    is_valid = form.is_valid() and (not is_corrected or correction.is_valid())  # type: ignore[union-attr]
    if not is_valid and found is not None:
        return confirmation(found)
    try:
        if is_corrected:
            correction.save()  # type: ignore[union-attr]
        _service(execution, name, form.cleaned_data)(step=cuid, by=request.user)
    except REFUSING as error:
        refusal = log_refusal(error)
        if found is not None and form.add_refusal(refusal):
            return confirmation(found)
        model_admin.message_refusal(request, refusal)
        return back
    title = found[1].label if found is not None else cuid
    text = str(_MESSAGES[name]) % {"step": title}
    model_admin.log_change(request, execution, text)
    model_admin.message_user(request, text, messages.SUCCESS)
    return back


def _service(execution: Execution, name: str, sent: dict[str, Any]) -> Callable[..., Execution]:
    why = sent.get("note", "").strip()
    # The form has no valid time only if the step is no longer open.
    until = sent.get("until") or timezone.now()
    calls: dict[str, Callable[..., Execution]] = {
        "approve": partial(services.vote, execution, approves=True, notes=why),
        "reject": partial(services.vote, execution, approves=False, notes=why),
        "claim": partial(services.claim, execution),
        "unclaim": partial(services.unclaim, execution, why=why),
        "wake": partial(services.wake, execution, why=why),
        "retry": partial(services.retry, execution, why=why),
        "skip": partial(services.skip, execution, why=why, handle=sent.get("handle") or None),
        "postpone": partial(services.postpone, execution, why=why, until=until),
    }
    return calls[name]


def _find_step(execution: Execution, cuid: str) -> tuple[Step, Node] | None:
    """Return the open step with this cuid and its node, or None."""
    step = Step.objects.filter(execution=execution, cuid=cuid).open().first()
    if step is None:
        return None
    try:
        return step, execution.get_workflow_manager().node(step.node_id)
    except Refusal:
        return None


def _confirmation(
    model_admin: GuardedAdmin,
    request: HttpRequest,
    execution: Execution,
    found: tuple[Step, Node],
    name: str,
    forms_of_page: tuple[DecisionForm, CorrectionForm | None],
) -> HttpResponse:
    """Return the page that describes the decision and asks for a reason."""
    step, node = found
    form, correction = forms_of_page
    return model_admin.render_page(
        request,
        "executions/admin/decision.html",
        {
            "title": _LABELS[name],
            "subtitle": execution_title(execution),
            "step": step,
            "step_title": node.data.get("title") or node.label,
            "effects": list(_effects(step, node, name)),
            "form": form,
            "correction": correction,
            "button": _LABELS[name],
            "back_url": admin_url(Execution, "change", execution.pk),
        },
        row=execution,
    )


def _effects(step: Step, node: Node, name: str) -> Iterator[str]:
    """Yield sentences that describe the effect of a decision."""
    is_incident = step.state == Step.State.INCIDENT
    if name in VOTES:
        yield gettext("Your vote and your notes are recorded in the history.")
    elif name == "unclaim":
        yield gettext("Every assignee can claim and do the step again.")
    elif name == "wake":
        yield gettext("The execution continues now instead of at the scheduled time.")
    elif name == "skip":
        yield gettext("The step is closed without being done, and the execution continues.")
        if node.type == RUN_WORKFLOW and not is_incident:
            yield gettext("The child execution is cancelled.")
        if node.type == "approval":
            yield gettext("The votes so far are kept in the history.")
    elif name == "postpone":
        if node.type in SLEEPING:
            yield gettext("The step waits until the new time.")
        else:
            yield gettext("The step gets the new deadline and is not overdue before it.")
    elif node.type in BACKGROUND_TYPES and not is_incident:
        yield gettext(
            "The step runs now in the background. It may send its message or request again."
        )
    elif node.type == RUN_WORKFLOW:
        yield gettext("A new child execution starts on the pinned version.")
    elif node.type in BACKGROUND_TYPES:
        yield gettext(
            "The step runs again in the background. It may send its message or request again."
        )
    else:
        yield gettext("The step starts again as attempt %(number)s.") % {"number": step.attempt + 1}
        if not is_incident:
            yield gettext("Its dates are computed again.")
    if name == "retry" and is_incident:
        yield gettext("If the cause persists, the step becomes an incident again.")
