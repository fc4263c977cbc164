"""Strict serializers and fields: no type conversion, no unknown names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import IO, Any, ClassVar, TypeVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ParseError
from rest_framework.parsers import JSONParser

from workflows.audit.audited_model import save_columns
from workflows.db import raw_rows
from workflows.db.json_values import find_unstorable, json_type, parse_json, quoted, storage_problem
from workflows.guards import is_same
from workflows.models.account_names import account_name_of
from workflows.values import moments

Row = TypeVar("Row", bound=models.Model)

_READ_ONLY = _("%(name)s cannot be set. Leave it out, or send its current value.")
_UNKNOWN = _("Unknown field %(name)s. Allowed: %(known)s.")


class StrictJSONParser(JSONParser):
    """A JSON parser that rejects infinite numbers and repeated names."""

    def parse(self, stream: IO[Any], media_type: Any = None, parser_context: Any = None) -> Any:
        """Return the parsed body."""
        encoding = (parser_context or {}).get("encoding", settings.DEFAULT_CHARSET)
        try:
            return parse_json(stream.read().decode(encoding))
        except ValueError as error:
            raise ParseError(f"JSON parse error: {error}.") from None
        except RecursionError:
            raise ParseError("JSON parse error: the values are nested too deeply.") from None


class StrictCharField(serializers.CharField):
    """A text field that rejects numbers instead of converting them."""

    def to_internal_value(self, data: Any) -> str:
        """Return the text."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictIntegerField(serializers.IntegerField):
    """An integer field that rejects texts and booleans instead of converting them."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number."""
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictBooleanField(serializers.BooleanField):
    """A boolean field that rejects texts and numbers instead of converting them."""

    def to_internal_value(self, data: Any) -> bool:
        """Return the boolean."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictChoiceField(serializers.ChoiceField):
    """A choice, given as text."""

    default_error_messages = {"invalid_choice": _("{value} is not a valid choice.")}

    def to_internal_value(self, data: Any) -> Any:
        """Return the choice."""
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", value=quoted(data))
        return data


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ObjectField(serializers.JSONField):
    """A JSON object that both databases can store."""

    default_error_messages = {"not_an_object": _("Must be an object, not {type}.")}

    def to_internal_value(self, data: Any) -> Any:
        """Return the object."""
        if not isinstance(data, dict):
            self.fail("not_an_object", type=json_type(data))
        if details := [detail for _, detail in find_unstorable(data)]:
            raise serializers.ValidationError(details, code="invalid")
        return data


@extend_schema_field({})
class AnyJSONField(serializers.JSONField):
    """Any JSON value; the service validates it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        """Return the value unchanged."""
        return data


@extend_schema_field({"type": "object", "additionalProperties": {}})
class JSONObjectField(serializers.JSONField):
    """A JSON object; the service validates it."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the value unchanged."""
        return data


class MomentField(serializers.DateTimeField):
    """A moment, returned in UTC; input without an offset is in ``TIME_ZONE``."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the moment in UTC; resolve a local time that does not exist or occurs twice."""
        moment = moments.read(data) if isinstance(data, str) else None
        if moment is None:
            self.fail("invalid", format="YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]")
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            self.fail("overflow")

    def to_representation(self, value: Any) -> Any:
        """Return the moment as text; a moment stored as text is parsed first."""
        moment = moments.read(value) if isinstance(value, str) else value
        if moment is None:
            return value
        return moments.to_utc(moment).isoformat().replace("+00:00", "Z")


