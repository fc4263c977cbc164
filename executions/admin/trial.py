"""The page of a trial run: a user's draft of a graph on an invented entity. Nothing is written."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from django import forms as django_forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from executions import services
from executions.admin.path_diagram import path_diagram
from executions.admin.titles import step_title
from executions.engine import form_actions, forms
from executions.engine.nodes.join import Join
from executions.models import USER_ACTION, Execution, Step
from executions.services.skipping import skip_exits
from executions.services.trial import MAX_ANSWERS
from workflows import editing
from workflows.admin.base.formatting import admin_url, pretty_json
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusals import REFUSING, refusal_of
from workflows.admin.graph_diagram import type_title
from workflows.db.json_values import find_unstorable, parse_json
from workflows.graph import WorkflowValidationError
from workflows.models import Workflow

EDIT_GRAPH = "workflows.add_version"
Answers = list[dict[str, Any]]


@dataclass(slots=True)
class TrialStep:
    """An open step of a trial run. ``number`` is its place among the open steps."""

    number: int
    title: str
    type_title: str
    workflow: str
    form: django_forms.Form | None = None
    actions: list[dict[str, Any]] = field(default_factory=list)
    button: str = ""
    exits: list[tuple[str, str]] = field(default_factory=list)
    """The values and labels of the buttons that skip the step."""
    incident: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial run after its last answer."""

    status: str
    status_label: str
    message: str
    stage: str
    diagram: SafeString | None
    steps: list[TrialStep]
    fields: str
    variables: str


def trial_page(model_admin: GuardedAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the start of a trial run on GET. On POST, run it again with one answer more.

    The page contains the fields of the entity and all answers, so that nothing is stored.

    Raises:
        Http404: the workflow does not exist.
    """
    rows = Workflow.objects.select_related("entity_name_type", "primary_record_type")
    workflow = rows.filter(pk=pk).first()
    if workflow is None:
        raise Http404
    source = editing.open_draft(workflow, request.user).source
    fields = request.POST.get("fields", "{}")
    context: dict[str, Any] = {
        "title": gettext("Trial run"),
        "workflow": workflow,
        "editor_url": admin_url(Workflow, "edit", workflow.pk),
        "fields": fields,
    }
    problems = editing.graph_problems(workflow, source)
    if problems:
        context["problems"] = [problem.detail for problem in problems]
    else:
        context.update(_run(model_admin, request, workflow, source, fields))
    return model_admin.render_page(request, "executions/admin/trial.html", context, row=workflow)


def _run(
    model_admin: GuardedAdmin, request: HttpRequest, workflow: Workflow, source: Any, fields: str
) -> dict[str, Any]:
    """Return the trial and its answers; without the last answer if that was refused."""
    try:
        entity, answers = _read_fields(fields), _read_answers(request)
    except ValueError as error:
        model_admin.message_user(request, str(error), messages.ERROR)
        return {"answers": "[]"}
    number = request.POST.get("step", "")
    bound: dict[int, django_forms.Form] = {}
    attempts = [answers]
    if number.isdecimal() and len(answers) < MAX_ANSWERS:
        answer = _read_answer(request, workflow, source, entity, answers, int(number), bound)
        attempts = [[*answers, answer], answers] if answer is not None else attempts
    for attempt in attempts:
        try:
            trial = services.run_trial(
                workflow, source, entity, attempt, lambda execution: _read_trial(execution, bound)
            )
        except REFUSING as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            text = gettext("The trial run cannot continue. %(problem)s")
            details = " ".join(refusal.messages) or str(refusal.message)
            if isinstance(refusal, WorkflowValidationError):
                details = " ".join(problem.detail for problem in refusal.problems)
            model_admin.message_user(request, text % {"problem": details}, messages.ERROR)
            continue
        return {"trial": trial, "answers": json.dumps(attempt), "count": len(attempt)}
    return {"answers": "[]"}


def _read_fields(text: str) -> dict[str, Any]:
    try:
        fields = parse_json(text or "{}")
    except (ValueError, RecursionError):
        raise ValueError(gettext("The fields are not valid JSON.")) from None
    if not isinstance(fields, dict):
        raise ValueError(gettext("The fields must be a JSON object."))
    details = [detail for _, detail in find_unstorable(fields)]
    if details:
        raise ValueError(details[0])
    return fields


def _read_answers(request: HttpRequest) -> Answers:
    try:
        answers = parse_json(request.POST.get("answers") or "[]")
    except (ValueError, RecursionError):
        answers = None
    if not isinstance(answers, list) or not all(isinstance(one, dict) for one in answers):
        raise ValueError(gettext("The answers of this trial run are damaged. Start it again."))
    return answers[: MAX_ANSWERS - 1] if "back" not in request.POST else answers[:-1]


def _read_answer(
    request: HttpRequest,
    workflow: Workflow,
    source: Any,
    entity: dict[str, Any],
    answers: Answers,
    number: int,
    bound: dict[int, django_forms.Form],
) -> dict[str, Any] | None:
    """Return the posted answer; None if its form has errors, which is then ``bound``."""
    if "skip" in request.POST:
        return {"step": number, "skip": request.POST["skip"] or None}

    def node_data(execution: Execution) -> dict[str, Any]:
        steps = services.list_open_steps(execution)
        if number >= len(steps) or steps[number].type != USER_ACTION:
            return {}
        step = steps[number]
        return dict(step.execution.get_workflow_manager().node(step.node_id).data)

    try:
        data = services.run_trial(workflow, source, entity, answers, node_data)
    except REFUSING:
        return {"step": number, "data": {}}
    form = _form(data, number, request.POST)
    action = request.POST.get("_action")
    validates = {one["handle"]: one["validates"] for one in form_actions.list_actions(data)}
    if not form.is_valid() and validates.get(action or "", True):
        bound[number] = form
        return None
    answer = {"step": number, "data": forms.to_json(form.cleaned_data)}
    return answer if action is None else {**answer, "action": action}


def _form(data: dict[str, Any], number: int, posted: Any = None) -> django_forms.Form:
    return forms.build(data.get("fields", []))(posted, prefix=f"step-{number}")


def _read_trial(execution: Execution, bound: dict[int, django_forms.Form]) -> Trial:
    steps = services.list_open_steps(execution)
    return Trial(
        execution.status,
        str(execution.get_status_display()),
        execution.message,
        execution.stage,
        path_diagram(execution, (), {}),
        [_read_step(step, number, execution, bound) for number, step in enumerate(steps)],
        pretty_json(execution.entity.fields),
        pretty_json(execution.variables) if execution.variables else "",
    )


def _read_step(
    step: Step, number: int, root: Execution, bound: dict[int, django_forms.Form]
) -> TrialStep:
    manager = step.execution.get_workflow_manager()
    node = manager.node(step.node_id)
    is_child = step.execution_id != root.pk
    found = TrialStep(
        number,
        node.data.get("title") or step_title(step),
        type_title(step.type),
        str(step.execution.workflow) if is_child else "",
        incident=(step.incident or {}).get("detail", ""),
    )
    if step.type == USER_ACTION and not found.incident:
        found.form = bound.get(number) or _form(dict(node.data), number)
        found.actions = form_actions.list_actions(node.data)
        found.button = node.data.get("button_label") or gettext("Submit")
    if step.type != Join.name:
        exits = skip_exits(manager.graph, node) or (None,)
        labels = form_actions.action_labels(node.data) if step.type == USER_ACTION else {}
        found.exits = [(exit_ or "", labels.get(exit_ or "", exit_ or "")) for exit_ in exits]
    return found
