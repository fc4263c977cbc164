"""Inputs of moments: they name the time zone, and take every local time."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.functional import lazy
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from workflows import moments


def zone_name() -> str:
    """Return the name of the time zone that times without an offset are in."""
    return timezone.get_current_timezone_name()


_zone_name = lazy(zone_name, str)


class MomentField(forms.DateTimeField):
    """A date with a time; without an offset it is in ``TIME_ZONE``, which the help text names.

    A local time that does not exist or exists twice is resolved, and ``resolution`` says how.
    """

    resolution = ""

    def __init__(self, *, help_text: Any = "", **kwargs: Any) -> None:
        zone = format_lazy(_("Time zone: {zone}."), zone=_zone_name())
        told = format_lazy("{} {}", help_text, zone) if help_text else zone
        attrs = {"type": "datetime-local"}
        widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs=attrs)
        super().__init__(widget=widget, help_text=told, **kwargs)

    def to_python(self, value: Any) -> Any:
        """Return the moment in UTC."""
        if not isinstance(value, str) or value in self.empty_values:
            return super().to_python(value)
        moment = moments.read(value)
        if moment is None:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        self.resolution = moments.resolution(value)
        return moments.in_utc(moment)


def resolutions(form: forms.Form) -> list[str]:
    """Return what a bound form has to say of local times that it had to resolve."""
    fields = [field for field in form.fields.values() if isinstance(field, MomentField)]
    return [field.resolution for field in fields if field.resolution]
