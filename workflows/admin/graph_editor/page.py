"""The graph editor: links select nodes, and each form runs one edit step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext

from workflows import editing
from workflows.admin.base.formatting import admin_url, pretty_json
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal
from workflows.admin.graph_diagram import SELECTED, displayed_positions, label_of, type_title
from workflows.admin.graph_editor.data_form import ROOT
from workflows.admin.graph_editor.data_reader import SubmittedData
from workflows.admin.graph_editor.data_rows import ROW_STEP, change_rows
from workflows.admin.graph_editor.group_steps import copy_to_session, edit_group
from workflows.admin.graph_editor.json_page import graph_saved
from workflows.admin.graph_editor.page_context import (
    ADD_ANCHOR,
    DIAGRAM_KEY,
    data_form,
    page_context,
    parse_exit,
)
from workflows.db.json_values import InexactNumber, parse_json
from workflows.graph import WorkflowValidationError
from workflows.graph.edit_steps import (
    GraphEditError,
    Source,
    add_node_after,
    connect_nodes,
    delete_node,
    disconnect_nodes,
    duplicate_node,
    find_node,
    is_fork,
    list_incoming,
    node_data,
    require_editable,
    set_node_data,
)
from workflows.graph.positions import move_nodes, without_positions
from workflows.guards import StaleVersion
from workflows.models import Workflow
from workflows.refusals import Refusal

PERMISSION = "workflows.add_version"
GROUP_EDITS = ("delete_nodes", "duplicate_nodes", "paste")
"""The steps that edit several nodes."""
WITH_SETTINGS = (
    *("add", "arrange", "connect", "copy", "disconnect", "duplicate", "move", "save", "select"),
    *GROUP_EDITS,
)
"""The steps that first apply the settings of the node, which the same form sends."""
EDITS = (
    *("add", "arrange", "connect", "delete", "disconnect", "duplicate", "move", "replace", "set"),
)
BUTTON_STEPS = ("add", "disconnect")
"""The steps whose buttons send a value: the type to add, the edge to remove."""
PAGE_ANCHOR = "container"
"""The id of the element around the whole page."""


class _MalformedInput(Exception):
    """The submitted node settings contain invalid JSON. The form is shown again."""


def editor_page(model_admin: GuardedAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the graph editor on GET, run an edit step on POST.

    The parameter ``node`` selects a node, ``at`` the exit at which the next node is added;
    ``download`` returns the graph as a JSON file.
    """
    model_admin.require(request, PERMISSION)
    rows = Workflow.objects.select_related("entity_name_type", "primary_record_type")
    workflow = rows.filter(pk=pk).first()
    if workflow is None:
        raise Http404
    posted: Mapping[str, Any] | None = None
    if request.POST.get("step") == "check":
        return _checked_page(model_admin, request, workflow)
    if ROW_STEP in request.POST:
        posted = change_rows(request.POST, request.POST[ROW_STEP])
    elif request.method == "POST":
        try:
            return _EditStep(model_admin, request, workflow).run()
        except _MalformedInput as error:
            posted = request.POST
            text = gettext("The settings were not applied. %(problems)s") % {"problems": error}
            model_admin.message_user(request, text, messages.ERROR)
        except (GraphEditError, editing.DraftConflict) as error:
            model_admin.message_user(request, str(error), messages.ERROR)
            if _submitted_settings(workflow, request) is not None:
                posted = request.POST
        if posted is None:
            return _redirect_to_node(workflow, request, request.POST.get("node", ""))
    draft = editing.open_draft(workflow, request.user)
    if "download" in request.GET:
        name = f"{workflow.cuid}-{draft.base}.json"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(pretty_json(draft.source), "application/json", headers=headers)
    node = (request.GET if posted is None else request.POST).get("node", "")
    at = request.GET.get("at", "")
    context = page_context(workflow, draft, request.user, node, posted, at)
    context["checked"] = {*request.GET.getlist("checked"), *request.POST.getlist("nodes")}
    return _render(model_admin, request, workflow, context)


def _render(
    model_admin: GuardedAdmin, request: HttpRequest, workflow: Workflow, found: dict[str, Any]
) -> HttpResponse:
    context = {"title": gettext("Edit graph"), "workflow": workflow, **found}
    return model_admin.render_page(request, "workflows/admin/editor.html", context, row=workflow)


def _checked_page(
    model_admin: GuardedAdmin, request: HttpRequest, workflow: Workflow
) -> HttpResponse:
    """Show the page with the problems that the submitted settings would have. Writes nothing."""
    draft = editing.open_draft(workflow, request.user)
    node, typed = request.POST.get("node", ""), _submitted_settings(workflow, request)
    if typed is not None and not typed.malformed:
        source = set_node_data(draft.source, node, typed.value, renamed=typed.renamed)
        draft = replace(draft, source=source)
    context = page_context(workflow, draft, request.user, node)
    return _render(model_admin, request, workflow, context)


