"""The form of a user action.

Answers are JSON values on every interface. ``clean`` validates them, ``build`` makes the Django
form for the same fields, and ``to_json`` converts the data of that form for ``clean``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator, URLValidator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.engine.file_input import FileField
from executions.engine.form_fields import MAX_FILES, MAX_LENGTHS, choices_of
from workflows.db.json_values import (
    InexactNumber,
    below,
    exact_float,
    is_number,
    json_type,
    quoted,
    rounding_problem,
    storage_problem,
)
from workflows.refusals import Problem, Refusal
from workflows.values import moments
from workflows.values.missing import drop_missing, is_missing
from workflows.values.moment_fields import MomentField

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATETIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*")
_WEB = ("http", "https")


class FormInvalid(Refusal):
    message = _("The form is not valid.")
    code = "invalid_form"

    def __init__(self, problems: Sequence[Problem]) -> None:
        details = [problem.detail for problem in problems]
        if len(details) > 3:
            details[3:] = [gettext("And {count} more.").format(count=len(details) - 3)]
        super().__init__(" ".join([str(self.message), *details]), problems=problems)


def clean(
    fields: Sequence[Mapping[str, Any]], data: object, *, is_partial: bool = False
) -> dict[str, Any]:
    """Return the answers as JSON values to store. Raise ``FormInvalid`` with all problems.

    An answer of a field for files is an id or a list of ids; the node looks up the files. With
    ``is_partial``, answers that are blank or not valid are left out.
    """
    if not isinstance(data, dict):
        detail = gettext("The data of a form must be an object, not {type}.")
        raise FormInvalid([Problem("/data", "invalid", detail.format(type=json_type(data)))])
    values: dict[str, Any] = {}
    wrong: list[Problem] = []
    names = {field["name"] for field in fields}
    for name in data:
        if name not in names:
            detail = gettext("The form has no field {field}.").format(field=quoted(name))
            wrong.append(Problem(below("/data", name), "unknown_field", detail))
    for field in fields:
        name = field["name"]
        try:
            if name in data:
                values[name] = _answer(field, data[name])
            elif field.get("required", False):
                raise _required(field)
        except ValidationError as error:
            if is_partial:
                continue
            code = error.code or "invalid"
            wrong.append(Problem(below("/data", name), code, str(error.message)))
    if wrong:
        raise FormInvalid(wrong)
    return drop_missing(values) if is_partial else values


def _error(
    field: Mapping[str, Any], message: Any, code: str = "invalid", **values: Any
) -> ValidationError:
    detail = str(message).format(field=quoted(field["name"]), **values)
    return ValidationError(detail, code=code)


def _required(field: Mapping[str, Any]) -> ValidationError:
    return _error(field, _("The field {field} is required."), "required")


def _answer(field: Mapping[str, Any], value: object) -> Any:
    """Return one answer as it is stored. Its JSON type must match strictly."""
    type_name = field.get("type", "text")
    required = field.get("required", False)
    empty = is_missing(value)
    if required and (empty or (type_name == "checkbox" and value is False)):
        raise _required(field)
    if empty and (value != [] or type_name in ("multiple_choice", "file")):
        return None
    if isinstance(value, str) and (reason := storage_problem(value)):
        raise _error(field, _("The field {field} {reason}."), reason=reason)
    match type_name:
        case "checkbox":
            if not isinstance(value, bool):
                raise _error(field, _("The field {field} must be true or false."))
            return value
        case "number":
            return _number_answer(field, value)
        case "multiple_choice":
            return _choices_answer(field, value)
        case "file":
            return _files_answer(field, value)
    if not isinstance(value, str):
        message = _("The field {field} must be text, not {type}.")
        raise _error(field, message, type=json_type(value))
    match type_name:
        case "choice":
            _check_choice(field, value)
            return value
        case "date":
            return _date_answer(field, value)
        case "datetime":
            return _datetime_answer(field, value)
    return _text_answer(field, type_name, value)


def _number_answer(field: Mapping[str, Any], value: object) -> int | float:
    try:
        return _number(value)
    except InexactNumber:
        message = _("The field {field} has more digits than can be stored exactly.")
        raise _error(field, message) from None
    except ValueError:
        raise _error(field, _("The field {field} must be a number.")) from None


def _choices_answer(field: Mapping[str, Any], value: object) -> list[Any]:
    if not isinstance(value, list):
        raise _error(field, _("The field {field} must be a list of choices."))
    for index, item in enumerate(value):
        _check_choice(field, item)
        if item in value[:index]:
            message = _("The field {field} contains the choice {choice} twice.")
            raise _error(field, message, "invalid_choice", choice=quoted(item))
    return value


def _files_answer(field: Mapping[str, Any], value: object) -> str | list[str]:
    if not field.get("multiple", False):
        if not isinstance(value, str):
            raise _error(field, _("The field {field} must be the id of an uploaded file."))
        return value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _error(field, _("The field {field} must be a list of ids of uploaded files."))
    if len(set(value)) < len(value):
        raise _error(field, _("The field {field} contains the same file twice."))
    if len(value) > MAX_FILES:
        message = _("The field {field} has more than {limit} files.")
        raise _error(field, message, limit=MAX_FILES)
    return value


def _text_answer(field: Mapping[str, Any], type_name: str, value: str) -> str:
    limit = MAX_LENGTHS[type_name]
    if len(value) > limit:
        message = _("The field {field} has more than {limit} characters.")
        raise _error(field, message, limit=limit)
    try:
        if type_name == "email":
            EmailValidator()(value)
        elif type_name == "url":
            URLValidator(schemes=_WEB)(value)
    except ValidationError:
        message = (
            _("The field {field} must be an email address.")
            if type_name == "email"
            else _("The field {field} must be a web address (http or https).")
        )
        raise _error(field, message) from None
    return value


def _number(value: object) -> int | float:
    """Return a number. Raise ``ValueError``, or ``InexactNumber`` if it would be rounded."""
    number = value
    if isinstance(value, str):
        text = value.strip()
        # Python refuses integers of thousands of digits; JSON numbers are far shorter.
        if len(text) > 400 or not _NUMBER.fullmatch(text):
            raise ValueError
        number = int(text) if text.lstrip("+-").isdigit() else exact_float(text)
    if not is_number(number) or storage_problem(number):
        raise ValueError
    if reason := rounding_problem(number):
        raise InexactNumber(reason)
    return number


def _check_choice(field: Mapping[str, Any], value: object) -> None:
    if not isinstance(value, str) or value not in choices_of(field):
        message = _("The field {field} has no choice {choice}.")
        raise _error(field, message, "invalid_choice", choice=quoted(value))


def _date_answer(field: Mapping[str, Any], value: str) -> str:
    try:
        if _DATE.fullmatch(value):
            return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise _error(field, _("The field {field} must be a date such as 2025-12-31."))


def _datetime_answer(field: Mapping[str, Any], value: str) -> str:
    try:
        moment = moments.parse(value) if _DATETIME.fullmatch(value) else None
        if moment is not None:
            return moment.astimezone(UTC).isoformat()
    except OverflowError:
        pass
    message = _("The field {field} must be a date with a time, such as 2025-12-31T17:30+01:00.")
    raise _error(field, message)


class _NumberField(forms.Field):
    widget = forms.NumberInput(attrs={"step": "any"})

    def to_python(self, value: object) -> int | float | None:
        if is_missing(value):
            return None
        try:
            return _number(value)
        except InexactNumber:
            detail = gettext("Enter a number with fewer digits: this one cannot be stored exactly.")
            raise ValidationError(detail, code="invalid") from None
        except ValueError:
            raise ValidationError(gettext("Enter a number."), code="invalid") from None


class _DayField(forms.DateField):
    def to_python(self, value: Any) -> date | None:
        return None if is_missing(value) else super().to_python(value)


def build(fields: Sequence[Mapping[str, Any]]) -> type[forms.Form]:
    """Return the Django form class with these fields."""
    made = {field["name"]: _form_field(field) for field in fields}
    return type("SubmittedForm", (forms.Form,), dict(made))


def _form_field(field: Mapping[str, Any]) -> forms.Field:
    type_name = field.get("type", "text")
    common: dict[str, Any] = {
        "label": field.get("label") or field["name"].replace("_", " ").strip().capitalize(),
        "required": field.get("required", False),
        "help_text": field.get("help", ""),
    }
    match type_name:
        case "number":
            return _NumberField(**common)
        case "checkbox":
            return forms.BooleanField(**common)
        case "date":
            day = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
            return _DayField(widget=day, input_formats=["%Y-%m-%d"], **common)
        case "datetime":
            return MomentField(**common)
        case "choice":
            return forms.ChoiceField(
                choices=[("", "---------"), *choices_of(field).items()], **common
            )
        case "multiple_choice":
            boxes = forms.CheckboxSelectMultiple()
            choices = list(choices_of(field).items())
            return forms.MultipleChoiceField(widget=boxes, choices=choices, **common)
        case "file":
            return FileField(field, **common)
    common["max_length"] = MAX_LENGTHS[type_name]
    match type_name:
        case "email":
            return forms.EmailField(**common)
        case "url":
            return forms.URLField(assume_scheme="https", **common)
        case "long_text":
            return forms.CharField(widget=forms.Textarea(), **common)
    return forms.CharField(**common)


def to_json(cleaned_data: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the cleaned data of a form made by ``build`` to the JSON values for ``clean``."""
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in cleaned_data.items()
    }