class CuidField(serializers.SlugRelatedField[Any]):
    """A row by its cuid; ``only`` limits the attributes that are read at once."""

    default_error_messages = {
        "does_not_exist": _("No {noun} has the cuid {cuid}."),
        "not_text": _("A cuid must be text, not {type}."),
    }

    def __init__(self, only: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(slug_field="cuid", **kwargs)
        self.only = only

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Return the row; empty text is not treated as null."""
        return super(serializers.RelatedField, self).run_validation(data)

    def to_internal_value(self, data: Any) -> Any:
        """Return the row."""
        if not isinstance(data, str):
            self.fail("not_text", type=json_type(data))
        rows: Any = self.get_queryset()
        row = None
        if not storage_problem(data):
            # With ``only``, every row of the model is accepted.
            row = (
                raw_rows.find_by_cuid(rows.model, data, self.only)
                if self.only
                else rows.filter(cuid=data).first()
            )
        if row is None:
            noun = rows.model._meta.verbose_name
            self.fail("does_not_exist", noun=noun, cuid=quoted(data))
        return row


class RelatedValueField(serializers.SlugRelatedField[Any]):
    """A related row, represented by one of its attributes; null if there is none."""

    def __init__(self, slug_field: str, **kwargs: Any) -> None:
        super().__init__(slug_field, **{"read_only": True, **kwargs})


class AccountNameField(serializers.CharField):
    """The name of an account, which outlives the account; null for no account."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"source": "*", "read_only": True, "allow_null": True, **kwargs})

    def to_representation(self, value: Any) -> Any:
        """Return the name."""
        return account_name_of(value, str(self.field_name)) or None


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that rejects unknown names and other values of read-only fields."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated values."""
        errors: dict[Any, Any] = {}
        if isinstance(data, Mapping):
            known = ", ".join(self.fields)
            errors = {
                name: [
                    ErrorDetail(_UNKNOWN % {"name": quoted(name), "known": known}, "unknown_field")
                ]
                for name in data
                if name not in self.fields
            }
            errors |= {
                name: [ErrorDetail(_READ_ONLY % {"name": quoted(name)}, "read_only")]
                for name, field in self.fields.items()
                if field.read_only and name in data and not self._is_current(field, data[name])
            }
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if not errors:
                raise
            raise serializers.ValidationError({**errors, **error.detail}) from None  # type: ignore[dict-item]
        if errors:
            raise serializers.ValidationError(errors)
        return values

    def _is_current(self, field: Any, sent: Any) -> bool:
        """Return True if the row has this value in a read-only field."""
        if not isinstance(self.instance, models.Model):
            return False
        value = field.get_attribute(self.instance)
        return is_same(None if value is None else field.to_representation(value), sent)


class DryRunSerializer(StrictSerializer):
    """The body of an edit, which may request a dry run (see ``edit_options.edit``)."""

    dry_run = StrictBooleanField(
        default=False, help_text="Return the response of the edit without changing anything."
    )

    def to_internal_value(self, data: Any) -> Any:
        """Return the values without ``dry_run``."""
        values = super().to_internal_value(data)
        values.pop("dry_run", None)
        return values


def is_equal(one: Any, other: Any) -> bool:
    """Return True if two values of a column are equal; unlike in Python, true is not 1."""
    if isinstance(one, (dict, list)) and isinstance(other, (dict, list)):
        return is_same(one, other)
    return bool(one == other)


class OutputModelSerializer(serializers.ModelSerializer[Row]):
    """A model serializer that returns moments in UTC."""

    serializer_field_mapping: ClassVar[dict[Any, Any]] = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.DateTimeField: MomentField,
    }


class StrictModelSerializer(StrictSerializer, OutputModelSerializer[Row]):
    """A strict model serializer."""

    serializer_field_mapping: ClassVar[dict[Any, Any]] = {
        **OutputModelSerializer.serializer_field_mapping,
        models.CharField: StrictCharField,
        models.TextField: StrictCharField,
        models.IntegerField: StrictIntegerField,
        models.PositiveIntegerField: StrictIntegerField,
        models.BooleanField: StrictBooleanField,
        models.JSONField: ObjectField,
    }
    serializer_choice_field = StrictChoiceField

    def update(self, instance: Any, validated_data: Any) -> Any:
        """Write only the columns that the request changes; return the row."""
        changed = {
            name
            for name, value in validated_data.items()
            if not is_equal(getattr(instance, name), value)
        }
        for name in changed:
            setattr(instance, name, validated_data[name])
        save_columns(instance, changed)
        return instance
