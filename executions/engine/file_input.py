"""The Django form field for files. Its value is the ids of uploaded files.

The page uploads the files of a request first, so that the form only has ids, and no file is lost
when other answers are not valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext

from executions.engine.file_limits import max_size_of


class FileInput(forms.Widget):
    """An input for new files, after checkboxes of the uploaded ones.

    Attributes:
        known: the uploaded files by their ids, each with ``name``, ``size`` and ``url``.
    """

    template_name = "executions/forms/file_input.html"
    needs_multipart_form = True

    def __init__(self, attrs: Mapping[str, Any]) -> None:
        super().__init__({name: value for name, value in attrs.items() if value})
        self.known: Mapping[str, Mapping[str, Any]] = {}

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        """Return the ids of the files whose boxes are checked."""
        ids = data.getlist(name) if hasattr(data, "getlist") else data.get(name, ())
        # A browser sends an empty value for an input without a new file.
        return [one for one in ids if one]

    def format_value(self, value: Any) -> Any:
        """Return the ids of a draft or of a bound form."""
        ids = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        return [one for one in ids if isinstance(one, str)]

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Add the uploaded files that the value has."""
        context: dict[str, Any] = super().get_context(name, value, attrs)
        ids = context["widget"]["value"]
        context["widget"]["files"] = [self.known[one] for one in ids if one in self.known]
        return context


class FileField(forms.Field):
    """A field for one file or several."""

    def __init__(self, field: Mapping[str, Any], **common: Any) -> None:
        self.is_multiple = field.get("multiple", False)
        accept = field.get("accept", ())
        limit = gettext("At most %(size)s.") % {"size": filesizeformat(max_size_of(field))}
        parts = [common.pop("help_text", ""), ", ".join(accept), limit]
        attrs = {"accept": ",".join(accept), "multiple": self.is_multiple}
        text = " ".join(part for part in parts if part)
        super().__init__(widget=FileInput(attrs), help_text=text, **common)

    def to_python(self, value: Any) -> Any:
        """Return one id or None; a list of ids for several files."""
        ids: list[str] = value or []
        if self.is_multiple:
            return ids
        if len(ids) > 1:
            raise ValidationError(gettext("Choose one file."), code="invalid")
        return ids[0] if ids else None
