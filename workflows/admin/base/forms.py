"""Admin forms that write only changed fields and show refusals beside their fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar

from django import forms
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.contrib.auth.forms import ReadOnlyPasswordHashField
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import Model, QuerySet
from django.forms.fields import InvalidJSONInput
from django.utils.choices import flatten_choices
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_lazy

from workflows.admin.base.formatting import pretty_json
from workflows.admin.base.generics import ModelForm
from workflows.admin.base.refusals import RefusalList
from workflows.audit.audited_model import Audited, change_attempts
from workflows.db.json_values import StrictDecoder, below, canonical, find_unstorable, json_type
from workflows.guards import MISSING, Stale, is_same, merge
from workflows.refusals import Problem, Refusal

DB = "default"
READ = "_read"
"""The name of the hidden input with the field values at the time the page was rendered."""
MAX_VALUE_LENGTH = 500


def comparable(field: forms.Field, value: Any) -> Any:
    """Return the value of a form field as JSON that can be compared and stored in a page."""
    if isinstance(field, forms.JSONField):
        return value
    prepared = field.prepare_value(value)
    if isinstance(prepared, (list, tuple, set, QuerySet)):
        return sorted((_comparable_scalar(field, item) for item in prepared), key=str)
    return _comparable_scalar(field, prepared)


def _comparable_scalar(field: forms.Field, value: Any) -> Any:
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


def _as_submitted(value: Any) -> Any:
    """Return a value as the string or list of strings that a browser submits for it."""
    if isinstance(value, (list, tuple)):
        return sorted(str(item) for item in value)
    return "" if value is None else str(value).replace("\r\n", "\n")


LABELS = {
    "cuid": gettext_lazy("ID"),
    "given_up_in_a_row": gettext_lazy("Deliveries given up in a row"),
    "url": gettext_lazy("URL"),
}
"""Labels of fields whose names are not words of the admin."""


class EditForm(ModelForm[Any]):
    """A form that writes only the fields that the user changed.

    The page carries the value of each field at the time it was rendered. A field that comes back
    with this value is not written. If both the user and someone else changed a field, the form
    is shown again with both values; the next save overwrites.
    """

    merged_fields: ClassVar[tuple[str, ...]] = ()
    """Fields with JSON objects that are merged key by key."""
    version_attributes: ClassVar[Mapping[str, str]] = {}
    """Fields whose value is never rendered, with the attribute that changes with the value."""
    damaged_message = gettext_lazy("The form data is incomplete. Reload the page and try again.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("error_class", RefusalList)
        super().__init__(*args, **kwargs)
        self.is_edit = not self.instance._state.adding
        self.stored: dict[str, Any] = self._stored_values() if self.is_edit else {}
        self.rendered = dict(self.stored)
        self.changed_fields: list[str] = []

    def _stored_values(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, field in self.fields.items():
            if name in self.version_attributes:
                found[name] = getattr(self.instance, self.version_attributes[name])
            elif not isinstance(field, ReadOnlyPasswordHashField) and not isinstance(
                field.widget, forms.PasswordInput
            ):
                found[name] = comparable(field, self.get_initial_for_field(field, name))
        return found

    @property
    def rendered_input(self) -> SafeString | str:
        """Return the hidden input with the field values at the time the page is rendered."""
        if not self.is_edit:
            return ""
        return format_html(
            '<input type="hidden" name="{}" value="{}">', READ, canonical(self.rendered)
        )

    @property
    def changed_data(self) -> list[str]:
        """Return the names of the changed fields."""
        if self.is_edit and self.is_bound:
            self.errors  # noqa: B018  cleans the form
            return self.changed_fields
        return list(super().changed_data)

    def _clean_fields(self) -> None:
        if not self.is_edit:
            super()._clean_fields()  # type: ignore[misc]
            return
        self._load_rendered()
        whole = self.fields
        self.fields = {name: whole[name] for name in whole if self._is_changed(name)}
        try:
            super()._clean_fields()  # type: ignore[misc]
        finally:
            self.fields = whole
        for name, value in list(self.cleaned_data.items()):
            self._compare(name, value)
        # Django copies cleaned data to the row: a field that is not written must not be in it.
        self.changed_fields = list(self.cleaned_data)

    def _load_rendered(self) -> None:
        sent = self.data.get(READ)
        if sent is None:
            return
        try:
            found = json.loads(sent)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self.add_error(None, ValidationError(self.damaged_message, code="invalid"))
            return
        self.rendered.update((name, found[name]) for name in self.stored if name in found)

    def _is_changed(self, name: str) -> bool:
        field, key = self.fields[name], self.add_prefix(name)
        if field.disabled or field.widget.value_omitted_from_data(self.data, self.files, key):
            return False
        sent = field.widget.value_from_datadict(self.data, self.files, key)
        if name in self.version_attributes or name not in self.stored:
            return bool(sent)
        if _as_submitted(sent) == _as_submitted(self.rendered[name]):
            return False
        try:
            return not is_same(comparable(field, field.clean(sent)), self.rendered[name])
        except ValidationError:
            return True

    def _compare(self, name: str, value: Any) -> None:
        """Keep the value if it can be written, or add a ``Stale`` error."""
        field, was, current = self.fields[name], self.rendered.get(name), self.stored.get(name)
        if name in self.version_attributes:
            if not is_same(was, current):
                self.rendered[name] = current
                self.add_error(name, Stale([]))
            return
        typed = comparable(field, value)
        if name in self.merged_fields and isinstance(was, dict) and isinstance(typed, dict):
            self._merge(name, was, typed)
        elif is_same(typed, current):
            del self.cleaned_data[name]
        elif name in self.stored and not is_same(was, current):
            self.rendered[name] = current
            self._refuse(
                name, typed, [self._conflict(name, capfirst(field.label or name), current, typed)]
            )

    def _merge(self, name: str, was: dict[str, Any], typed: dict[str, Any]) -> None:
        current = self.stored[name]
        whole, conflicts = merge(was, typed, current)
        if conflicts:
            # The page now shows these values, so the next save may write over them.
            latest = {key: current[key] for key in conflicts if key in current}
            unchanged = {key: value for key, value in was.items() if key not in conflicts}
            self.rendered[name] = {**unchanged, **latest}
            problems = [
                self._conflict(name, key, current.get(key, MISSING), typed.get(key, MISSING), key)
                for key in conflicts
            ]
            self._refuse(name, typed, problems)
        elif is_same(whole, current):
            del self.cleaned_data[name]
        else:
            self.cleaned_data[name] = whole

    def _refuse(self, name: str, typed: Any, problems: list[Problem]) -> None:
        refusal = Stale(problems)
        if isinstance(self.instance, Audited):
            stored = {name: self.stored[name]}
            refusal.attempts = change_attempts(self.instance, stored, {name: typed})
        self.add_error(name, refusal)

    def _conflict(self, name: str, label: Any, current: Any, typed: Any, *keys: str) -> Problem:
        field = self.fields[name]
        detail = gettext("%(label)s: now %(now)s, your value %(yours)s.") % {
            "label": label,
            "now": _display_value(field, current),
            "yours": _display_value(field, typed),
        }
        return Problem(below("", name, *keys), Stale.code, detail)

    def written_columns(self) -> set[str]:
        """Return the names of the columns that a save writes."""
        columns = {field.name for field in self.instance._meta.concrete_fields}
        return columns & set(self.changed_fields)


def _display_value(field: forms.Field, value: Any) -> str:
    """Return a value for a message: its label, or its JSON."""
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
    return text if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 1] + "…"


class ObjectField(forms.JSONField):
    """A JSON object that both databases can store, shown indented."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["widget"] = forms.Textarea(attrs={"class": "vLargeTextField json", "rows": 6})
        super().__init__(*args, **{**kwargs, "decoder": StrictDecoder})

    def to_python(self, value: Any) -> Any:
        """Return the object."""
        try:
            data = super().to_python(value)
        except RecursionError:
            raise ValidationError(
                gettext("The JSON is nested too deeply."), code="invalid"
            ) from None
        except ValueError as error:
            text = gettext("This is not valid JSON: %(error)s.") % {"error": error}
            raise ValidationError(text, code="invalid") from None
        if data in self.empty_values:
            return {} if not isinstance(data, list) else self._refuse(data)
        if not isinstance(data, dict):
            return self._refuse(data)
        if details := [detail for _, detail in find_unstorable(data)]:
            raise ValidationError(details, code="invalid")
        return data

    def _refuse(self, data: object) -> Any:
        text = gettext("Enter a JSON object, not %(type)s.") % {"type": json_type(data)}
        raise ValidationError(text, code="invalid")

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return the submitted text unchanged."""
        return initial if self.disabled or data is None else InvalidJSONInput(data)

    def prepare_value(self, value: Any) -> Any:
        """Return the text of the textarea: the submitted text, or the value as indented JSON."""
        return pretty_json(value) if isinstance(value, dict) else super().prepare_value(value)


class GuardedForm(EditForm):
    """A form that shows refusals beside the fields they point at."""

    refusal: ClassVar[Refusal | None] = None
    """The refusal that ``save()`` raised although the form was valid."""
    locked_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that cannot be changed now. They are disabled."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.locked_fields:
            # A page that was opened before the field was locked submits a value. The user gets
            # an error instead of an ignored change.
            if name in self.fields and not (self.is_bound and self.add_prefix(name) in self.data):
                self.fields[name].disabled = True
                _remove_links(self.fields[name].widget)

    def full_clean(self) -> None:
        """Validate, and add the refusal that ``save()`` raised."""
        super().full_clean()
        if self.is_bound and self.refusal is not None and not self.errors:
            self.add_error(None, ValidationError({NON_FIELD_ERRORS: [self.refusal]}))

    def add_error(self, field: str | None, error: Any) -> None:
        """Add a refusal to the field it points at, if the form has that field."""
        by_field = getattr(error, "error_dict", {}) if field is None else {}
        # Errors of fields that the form does not have are shown above the form.
        unknown = [name for name in by_field if name not in self.fields]
        leaves = [leaf for name in unknown for leaf in by_field.pop(name)]
        refusals = [leaf for leaf in leaves if isinstance(leaf, Refusal)]
        # The constraint behind a guard reports the same problem with fewer details.
        for leaf in refusals or leaves:
            name = _field_name(leaf)
            super().add_error(name if name in self.fields else None, leaf)
        if by_field or not hasattr(error, "error_dict"):
            super().add_error(field, error)


def _remove_links(widget: forms.Widget) -> None:
    if isinstance(widget, RelatedFieldWidgetWrapper):
        widget.can_add_related = widget.can_change_related = False
        widget.can_delete_related = False


def _field_name(error: object) -> str:
    problems = error.problems if isinstance(error, Refusal) else []
    return problems[0].pointer.split("/")[1] if problems and problems[0].pointer else ""
