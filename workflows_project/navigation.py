"""The navigation of the admin: sections for what people do, instead of a list of apps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from workflows.templatetags.admin_lists import list_title

SECTIONS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (_("Work"), ("Execution", "Finding", "InventoryModel")),
    (_("Design"), ("Workflow", "Version", "FindingType", "RecordType", "PendingChange")),
    (
        _("Administration"),
        (
            "User",
            "Group",
            "AuthToken",
            "FailedLogins",
            "Secret",
            "Subscription",
            "OutgoingDelivery",
            "BulkOperation",
            "SavedFilter",
            "AuditEntry",
        ),
    ),
)
"""The sections, each with the names of its models in order. The last takes all other models."""

PAGES: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
    ("index", _("Home"), ()),
    (
        "executions_execution_inbox",
        _("Inbox"),
        ("executions.submit_execution", "executions.view_execution"),
    ),
    ("executions_execution_reports", _("Reports"), ("executions.view_execution",)),
)
"""The pages at the top of the first section that are not lists, with the permissions they need."""


def build_sections(request: HttpRequest, apps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the sections of the navigation that the user may see.

    Args:
        apps: the apps of Django's list, with the models that the user may view.
    """
    models = {model["object_name"]: model for app in apps for model in app["models"]}
    if not models:
        return []
    placed = {name for _title, names in SECTIONS for name in names}
    sections = []
    for place, (title, names) in enumerate(SECTIONS):
        found = [models[name] for name in names if name in models]
        if place == 0:
            found = [*_pages(request), *found]
        if place == len(SECTIONS) - 1:
            found += [model for name, model in models.items() if name not in placed]
        if found:
            sections.append(_section(title, found))
    _mark_current(request.path, sections)
    return sections


def _section(title: Any, models: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": title,
        "app_label": "section",
        "has_module_perms": True,
        "models": [
            {**entry, "name": list_title(entry["model"]) if "model" in entry else entry["name"]}
            for entry in models
        ],
    }


def _pages(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        {
            "name": title,
            "object_name": name.rpartition("_")[2],
            "admin_url": reverse(f"admin:{name}"),
            "add_url": None,
            "view_only": True,
            "perms": {},
        }
        for name, title, permissions in PAGES
        if request.user.has_perms(permissions)
    ]


def _mark_current(path: str, sections: list[dict[str, Any]]) -> None:
    """Mark the entry that leads to this page, or to the page above it."""
    home = reverse("admin:index")
    entries = [entry for section in sections for entry in section["models"]]
    above = [
        entry
        for entry in entries
        if entry["admin_url"]
        and path.startswith(entry["admin_url"])
        and (entry["admin_url"] != home or path == home)
    ]
    if above:
        max(above, key=lambda entry: len(entry["admin_url"]))["is_current"] = True
