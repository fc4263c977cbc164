"""Django's ``date`` filter for every moment, up to the years 1 and 9999."""

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
    """Format a date; moments are shown in ``TIME_ZONE``.

    Django's own filter fails for a moment whose year in ``TIME_ZONE`` is not from 1 to 9999.
    """
    if isinstance(value, datetime) and timezone.is_aware(value):
        value = moments.to_local(value)
    return defaultfilters.date(value, format_name)
