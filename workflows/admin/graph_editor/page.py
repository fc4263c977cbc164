"""The page where a graph is drawn: each link selects a node, each button is one step."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html

from workflows import editing
from workflows.admin.base.formatting import admin_url, pretty
from workflows.admin.base.refusal_log import recorded
from workflows.admin.base.refusals import REFUSING
from workflows.admin.graph_editor.data_form import Data
from workflows.admin.graph_editor.json_page import graph_saved
from workflows.admin.graph_editor.page_context import PICTURE, data_form, shown, way_of
from workflows.admin.graph_picture import SELECTED, label_of, type_title
from workflows.db.json_values import InexactNumber, parse_json
from workflows.graph import WorkflowValidationError
from workflows.graph.editing import (
    CannotEdit,
    Source,
    add_after,
    connect,
    data_of,
    delete,
    disconnect,
    node_of,
    readable,
    set_data,
    ways_in,
)
from workflows.guards import StaleVersion
from workflows.models import Workflow

if TYPE_CHECKING:
    from workflows.admin.base.model_admin import GuardedAdmin

MAY = "workflows.add_version"
HEAD = "container"
"""The id of the whole page."""


class _Typed(Exception):
    """What was typed into the form of a node cannot be kept; it is shown again."""

    def __init__(self, data: Data) -> None:
        super().__init__(" ".join(data.malformed))
        self.data = data


def editor_page(model_admin: GuardedAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """GET shows what is drawn (``?node=`` selects, ``?download`` hands it out), POST is a step."""
    model_admin.require(request, MAY)
    rows = Workflow.objects.select_related("entity_name_type", "primary_record_type")
    workflow = rows.filter(pk=pk).first()
    if workflow is None:
        raise Http404
    typed: Data | None = None
    if request.method == "POST":
        try:
            return _Step(model_admin, request, workflow).take()
        except _Typed as error:
            typed = error.data
            model_admin.message_user(request, f"Not kept. {error}", messages.ERROR)
        except (CannotEdit, editing.DraftMoved) as error:
            model_admin.message_user(request, str(error), messages.ERROR)
            if isinstance(error, editing.DraftMoved):
                typed = _typed(workflow, request)
        if typed is None:
            return _shown_at(workflow, request, request.POST.get("node", ""))
    draft = editing.open_draft(workflow, request.user)
    if "download" in request.GET:
        name = f"{workflow.cuid}-{draft.base}.json"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(pretty(draft.source), "application/json", headers=headers)
    node = request.POST.get("node") if typed is not None else request.GET.get("node")
    return model_admin.render_page(
        request,
        "workflows/admin/editor.html",
        {
            "title": "Draw the graph",
            "workflow": workflow,
            **shown(workflow, draft, node or "", typed.value if typed is not None else None),
        },
        row=workflow,
    )


def _typed(workflow: Workflow, request: HttpRequest) -> Data | None:
    """Return what was typed into the form of a node that is still there, to show it again."""
    if request.POST.get("step") != "set":
        return None
    source = editing.open_draft(workflow, request.user).source
    try:
        node = node_of(source, request.POST.get("node", ""))
        return data_form(node, workflow).read(request.POST, data_of(node))
    except CannotEdit:
        return None


def _shown_at(workflow: Workflow, request: HttpRequest, node_id: str) -> HttpResponse:
    address = admin_url(Workflow, "edit", workflow.pk)
    query = f"?{urlencode({'node': node_id})}" if node_id else ""
    # What is said stands at the head of the page. Without an anchor of its own, a browser would
    # keep that of the page before.
    is_told = bool(messages.get_messages(request))
    anchor = f"{PICTURE}-{SELECTED}" if node_id and not is_told else HEAD
    return HttpResponseRedirect(f"{address}{query}#{anchor}")


class _Step:
    """One POST: which step, at which node, of which state of the drawing."""

    def __init__(self, model_admin: GuardedAdmin, request: HttpRequest, workflow: Workflow) -> None:
        self.model_admin, self.request, self.workflow = model_admin, request, workflow
        self.posted = request.POST
        self.token = request.POST.get("token", "")
        self.node = request.POST.get("node", "")

    def take(self) -> HttpResponse:
        """Take the step, and show the drawing where it was taken."""
        step = self.posted.get("step", "")
        acts = {
            "undo": editing.undo,
            "redo": editing.redo,
            "take_theirs": editing.take_theirs,
        }
        if step == "save":
            return self._save()
        if step == "put_on_top":
            self._put_on_top()
        elif step in acts:
            acts[step](self.workflow, self.request.user, self.token)
        elif step in ("add", "connect", "disconnect", "set", "delete", "replace"):
            change = getattr(self, f"_{step}")
            editing.edit_draft(self.workflow, self.request.user, self.token, change)
        else:
            raise CannotEdit("There is no such step.")
        return _shown_at(self.workflow, self.request, self.node)

    def _name(self, source: Source, node_id: str) -> str:
        return f"“{label_of(node_of(source, node_id))}”"

    def _add(self, source: Source) -> tuple[Source, str]:
        exit_, before = way_of(self.posted.get("way", ""))
        after, kind = self.node, self.posted.get("kind", "")
        label = self.posted.get("label", "").strip()
        changed, self.node = add_after(source, after, kind, label=label, exit_=exit_, before=before)
        return changed, f"{self._name(changed, self.node)} after {self._name(source, after)}"

    def _connect(self, source: Source) -> tuple[Source, str]:
        exit_, _ = way_of(self.posted.get("way", ""))
        target = self.posted.get("target", "")
        changed = connect(source, self.node, target, exit_=exit_)
        return changed, f"{self._name(source, self.node)} leads to {self._name(source, target)}"

    def _disconnect(self, source: Source) -> tuple[Source, str]:
        exit_, target = way_of(self.posted.get("way", ""))
        changed = disconnect(source, self.node, target or "", exit_=exit_)
        there = self._name(source, target or "")
        return changed, f"{self._name(source, self.node)} does not lead to {there}"

    def _set(self, source: Source) -> tuple[Source, str]:
        node = node_of(source, self.node)
        form = data_form(node, self.workflow)
        data = form.read(self.posted, data_of(node))
        if data.malformed:
            raise _Typed(data)
        changed = set_data(source, self.node, data.value, renamed=data.renamed)
        return changed, f"what {self._name(changed, self.node)} holds"

    def _delete(self, source: Source) -> tuple[Source, str]:
        node = node_of(source, self.node)
        changed = delete(source, self.node)
        before = ways_in(source, self.node)
        self.node = before[0][0] if before and before[0][0] != self.node else ""
        return changed, f"without “{label_of(node)}” ({type_title(str(node.get('type')))})"

    def _replace(self, source: Source) -> tuple[Source, str]:
        file = self.request.FILES.get("file")
        if file is None:
            raise CannotEdit("No file was chosen.")
        try:
            whole = parse_json(file.read().decode("utf-8-sig"))
        except InexactNumber as error:
            raise CannotEdit(f"{error}.") from None
        except (ValueError, RecursionError):
            raise CannotEdit(f"{file.name} holds no JSON.") from None
        self.node = ""
        return readable(whole), f"the drawing of {file.name}"

    def _put_on_top(self) -> None:
        both = editing.put_on_top(self.workflow, self.request.user, self.token)
        if both:
            source = editing.open_draft(self.workflow, self.request.user).source
            names = ", ".join(self._name(source, key) for key in both if _has(source, key))
            text = format_html("Both had changed {}: yours is here.", names or "what you removed")
            self.model_admin.message_user(self.request, text, messages.WARNING)

    def _save(self) -> HttpResponse:
        notes = self.posted.get("notes", "")
        try:
            saved = editing.save_draft(
                self.workflow,
                self.request.user,
                self.token,
                notes,
                allow_unknown="allow_unknown" in self.posted,
            )
        except REFUSING as error:
            refusal = recorded(error)
            if isinstance(refusal, WorkflowValidationError):
                number = len(refusal.problems)
                text = f"Not saved: {number} problem{'' if number == 1 else 's'} first."
                self.model_admin.message_user(self.request, text, messages.ERROR)
            elif isinstance(refusal, StaleVersion):
                text = "Not saved: somebody has saved another version meanwhile. Choose below."
                self.model_admin.message_user(self.request, text, messages.ERROR)
            else:
                self.model_admin.message_refusal(self.request, refusal)
            return _shown_at(self.workflow, self.request, self.node)
        return graph_saved(self.model_admin, self.request, self.workflow, saved, "edit")


def _has(source: Source, key: str) -> bool:
    return any(row.get("id") == key for row in source["nodes"])
