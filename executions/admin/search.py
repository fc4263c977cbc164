"""The search over executions, entities and definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext

from executions.admin.titles import execution_title
from executions.models import Execution, Finding, InventoryModel
from workflows.admin.base.formatting import admin_url, badge
from workflows.models import FindingType, RecordType, Workflow
from workflows.visibility import may_view

LISTED = 10
MAX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Match:
    """A record that was found."""

    title: str
    url: str
    note: str = ""
    badge: SafeString | str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """The first records of one model that were found, and the URL of the list with all."""

    title: str
    matches: list[Match]
    url: str
    has_more: bool


def search_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show what matches the search, in a section for each model that the user may view.

    Args:
        context: the context of the admin site.
    """
    text = request.GET.get("q", "").strip()[:MAX_LENGTH]
    is_searchable = bool(text) and "\0" not in text
    sections = list(find_sections(request.user, text)) if is_searchable else []
    return TemplateResponse(
        request,
        "executions/admin/search.html",
        {
            **context,
            "title": gettext("Search"),
            "subtitle": text or None,
            "q": text,
            "sections": sections,
        },
    )


def find_sections(user: Any, text: str) -> Iterable[Section]:
    """Yield the models with matches. Each takes at most seven statements."""
    for model, (find, describe) in _SEARCHES.items():
        if not may_view(user, model):
            continue
        rows = list(find(text)[: LISTED + 1])
        if rows:
            yield Section(
                capfirst(str(model._meta.verbose_name_plural)),
                [describe(row) for row in rows[:LISTED]],
                admin_url(model, "changelist", q=text),
                len(rows) > LISTED,
            )


def _find_executions(text: str) -> QuerySet[Any]:
    rows = Execution.objects.matching(text.split()).select_related("workflow", "entity")
    return rows.defer("entity__fields", "passed", "variables").order_by("-pk")


def _describe_execution(row: Execution) -> Match:
    status = badge(row.status, row.get_status_display())
    return Match(execution_title(row), admin_url(row, "change", row.pk), row.stage, status)


def _find_entities(model: Any) -> Callable[[str], QuerySet[Any]]:
    def find(text: str) -> QuerySet[Any]:
        matching = Q(title__icontains=text) | Q(cuid=text.lower()) | Q(external_id=text)
        rows = model.objects.filter(matching).defer("fields").order_by("title", "pk")
        found: QuerySet[Any] = rows.select_related("entity_name_type", "primary_record_type")
        return found

    return find


def _describe_entity(row: Any) -> Match:
    return Match(str(row), admin_url(row, "change", row.pk), str(row.context_type))


def _find_workflows(text: str) -> QuerySet[Any]:
    matching = Q(title__icontains=text) | Q(description__icontains=text) | Q(cuid=text.lower())
    related = ("entity_name_type", "primary_record_type")
    return Workflow.objects.filter(matching).select_related(*related).order_by("title", "pk")


def _describe_workflow(row: Workflow) -> Match:
    state = badge(row.state, row.get_state_display())
    return Match(row.title, admin_url(row, "change", row.pk), str(row.context_type), state)


def _find_types(model: Any) -> Callable[[str], QuerySet[Any]]:
    def find(text: str) -> QuerySet[Any]:
        matching = Q(name__icontains=text) | Q(cuid=text.lower())
        found: QuerySet[Any] = model.objects.filter(matching).order_by("name", "pk")
        return found

    return find


def _describe_type(row: Any) -> Match:
    return Match(row.name, admin_url(row, "change", row.pk), row.description)


Search = tuple[Callable[[str], QuerySet[Any]], Callable[[Any], Match]]

_SEARCHES: dict[type[Model], Search] = {
    Execution: (_find_executions, _describe_execution),
    Finding: (_find_entities(Finding), _describe_entity),
    InventoryModel: (_find_entities(InventoryModel), _describe_entity),
    Workflow: (_find_workflows, _describe_workflow),
    FindingType: (_find_types(FindingType), _describe_type),
    RecordType: (_find_types(RecordType), _describe_type),
}
"""The searched models in the order of their sections."""


def may_search(user: Any) -> bool:
    """Return True if the user may view a model that the search finds."""
    return any(may_view(user, model) for model in _SEARCHES)
