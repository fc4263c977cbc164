"""Names and cells of the admin's lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django import template
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
