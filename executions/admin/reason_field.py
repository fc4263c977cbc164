"""The form field for the reason of an operator's action."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


class ReasonField(forms.CharField):
    """The reason for an action, in a few sentences."""

    widget = forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"label": _("Reason"), "max_length": 2_000, **kwargs})
