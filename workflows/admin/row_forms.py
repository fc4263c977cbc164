"""Forms with lists of rows, which buttons add and remove with and without scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.utils import ErrorDict

from workflows.admin.base.forms import EditForm
from workflows.admin.base.refusals import RefusalList
from workflows.admin.graph_editor.data_form import DataForm
from workflows.admin.graph_editor.data_inputs import Schema
from workflows.admin.graph_editor.data_rows import ROW_STEP, change_rows, ordered_rows
from workflows.admin.graph_editor.offers import NO_OFFERS, Offers
from workflows.db.json_values import below
from workflows.refusals import Refusal

ROOT = "rows"
"""The first part of the names of the inputs of lists."""


class PartsInput(forms.Widget):
    """A widget with inputs from a JSON Schema, and with problems beside its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: Mapping[str, Any] | None = None
        self.problems: Sequence[tuple[str, str]] = ()
        """Pairs of a JSON pointer below the value of the field and a message."""
        self.malformed: Mapping[str, str] = {}
        """Messages about inputs that are not valid JSON, which the inputs show anyway."""

    def id_for_label(self, id_: str) -> str:
        """Return no id, because each input has a label of its own."""
        return ""

    def has_inputs(self, name: str) -> bool:
        """Return True if the inputs were submitted."""
        return self.posted is not None


class RowsInput(PartsInput):
    """A list of texts. Each is an input in a row.

    Args:
        item: the JSON Schema of a text.
        find_offers: returns the values that the inputs offer.
    """

    template_name = "workflows/admin/rows_input.html"

    def __init__(self, item: Schema, find_offers: Callable[[], Offers]) -> None:
        super().__init__()
        self.item, self.find_offers = item, find_offers

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """Return True if the page did not have the list."""
        return f"{ROOT}/{name}#rows" not in data

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the texts of the rows, without empty ones."""
        self.posted = data
        rows = ordered_rows(data, f"{ROOT}/{name}")
        texts = (str(data.get(below(ROOT, name, row), "")).strip() for row in rows)
        return [text for text in texts if text]

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Add the list and the values that it offers."""
        offers = self.find_offers()
        schema = {"type": "object", "properties": {name: {"type": "array", "items": self.item}}}
        form = DataForm(schema, offers, ROOT)
        problems = [(below("", name) + pointer, detail) for pointer, detail in self.problems]
        if self.posted is None or self.value_omitted_from_data(self.posted, {}, name):
            (part,) = form.build_parts({name: value or []}, problems)
        else:
            (part,) = form.rebuild_parts(self.posted, problems)
        context = super().get_context(name, value, attrs)
        return {**context, "part": part, "suggestions": offers.suggestions}


class RowsField(forms.Field):
    """A list of texts that users edit as rows.

    Args:
        item: the JSON Schema of a text. Its title is the label of a row.
        find_offers: returns the values that the inputs offer.
        clean_row: returns the value of a text, or raises ``ValidationError``.
    """

    def __init__(
        self,
        item: Schema,
        *,
        find_offers: Callable[[], Offers] = lambda: NO_OFFERS,
        clean_row: Callable[[str], str] = str,
        **kwargs: Any,
    ) -> None:
        super().__init__(required=False, widget=RowsInput(item, find_offers), **kwargs)
        self.clean_row = clean_row

    def clean(self, value: Any) -> list[str]:
        """Return the texts, each once.

        Raises:
            ValidationError: for each invalid row; ``params`` has the index of the row.
        """
        found: list[str] = []
        errors = []
        for index, text in enumerate(value or ()):
            try:
                found.append(self.clean_row(text))
            except ValidationError as error:
                params = {"row": index}
                errors.append(ValidationError(error.messages[0], code="invalid", params=params))
        if errors:
            raise ValidationError(errors)
        return list(dict.fromkeys(found))


class RowForm(forms.BaseForm):
    """A form whose fields may have lists of rows. Errors of rows are shown beside their inputs."""

    has_rows = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("error_class", RefusalList)
        super().__init__(*args, **kwargs)
        if self.is_row_step:
            changed: Any = self.data
            self.data = changed.copy()
            for key, value in change_rows(changed, changed[ROW_STEP]).items():
                if changed.get(key) != value:
                    self.data[key] = value  # type: ignore[index]

    @property
    def is_row_step(self) -> bool:
        """True if a button of a list was pressed: the form is only shown again."""
        return self.is_bound and ROW_STEP in self.data

    def full_clean(self) -> None:
        """Validate, unless the form is only shown again."""
        if self.is_row_step:
            self._errors, self.cleaned_data = ErrorDict(), {}
            if isinstance(self, EditForm) and self.is_edit:
                self._load_rendered()
        else:
            super().full_clean()

    def is_valid(self) -> bool:
        """Return True if the form can be saved."""
        return not self.is_row_step and super().is_valid()

    def add_error(self, field: str | None, error: Any) -> None:
        """Add an error, beside the inputs that it points at."""
        super().add_error(field, error)
        for name in self.fields:
            self._place_errors(name)

    def _place_errors(self, name: str) -> None:
        errors, widget = self.errors.get(name), self.fields[name].widget
        if not errors or not isinstance(widget, PartsInput) or not widget.has_inputs(name):
            return
        leaves: list[Any] = errors.as_data()
        widget.problems = [place for leaf in leaves for place in _places(name, leaf)]
        # Blockers and remedies are shown above the field.
        errors.beside_inputs = [  # type: ignore[attr-defined]
            leaf
            for leaf in leaves
            if (widget.malformed or any(_places(name, leaf))) and not _has_more(leaf)
        ]


def _places(name: str, error: ValidationError) -> Iterator[tuple[str, str]]:
    """Yield the JSON pointers below a field's value at which an error is, with the messages."""
    if isinstance(error, Refusal):
        for problem in error.problems:
            if problem.pointer == f"/{name}" or problem.pointer.startswith(f"/{name}/"):
                yield problem.pointer.removeprefix(f"/{name}"), problem.detail
    elif error.params and "row" in error.params:
        yield f"/{error.params['row']}", error.messages[0]


def _has_more(error: ValidationError) -> bool:
    return isinstance(error, Refusal) and bool(error.blockers or error.remedies)
