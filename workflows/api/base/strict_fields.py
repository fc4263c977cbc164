"""Input taken literally: no number for a text, and no name that means nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import IO, Any, ClassVar, TypeVar

from django.conf import settings
from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ParseError
from rest_framework.parsers import JSONParser

from workflows.audit.audited_model import save_columns
from workflows.db import raw_rows
from workflows.db.json_values import kind, parse_json, quoted, unstorable, unstorable_in
from workflows.guards import is_same
from workflows.models.account_names import name_of
from workflows.values import moments

Row = TypeVar("Row", bound=models.Model)


class StrictJSONParser(JSONParser):
    """JSON in which no number is infinite, and no name of an object is given twice."""

    def parse(self, stream: IO[Any], media_type: Any = None, parser_context: Any = None) -> Any:
        """Return the parsed body."""
        encoding = (parser_context or {}).get("encoding", settings.DEFAULT_CHARSET)
        try:
            return parse_json(stream.read().decode(encoding))
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from None
        except RecursionError:
            raise ParseError("JSON parse error - the values are nested too deeply.") from None


class StrictCharField(serializers.CharField):
    """A text; numbers are refused, not converted."""

    def to_internal_value(self, data: Any) -> str:
        """Return the text."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictIntegerField(serializers.IntegerField):
    """A whole number; texts and booleans are refused, not converted."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number."""
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictBooleanField(serializers.BooleanField):
    """True or false; neither texts nor numbers are."""

    def to_internal_value(self, data: Any) -> bool:
        """Return the truth."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictChoiceField(serializers.ChoiceField):
    """One of the choices, as a text."""

    default_error_messages = {"invalid_choice": "{value} is not a valid choice."}

    def to_internal_value(self, data: Any) -> Any:
        """Return the choice."""
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", value=quoted(data))
        return data


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ObjectField(serializers.JSONField):
    """A JSON object that both databases can store."""

    default_error_messages = {"not_an_object": "This must be an object, not {kind}."}

    def to_internal_value(self, data: Any) -> Any:
        """Return the object."""
        if not isinstance(data, dict):
            self.fail("not_an_object", kind=kind(data))
        if details := [detail for _, detail in unstorable_in(data)]:
            raise serializers.ValidationError(details, code="invalid")
        return data


@extend_schema_field({})
class AnyField(serializers.JSONField):
    """Any JSON, left to the service that it is for."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        """Return what came."""
        return data


class MomentField(serializers.DateTimeField):
    """A moment, shown in UTC whatever ``TIME_ZONE`` is; without an offset it is in that zone."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the moment in UTC; a local time that the clock skips or repeats is resolved."""
        moment = moments.read(data) if isinstance(data, str) else None
        if moment is None:
            self.fail("invalid", format="YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]")
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            self.fail("overflow")

    def to_representation(self, value: Any) -> Any:
        """Return the moment as text; one that is stored as text is read first."""
        moment = moments.read(value) if isinstance(value, str) else value
        if moment is None:
            return value
        return moments.in_utc(moment).isoformat().replace("+00:00", "Z")


class CuidField(serializers.SlugRelatedField[Any]):
    """A row by its public id; ``only`` names the attributes that are read at once."""

    default_error_messages = {
        "does_not_exist": "No {noun} has the cuid {cuid}.",
        "not_text": "A cuid is a text, not {kind}.",
    }

    def __init__(self, only: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(slug_field="cuid", **kwargs)
        self.only = only

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Return the row; an empty text is no cuid, and not the same as null."""
        return super(serializers.RelatedField, self).run_validation(data)

    def to_internal_value(self, data: Any) -> Any:
        """Return the row."""
        if not isinstance(data, str):
            self.fail("not_text", kind=kind(data))
        rows: Any = self.get_queryset()
        row = None
        if not unstorable(data):
            # Any row of the model will do where only some of it is read.
            row = (
                raw_rows.by_cuid(rows.model, data, self.only)
                if self.only
                else rows.filter(cuid=data).first()
            )
        if row is None:
            noun = rows.model._meta.verbose_name
            self.fail("does_not_exist", noun=noun, cuid=quoted(data))
        return row


class ShownField(serializers.SlugRelatedField[Any]):
    """A related row, shown by one of its values; null where there is none."""

    def __init__(self, slug_field: str, **kwargs: Any) -> None:
        super().__init__(slug_field, **{"read_only": True, **kwargs})


class AccountField(serializers.CharField):
    """The name of the account in a field of the row; it outlives the account, null for nobody."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"source": "*", "read_only": True, "allow_null": True, **kwargs})

    def to_representation(self, value: Any) -> Any:
        """Return the name."""
        return name_of(value, str(self.field_name)) or None


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses names that it does not know; what is read-only may be sent back."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated values."""
        errors: dict[Any, Any] = {}
        if isinstance(data, Mapping):
            known = ", ".join(self.fields)
            errors = {
                name: [
                    ErrorDetail(
                        f"{quoted(name)} is unknown here; known are: {known}.", "unknown_field"
                    )
                ]
                for name in data
                if name not in self.fields
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


class InstructionSerializer(StrictSerializer):
    """What is to be done; the body itself may say that it is only to be tried (``edits.edit``)."""

    dry_run = StrictBooleanField(
        default=False, help_text="Answer what would be answered, and change nothing."
    )

    def to_internal_value(self, data: Any) -> Any:
        """Return what the service takes."""
        values = super().to_internal_value(data)
        values.pop("dry_run", None)
        return values


def is_equal(one: Any, other: Any) -> bool:
    """Return True if two values of a column are equal; unlike in Python, true is not 1."""
    if isinstance(one, (dict, list)) and isinstance(other, (dict, list)):
        return is_same(one, other)
    return bool(one == other)


class ShownModelSerializer(serializers.ModelSerializer[Row]):
    """A serializer whose fields follow a model's; moments are shown in UTC."""

    serializer_field_mapping: ClassVar[dict[Any, Any]] = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.DateTimeField: MomentField,
    }


class StrictModelSerializer(StrictSerializer, ShownModelSerializer[Row]):
    """A strict serializer whose fields follow a model's."""

    serializer_field_mapping: ClassVar[dict[Any, Any]] = {
        **ShownModelSerializer.serializer_field_mapping,
        models.CharField: StrictCharField,
        models.TextField: StrictCharField,
        models.IntegerField: StrictIntegerField,
        models.PositiveIntegerField: StrictIntegerField,
        models.BooleanField: StrictBooleanField,
        models.JSONField: ObjectField,
    }
    serializer_choice_field = StrictChoiceField

    def update(self, instance: Any, validated_data: Any) -> Any:
        """Write the columns that the request changes, and no others; return the row."""
        changed = {
            name
            for name, value in validated_data.items()
            if not is_equal(getattr(instance, name), value)
        }
        for name in changed:
            setattr(instance, name, validated_data[name])
        save_columns(instance, changed)
        return instance
