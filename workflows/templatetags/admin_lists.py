"""Names and cells of the admin's lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from django import template
from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.utils.html import escape, strip_tags
from django.utils.safestring import SafeString
from django.utils.text import capfirst

register = template.Library()

EMPTY = {"", "-", "–"}
"""The texts of cells without a value."""
_CELL = re.compile(r"<(t[dh])\b")


def list_title(model: type[Model]) -> str:
    """Return the name of a model's list: in the navigation, its heading and the breadcrumbs."""
    page = admin.site._registry.get(model)
    return capfirst(str(getattr(page, "list_title", "") or model._meta.verbose_name_plural))


@register.filter(name="list_title")
def list_title_of(options: Any) -> str:
    """Return the name of the list of the model with these options (``opts``)."""
    return list_title(options.model)


@register.filter
def counted(options: Any, number: int) -> str:
    """Return a number of records with their name, for example "1 finding"."""
    page = admin.site._registry.get(options.model)
    names = getattr(page, "item_titles", ()) or (options.verbose_name, options.verbose_name_plural)
    return f"{number} {names[number != 1]}"


@register.filter
def deletions(counts: Iterable[tuple[Any, int]]) -> Iterator[tuple[str, int]]:
    """Yield the names of lists and the numbers of their records that a deletion removes.

    Rows that only link two records are left out.
    """
    models = apps.get_models(include_auto_created=True)
    by_name = {str(model._meta.verbose_name_plural): model for model in models}
    for name, number in counts:
        model = by_name.get(str(name))
        if model is None or not model._meta.auto_created:
            yield (list_title(model) if model else capfirst(str(name))), number


@register.filter
def labelled(cells: Any, headers: Any) -> Iterator[SafeString]:
    """Return the cells of a row, each with its heading as ``data-label``.

    On small screens, the stylesheet shows the row as a card and reads the labels from there.
    Cells without a value are marked, so that cards leave them out.
    """
    for cell, header in zip(cells, headers, strict=True):
        label = "" if "action-checkbox" in header.get("class_attrib", "") else header["text"]
        marks = f' data-label="{escape(capfirst(str(label)))}"' if label else ""
        if strip_tags(cell).strip() in EMPTY and "<i" not in cell:
            marks += ' data-empty=""'
        # Both parts are HTML that was escaped before.
        yield SafeString(_CELL.sub(rf"<\1{marks}", cell, count=1))