def _submitted_settings(workflow: Workflow, request: HttpRequest) -> SubmittedData | None:
    """Return the submitted settings of a node that still exists and has others."""
    if not _has_settings(request):
        return None
    source = editing.open_draft(workflow, request.user).source
    try:
        node = find_node(source, request.POST.get("node", ""))
    except GraphEditError:
        return None
    typed = data_form(node).read(request.POST, node_data(node))
    return None if typed.value == node_data(node) else typed


def _has_settings(request: HttpRequest) -> bool:
    return any(name.startswith(f"{ROOT}/") for name in request.POST)


def _redirect_to_node(
    workflow: Workflow,
    request: HttpRequest,
    node_id: str,
    at: str = "",
    checked: Sequence[str] = (),
) -> HttpResponse:
    url = admin_url(Workflow, "edit", workflow.pk)
    values = [("node", node_id), ("at", at), *(("checked", key) for key in checked)]
    query = urlencode([(key, value) for key, value in values if value])
    # Messages are at the top of the page. Without an anchor the browser keeps the previous one.
    has_messages = bool(messages.get_messages(request))
    anchor = f"{DIAGRAM_KEY}-{SELECTED}" if node_id and not has_messages else PAGE_ANCHOR
    if at and not has_messages:
        anchor = ADD_ANCHOR
    return HttpResponseRedirect(f"{url}{'?' if query else ''}{query}#{anchor}")


