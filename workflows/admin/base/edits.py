"""Forms that write only what a person has changed on the page.

A page carries what each field had when it was rendered. A field that comes back as it was is not
written. A field that was changed on the page and, meanwhile, in the database is refused: the form
comes back with both values, and a second save writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar

from django import forms
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.auth.forms import ReadOnlyPasswordHashField
from django.core.exceptions import ValidationError
from django.db import connections, models
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.choices import flatten_choices
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_lazy

from workflows.admin.base.formatting import admin_url
from workflows.admin.base.generics import ModelForm
from workflows.admin.base.list_filters import ListAdmin
from workflows.admin.base.refusals import RefusalList
from workflows.admin.base.submit_once import done_at
from workflows.audit.audited_model import Audited, changed, save_columns
from workflows.db.json_values import below, canonical
from workflows.guards import MISSING, Stale, is_same, merge
from workflows.refusals import Problem

DB = "default"
READ = "_read"
"""The hidden input with what the fields had when the page was rendered."""
SHORT = 500


def plain(field: forms.Field, value: Any) -> Any:
    """Return the value of a form field as JSON that can be compared and kept in a page."""
    if isinstance(field, forms.JSONField):
        return value
    prepared = field.prepare_value(value)
    if isinstance(prepared, (list, tuple, set, QuerySet)):
        return sorted((_scalar(field, item) for item in prepared), key=str)
    return _scalar(field, prepared)


def _scalar(field: forms.Field, value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Model):
        return value.pk
    if isinstance(value, (bool, int, float)):
        return value
    # A textarea sends each line with a carriage return.
    text = str(value).replace("\r\n", "\n")
    return text.strip() if getattr(field, "strip", False) else text


def _as_sent(value: Any) -> Any:
    """Return a value as the text, or the texts, that a browser sends for it."""
    if isinstance(value, (list, tuple)):
        return sorted(str(item) for item in value)
    return "" if value is None else str(value).replace("\r\n", "\n")


class EditForm(ModelForm[Any]):
    """A form that writes only the fields that were changed on its page."""

    merged: ClassVar[tuple[str, ...]] = ()
    """JSON objects that are merged name by name."""
    versioned_by: ClassVar[Mapping[str, str]] = {}
    """Fields that are never shown, each with the attribute that says whether it was changed."""
    unreadable = gettext_lazy("The page was damaged on its way. Open it again.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("error_class", RefusalList)
        super().__init__(*args, **kwargs)
        self.is_edit = not self.instance._state.adding
        self.now: dict[str, Any] = self._now() if self.is_edit else {}
        self.read = dict(self.now)
        self.written: list[str] = []

    def _now(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, field in self.fields.items():
            if name in self.versioned_by:
                found[name] = getattr(self.instance, self.versioned_by[name])
            elif not isinstance(field, ReadOnlyPasswordHashField) and not isinstance(
                field.widget, forms.PasswordInput
            ):
                found[name] = plain(field, self.get_initial_for_field(field, name))
        return found

    @property
    def read_input(self) -> SafeString | str:
        """The hidden input with what the fields had when the page was rendered."""
        if not self.is_edit:
            return ""
        return format_html('<input type="hidden" name="{}" value="{}">', READ, canonical(self.read))

    @property
    def changed_data(self) -> list[str]:
        """The names of the fields that were changed."""
        if self.is_edit and self.is_bound:
            self.errors  # noqa: B018  cleans the form
            return self.written
        return list(super().changed_data)

    def _clean_fields(self) -> None:
        if not self.is_edit:
            super()._clean_fields()  # type: ignore[misc]
            return
        self._take_read()
        whole = self.fields
        self.fields = {name: whole[name] for name in whole if self._is_touched(name)}
        try:
            super()._clean_fields()  # type: ignore[misc]
        finally:
            self.fields = whole
        for name, value in list(self.cleaned_data.items()):
            self._compare(name, value)
        # Django copies cleaned data to the row: a field that is not written must not be in it.
        self.written = list(self.cleaned_data)

    def _take_read(self) -> None:
        sent = self.data.get(READ)
        if sent is None:
            return
        try:
            found = json.loads(sent)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self.add_error(None, ValidationError(self.unreadable, code="invalid"))
            return
        self.read.update((name, found[name]) for name in self.now if name in found)

    def _is_touched(self, name: str) -> bool:
        field, key = self.fields[name], self.add_prefix(name)
        if field.disabled or field.widget.value_omitted_from_data(self.data, self.files, key):
            return False
        sent = field.widget.value_from_datadict(self.data, self.files, key)
        if name in self.versioned_by or name not in self.now:
            return bool(sent)
        if _as_sent(sent) == _as_sent(self.read[name]):
            return False
        try:
            return not is_same(plain(field, field.clean(sent)), self.read[name])
        except ValidationError:
            return True

    def _compare(self, name: str, value: Any) -> None:
        """Keep the value to be written, or refuse it because it is stale."""
        field, was, is_now = self.fields[name], self.read.get(name), self.now.get(name)
        if name in self.versioned_by:
            if not is_same(was, is_now):
                self.read[name] = is_now
                self.add_error(name, Stale([]))
            return
        typed = plain(field, value)
        if name in self.merged and isinstance(was, dict) and isinstance(typed, dict):
            self._merge(name, was, typed)
        elif is_same(typed, is_now):
            del self.cleaned_data[name]
        elif name in self.now and not is_same(was, is_now):
            self.read[name] = is_now
            self._refuse(
                name, typed, [self._both(name, capfirst(field.label or name), is_now, typed)]
            )

    def _merge(self, name: str, was: dict[str, Any], typed: dict[str, Any]) -> None:
        is_now = self.now[name]
        whole, conflicts = merge(was, typed, is_now)
        if conflicts:
            # The page now shows these values, so the next save may write over them.
            seen = {key: is_now[key] for key in conflicts if key in is_now}
            kept = {key: value for key, value in was.items() if key not in conflicts}
            self.read[name] = {**kept, **seen}
            problems = [
                self._both(name, key, is_now.get(key, MISSING), typed.get(key, MISSING), key)
                for key in conflicts
            ]
            self._refuse(name, typed, problems)
        elif is_same(whole, is_now):
            del self.cleaned_data[name]
        else:
            self.cleaned_data[name] = whole

    def _refuse(self, name: str, typed: Any, problems: list[Problem]) -> None:
        refusal = Stale(problems)
        if isinstance(self.instance, Audited):
            refusal.attempts = changed(self.instance, {name: self.now[name]}, {name: typed})
        self.add_error(name, refusal)

    def _both(self, name: str, label: Any, is_now: Any, typed: Any, *keys: str) -> Problem:
        field = self.fields[name]
        detail = gettext("%(label)s: now %(now)s, yours %(yours)s.") % {
            "label": label,
            "now": _shown(field, is_now),
            "yours": _shown(field, typed),
        }
        return Problem(below("", name, *keys), Stale.code, detail)

    def written_columns(self) -> set[str]:
        """Return the names of the columns of the row that a save has to write."""
        columns = {field.name for field in self.instance._meta.concrete_fields}
        return columns & set(self.written)


def _shown(field: forms.Field, value: Any) -> str:
    """Return a value as a sentence shows it: by its label where it has one."""
    if value is MISSING or value in ("", None, []):
        return gettext("empty")
    if isinstance(field, forms.ModelChoiceField):
        wanted = value if isinstance(value, list) else [value]
        key = field.to_field_name or "pk"
        model: Any = field.queryset.model if field.queryset is not None else None
        rows = model._default_manager.filter(**{f"{key}__in": wanted})
        text = ", ".join(f"“{row}”" for row in rows) or str(value)
    elif isinstance(field, forms.ChoiceField):
        choices: Any = field.choices
        flat: list[tuple[Any, Any]] = list(flatten_choices(choices))
        labels = {str(key): str(label) for key, label in flat}
        wanted = value if isinstance(value, list) else [value]
        text = ", ".join(f"“{labels.get(str(one), one)}”" for one in wanted)
    elif isinstance(value, str) and not isinstance(field, forms.JSONField):
        text = f"“{value}”"
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"


class EditAdmin(ListAdmin):
    """An admin whose change pages write only what was changed on them."""

    form = EditForm

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the row; one that is about to be written is locked first, then read."""
        row = super().get_object(request, object_id, from_field)
        if row is None or request.method != "POST" or not connections[DB].in_atomic_block:
            return row
        self.lock(request, row)
        return super().get_object(request, object_id, from_field)

    def lock(self, request: HttpRequest, row: Model) -> None:
        """Lock a row against other edits until the transaction ends."""
        rows: models.QuerySet[Any] = type(row)._base_manager.select_for_update(no_key=True)
        rows.filter(pk=row.pk).first()

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Return the stock answer; that of a popup, a script that closes it, says it is done."""
        response = super().response_add(request, obj, post_url_continue)
        is_popup = IS_POPUP_VAR in request.POST
        return done_at(response, admin_url(obj, "change", obj.pk)) if is_popup else response

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save a new row, or the changed columns of one that is there."""
        if change and isinstance(form, EditForm):
            save_columns(obj, form.written_columns())
        else:
            super().save_model(request, obj, form, change)
