"""Inputs of moments: they name the time zone, and take every local time."""

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


def zone_name() -> str:
    """Return the name of the time zone that times without an offset are in."""
    return timezone.get_current_timezone_name()


class MomentInput(forms.DateTimeInput):
    """An input of a local time, with its time zone beside it."""

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"})

    def render(self, *args: Any, **kwargs: Any) -> SafeString:
        """Return the input and the name of the zone."""
        box = super().render(*args, **kwargs)
        return format_html('{} <span class="zone">{}</span>', box, zone_name())


class MomentField(forms.DateTimeField):
    """A date with a time; without an offset it is in ``TIME_ZONE``, which the input names.

    A local time that does not exist or exists twice is resolved, and ``resolution`` says how.
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
        self.resolution = moments.resolution(value)
        return moments.in_utc(moment)

    def prepare_value(self, value: Any) -> Any:
        """Return a moment in the zone that the input names."""
        return moments.local(value) if isinstance(value, datetime) else value


def resolutions(form: forms.Form) -> list[str]:
    """Return what a bound form has to say of local times that it had to resolve."""
    fields = [field for field in form.fields.values() if isinstance(field, MomentField)]
    return [field.resolution for field in fields if field.resolution]
