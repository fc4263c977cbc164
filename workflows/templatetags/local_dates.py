"""Django's ``date`` filter, for all moments up to the ends of the calendar."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.template import defaultfilters
from django.utils import timezone

from workflows.values import moments

register = template.Library()


@register.filter(expects_localtime=False, is_safe=False)
def date(value: Any, format_name: str | None = None) -> str:
    """Return a date in a format, moments in ``TIME_ZONE``.

    Django's own filter, and the page with it, fails for a moment beyond the calendar there.
    """
    if isinstance(value, datetime) and timezone.is_aware(value):
        value = moments.local(value)
    return defaultfilters.date(value, format_name)
