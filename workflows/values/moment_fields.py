"""Form fields for moments: they show the time zone and accept every local time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from workflows.values import moments
from workflows.values.missing import is_missing


def get_zone_name() -> str:
    """Return the name of the time zone of times without an offset."""
    return timezone.get_current_timezone_name()


class MomentInput(forms.DateTimeInput):
    """An input for a local time, followed by its time zone."""

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"})

    def render(self, *args: Any, **kwargs: Any) -> SafeString:
        """Return the input and the name of its time zone."""
        box = super().render(*args, **kwargs)
        return format_html('{} <span class="zone">{}</span>', box, get_zone_name())


class MomentField(forms.DateTimeField):
    """A date and time; without an offset it is in ``TIME_ZONE``, which the input shows.

    A local time that does not exist or occurs twice is resolved; ``resolution`` explains how.
    """

    widget = MomentInput
    resolution = ""

    def to_python(self, value: Any) -> Any:
        """Return the moment in UTC."""
        if is_missing(value):
            return None
        if not isinstance(value, str):
            return super().to_python(value)
        moment = moments.read(value)
        if moment is None or not moments.is_in_calendar(moment):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        self.resolution = moments.explain_resolution(value)
        return moments.to_utc(moment)

    def prepare_value(self, value: Any) -> Any:
        """Return a moment in the time zone of the input."""
        return moments.to_local(value) if isinstance(value, datetime) else value


def list_resolutions(form: forms.Form) -> list[str]:
    """Return an explanation for each local time that a bound form has resolved."""
    fields = [field for field in form.fields.values() if isinstance(field, MomentField)]
    return [field.resolution for field in fields if field.resolution]