class _EditStep:
    """A POST with one edit step: its name, its node and the state of the draft."""

    def __init__(self, model_admin: GuardedAdmin, request: HttpRequest, workflow: Workflow) -> None:
        self.model_admin, self.request, self.workflow = model_admin, request, workflow
        self.posted = request.POST
        self.token = request.POST.get("token", "")
        self.node = request.POST.get("node", "")
        self.at = ""
        self.checked: list[str] = []

    def run(self) -> HttpResponse:
        """Run the step and redirect to the selected node.

        Raises:
            GraphEditError: the step is unknown or impossible.
            _MalformedInput: the settings contain invalid JSON.
        """
        named = [name for name in BUTTON_STEPS if name in self.posted]
        step = named[0] if named else self.posted.get("step", "")
        if step in WITH_SETTINGS and _has_settings(self.request):
            self._edit(self._set)
        if step in (*WITH_SETTINGS, "set") and self._typed_position() is not None:
            self._edit(self._move_node)
        actions = {
            "undo": editing.undo,
            "redo": editing.redo,
            "take_theirs": editing.discard_draft_changes,
        }
        if step == "save":
            return self._save()
        if step == "put_on_top":
            self._put_on_top()
        elif step in actions:
            actions[step](self.workflow, self.request.user, self.token)
        elif step == "select":
            self.node, self.at = self.posted.get("next", ""), self.posted.get("next-at", "")
        elif step == "copy":
            self._copy()
        elif step in GROUP_EDITS:
            self._edit(self._group)
        elif step in EDITS:
            self._edit(getattr(self, f"_{step}"))
        else:
            raise GraphEditError(gettext("Unknown edit step."))
        return _redirect_to_node(self.workflow, self.request, self.node, self.at, self.checked)

    def _copy(self) -> None:
        self.checked = self.posted.getlist("nodes")
        source = editing.open_draft(self.workflow, self.request.user).source
        text = copy_to_session(self.request.session, source, self.checked)
        self.model_admin.message_user(self.request, text, messages.SUCCESS)

    def _group(self, source: Source) -> tuple[Source, str]:
        group = edit_group(
            source, self.posted["step"], self.posted.getlist("nodes"), self.request.session
        )
        self.checked = group.checked
        # The panel and the picture go to the first new node.
        self.node = group.checked[0] if group.checked else self.node
        return group.source, group.description

    def _edit(self, change: Callable[[Source], tuple[Source, str]]) -> None:
        editing.edit_draft(self.workflow, self.request.user, self.token, change)
        self.token = editing.open_draft(self.workflow, self.request.user).token

    def _name(self, source: Source, node_id: str) -> str:
        return f"“{label_of(find_node(source, node_id))}”"

    def _add(self, source: Source) -> tuple[Source, str]:
        exit_, before = parse_exit(self.posted.get("add-exit", ""))
        after, node_type = self.node, self.posted.get("add", "")
        label = self.posted.get("label", "").strip()
        changed, self.node = add_node_after(
            source, after, node_type, label=label, exit_=exit_, before=before
        )
        names = {"node": self._name(changed, self.node), "before": self._name(source, after)}
        return changed, gettext("add %(node)s after %(before)s") % names

    def _duplicate(self, source: Source) -> tuple[Source, str]:
        name = self._name(source, self.node)
        label = gettext("%(label)s (copy)") % {"label": label_of(find_node(source, self.node))}
        changed, self.node = duplicate_node(source, self.node, label)
        return changed, gettext("duplicate %(node)s") % {"node": name}

    def _connect(self, source: Source) -> tuple[Source, str]:
        exit_, previous = parse_exit(self.posted.get("connect-exit", ""))
        # Dragging connects a node that need not be the selected one.
        before = self.posted.get("connect-from") or self.node
        target = self.posted.get("target", "")
        changed = connect_nodes(source, before, target, exit_=exit_)
        if previous is not None and is_fork(find_node(source, before)):
            changed = disconnect_nodes(changed, before, previous, exit_=exit_)
        names = {"node": self._name(source, before), "target": self._name(source, target)}
        return changed, gettext("connect %(node)s to %(target)s") % names

    def _disconnect(self, source: Source) -> tuple[Source, str]:
        exit_, target = parse_exit(self.posted.get("disconnect", ""))
        changed = disconnect_nodes(source, self.node, target or "", exit_=exit_)
        names = {"node": self._name(source, self.node), "target": self._name(source, target or "")}
        return changed, gettext("disconnect %(node)s from %(target)s") % names

    def _set(self, source: Source) -> tuple[Source, str]:
        node = find_node(source, self.node)
        data = data_form(node).read(self.posted, node_data(node))
        if data.malformed:
            raise _MalformedInput(" ".join(data.malformed.values()))
        changed = set_node_data(source, self.node, data.value, renamed=data.renamed)
        text = gettext("change the settings of %(node)s")
        return changed, text % {"node": self._name(changed, self.node)}

    def _typed_position(self) -> tuple[str, str] | None:
        """Return the numbers in the fields of the position, if they have changed."""
        names = ("position-x", "position-y")
        typed = tuple(self.posted.get(name, "").strip() for name in names)
        if f"{typed[0]},{typed[1]}" == self.posted.get("position", ","):
            return None
        return typed[0], typed[1]

    def _move_node(self, source: Source) -> tuple[Source, str]:
        x, y = self._typed_position() or ("", "")
        moves: Any = None
        with suppress(ValueError):
            moves = {self.node: {"x": float(x), "y": float(y)}}
        return self._moved(source, moves)

    def _move(self, source: Source) -> tuple[Source, str]:
        moves: Any = None
        with suppress(ValueError, RecursionError):
            moves = json.loads(self.posted.get("positions", ""))
        return self._moved(source, moves)

    def _moved(self, source: Source, moves: Any) -> tuple[Source, str]:
        changed = move_nodes(source, moves, displayed_positions(source))
        if len(moves) == 1:
            text = gettext("move %(node)s")
            return changed, text % {"node": self._name(source, next(iter(moves)))}
        return changed, gettext("move %(number)s nodes") % {"number": len(moves)}

    def _arrange(self, source: Source) -> tuple[Source, str]:
        return without_positions(source), gettext("arrange automatically")

    def _delete(self, source: Source) -> tuple[Source, str]:
        node = find_node(source, self.node)
        changed = delete_node(source, self.node)
        incoming = list_incoming(source, self.node)
        self.node = incoming[0][0] if incoming and incoming[0][0] != self.node else ""
        values = {"node": label_of(node), "type": type_title(str(node.get("type")))}
        return changed, gettext("delete “%(node)s” (%(type)s)") % values

    def _replace(self, source: Source) -> tuple[Source, str]:
        file = self.request.FILES.get("file")
        if file is None:
            raise GraphEditError(gettext("Choose a file."))
        try:
            loaded = parse_json(file.read().decode("utf-8-sig"))
        except InexactNumber as error:
            raise GraphEditError(f"{error}.") from None
        except (ValueError, RecursionError):
            message = gettext("The file %(name)s is not valid JSON.") % {"name": file.name}
            raise GraphEditError(message) from None
        self.node = ""
        return require_editable(loaded), gettext("load %(name)s") % {"name": file.name}

    def _put_on_top(self) -> None:
        both = editing.rebase_draft(self.workflow, self.request.user, self.token)
        if both:
            source = editing.open_draft(self.workflow, self.request.user).source
            names = ", ".join(self._name(source, key) for key in both if _has_node(source, key))
            text = format_html(
                gettext("You and someone else changed {}. Your version is used here."),
                names or gettext("nodes that you deleted"),
            )
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
            self._message_save_refusal(log_refusal(error))
            return _redirect_to_node(self.workflow, self.request, self.node)
        return graph_saved(self.model_admin, self.request, self.workflow, saved, "edit")

    def _message_save_refusal(self, refusal: Refusal) -> None:
        if isinstance(refusal, WorkflowValidationError):
            number = len(refusal.problems)
            text = ngettext(
                "The graph was not saved. Fix %(number)s problem first.",
                "The graph was not saved. Fix %(number)s problems first.",
                number,
            ) % {"number": number}
        elif isinstance(refusal, StaleVersion):
            text = gettext(
                "The graph was not saved: someone has saved another version. Choose below how to"
                " continue."
            )
        else:
            self.model_admin.message_refusal(self.request, refusal)
            return
        self.model_admin.message_user(self.request, text, messages.ERROR)


def _has_node(source: Source, key: str) -> bool:
    return any(row.get("id") == key for row in source["nodes"])
