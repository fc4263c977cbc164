"""Forms: valid fields and accepted answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django import forms as django_forms
from django.http import QueryDict
from django.utils import timezone

from executions.engine.form_fields import FIELD_TYPES
from executions.engine.forms import FormInvalid, build, clean, to_json
from workflows.graph import find_data_problems, node_types

NO_TEXTS: list[Any] = [3, [], {}]


def field(type_name: str = "text", name: str = "x", **more: Any) -> dict[str, Any]:
    if type_name in ("choice", "multiple_choice"):
        more.setdefault("choices", ["a", {"value": "b", "label": "Bee"}])
    return {"name": name, "type": type_name, **more}


def problems(fields: Any) -> list[tuple[str, str]]:
    return list(find_data_problems(node_types()["user_action"], {"fields": fields}))


def answer(type_name: str, value: Any, **more: Any) -> Any:
    fields = [field(type_name, **more)]
    assert (problems(fields)) == []
    cleaned = clean(fields, {"x": value})
    assert json.loads(json.dumps(cleaned, allow_nan=False)) == cleaned
    return cleaned["x"]


def refusal(fields: list[dict[str, Any]], data: Any) -> list[tuple[str, str]]:
    with pytest.raises(FormInvalid) as caught:
        clean(fields, data)
    assert caught.value.code == "invalid_form"
    assert caught.value.messages[0].startswith("The form is not valid. ")
    return [(problem.pointer, problem.code) for problem in caught.value.problems]


# The static check


def test_valid_form_has_no_problems():
    fields = [field(name, name=f"f_{name}", required=True, help="?") for name in FIELD_TYPES]
    assert (problems([*fields, {"name": "plain", "label": "Plain"}])) == []
    assert (problems([])) == []


@pytest.mark.parametrize(
    ("fields", "pointers"),
    [
        (None, [""]),
        ({}, [""]),
        (["x"], ["/0"]),
        ([{}], ["/0/name"]),
        ([{"name": ""}], ["/0/name"]),
        ([{"name": 3}], ["/0/name"]),
        ([{"name": "1st"}], ["/0/name"]),
        ([{"name": "a b"}], ["/0/name"]),
        ([{"name": "a\n"}], ["/0/name"]),
        ([{"name": "é"}], ["/0/name"]),
        ([{"name": "a" * 65}], ["/0/name"]),
        ([{"name": "a"}, {"name": "a"}], ["/1/name"]),
        ([{"name": "a", "typ/e": 1}], ["/0/typ~1e"]),
        ([{"name": "a", "label": 1, "help": None}], ["/0/label", "/0/help"]),
        ([{"name": "a", "required": "yes"}], ["/0/required"]),
        ([{"name": "a", "type": "txt"}], ["/0/type"]),
        ([{"name": "a", "type": ["text"]}], ["/0/type"]),
        ([{"name": "a", "choices": ["x"]}], ["/0/choices"]),
        ([{"name": "a", "type": "choice"}], ["/0/choices"]),
        ([{"name": "a", "type": "choice", "choices": []}], ["/0/choices"]),
        ([{"name": "a", "type": "choice", "choices": "ab"}], ["/0/choices"]),
        ([{"name": "a", "type": "choice", "choices": ["x", "x"]}], ["/0/choices/1"]),
        (
            [{"name": "a", "type": "choice", "choices": ["x", {"value": "x"}]}],
            ["/0/choices/1/value"],
        ),
        ([{"name": "a", "type": "choice", "choices": ["", 3]}], ["/0/choices/0", "/0/choices/1"]),
        (
            [{"name": "a", "type": "multiple_choice", "choices": [{"label": 1, "x": 2}]}],
            ["/0/choices/0/label", "/0/choices/0/value", "/0/choices/0/x"],
        ),
    ],
)
def test_invalid_form_is_reported_with_a_pointer(fields, pointers):
    found = problems(fields)
    assert [pointer for pointer, _ in found] == [f"/fields{at}" for at in pointers]
    assert all(sentence.endswith(".") for _, sentence in found)


# Answers


@pytest.mark.parametrize(
    ("type_name", "value", "expected"),
    [
        ("text", " hello ", " hello "),
        ("text", "x" * 10_000, "x" * 10_000),
        ("long_text", "x\n" * 50_000, "x\n" * 50_000),
        ("number", 3, 3),
        ("number", -1.5, -1.5),
        ("number", "42", 42),
        ("number", " -1.5e3 ", -1500.0),
        ("number", "9007199254740992", 9007199254740992),
        ("number", "1e300", 1e300),
        ("date", "2025-12-31", "2025-12-31"),
        ("datetime", "2025-12-31T17:30:00+01:00", "2025-12-31T16:30:00+00:00"),
        ("datetime", "2025-12-31T17:30:00Z", "2025-12-31T17:30:00+00:00"),
        ("choice", "b", "b"),
        ("multiple_choice", ["b", "a"], ["b", "a"]),
        ("multiple_choice", [], None),
        ("checkbox", True, True),
        ("checkbox", False, False),
        ("email", "a@example.org", "a@example.org"),
        ("url", "https://example.org/x?y=1", "https://example.org/x?y=1"),
        ("user", "ada", "ada"),
    ],
)
def test_answer_is_accepted_when_it_has_the_right_type(type_name, value, expected):
    taken = answer(type_name, value)
    assert taken == expected
    assert type(taken) is type(expected)


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        *((name, value) for name in ("text", "long_text", "email", "url") for value in (3, True)),
        *((name, value) for name in ("user", "date", "datetime", "text") for value in NO_TEXTS),
        ("text", "x" * 10_001),
        ("long_text", "x" * 100_001),
        ("text", "a\0b"),
        ("text", "\ud800"),
        ("user", "x" * 151),
        ("number", True),
        ("number", "three"),
        ("number", "nan"),
        ("number", "1_000"),
        ("number", "٣"),
        ("number", "1e400"),
        ("number", "1e-400"),
        ("number", "9007199254740993"),
        ("number", -9007199254740993),
        ("number", "0.1234567890123456789"),
        ("number", "9" * 5000),
        ("number", float("nan")),
        ("number", float("inf")),
        ("number", 10**400),
        ("number", [3]),
        ("date", "31.12.2025"),
        ("date", "20251231"),
        ("date", "2025-02-30"),
        ("date", "2025-W01-1"),
        ("date", "2025-12-31T00:00"),
        ("datetime", "2025-12-31"),
        ("datetime", "2025-12-31T25:00"),
        ("datetime", "0001-01-01T00:00+10:00"),
        ("datetime", "soon"),
        ("checkbox", "true"),
        ("checkbox", 1),
        ("multiple_choice", "a"),
        ("multiple_choice", {"a": 1}),
        ("email", "a at b"),
        ("url", "javascript:alert(1)"),
        ("url", "ftp://example.org"),
    ],
)
def test_answer_is_refused_when_it_has_the_wrong_type(type_name, value):
    assert refusal([field(type_name)], {"x": value}) == [("/data/x", "invalid")]


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("choice", "c"),
        ("choice", "Bee"),
        ("multiple_choice", ["a", "c"]),
        ("multiple_choice", ["a", "a"]),
        ("multiple_choice", [["a"]]),
    ],
)
def test_answer_is_refused_when_it_is_no_choice(type_name, value):
    assert refusal([field(type_name)], {"x": value}) == [("/data/x", "invalid_choice")]


def test_moment_without_a_time_zone_uses_the_current_one():
    with timezone.override("Europe/Berlin"):
        assert answer("datetime", "2025-07-01T12:00") == "2025-07-01T10:00:00+00:00"


@pytest.mark.parametrize("type_name", FIELD_TYPES)
def test_required_answer_is_refused_when_missing_or_empty(type_name):
    fields = [field(type_name, required=True)]
    for data in ({}, {"x": None}, {"x": ""}, {"x": "  "}):
        assert refusal(fields, data) == [("/data/x", "required")]


def test_required_list_and_checkbox_are_refused_when_empty():
    assert refusal([field("multiple_choice", required=True)], {"x": []}) == [
        ("/data/x", "required")
    ]
    assert refusal([field("checkbox", required=True)], {"x": False}) == [("/data/x", "required")]
    assert answer("checkbox", True, required=True) is True


def test_zero_answers_a_required_number():
    assert answer("number", 0, required=True) == 0


@pytest.mark.parametrize("type_name", FIELD_TYPES)
def test_optional_answer_is_left_out_when_absent_and_none_when_empty(type_name):
    fields = [field(type_name)]
    assert clean(fields, {}) == {}
    assert clean(fields, {"x": None}) == {"x": None}
    assert clean(fields, {"x": ""}) == {"x": None}


def test_answer_is_refused_when_its_name_is_unknown():
    found = refusal([field()], {"x": "1", "y/z": 2, "\ud800": 3})
    assert [code for _, code in found] == ["unknown_field", "unknown_field"]
    assert found[0][0] == "/data/y~1z"


@pytest.mark.parametrize("data", [None, [], "x", 3])
def test_data_must_be_an_object(data):
    assert refusal([field()], data) == [("/data", "invalid")]


def test_all_problems_are_reported_at_once():
    fields = [field("number", name="a"), field(name="b", required=True), field(name="c")]
    with pytest.raises(FormInvalid) as caught:
        clean(fields, {"a": "x", "c": 3, "d": 1})
    assert [problem.code for problem in caught.value.problems] == [
        "unknown_field",
        "invalid",
        "required",
        "invalid",
    ]
    message = caught.value.messages[0]
    assert "'d'" in message and "'a'" in message and "'b'" in message
    assert message.endswith(" And 1 more.")


# The Django form


def all_types(**more: Any) -> list[dict[str, Any]]:
    return [field(name, name=f"f_{name}", **more) for name in FIELD_TYPES]


ANSWERS = (
    "f_text=hello&f_long_text=a%0Ab&f_number=1.5&f_date=2025-12-31"
    "&f_datetime=2025-12-31T17:30&f_choice=a&f_multiple_choice=a&f_multiple_choice=b"
    "&f_checkbox=on&f_email=a@example.org&f_url=https://example.org/&f_user=ada&f_file=cmwt9un5w"
)


@pytest.mark.parametrize("required", [True, False])
def test_data_of_the_django_form_is_accepted_as_json(required):
    fields = all_types(required=required)
    form = build(fields)(QueryDict(ANSWERS))
    assert form.is_valid(), form.errors
    values = clean(fields, json.loads(json.dumps(to_json(form.cleaned_data))))
    assert values["f_number"] == 1.5
    assert values["f_date"] == "2025-12-31"
    assert values["f_datetime"].endswith("+00:00")
    assert values["f_multiple_choice"] == ["a", "b"]
    assert values["f_checkbox"] is True
    assert values["f_url"] == "https://example.org/"


def test_empty_django_form_is_accepted_when_all_fields_are_optional():
    fields = all_types()
    form = build(fields)(QueryDict(""))
    assert form.is_valid(), form.errors
    values = clean(fields, to_json(form.cleaned_data))
    assert values.pop("f_checkbox") is False
    assert set(values.values()) == {None}


def test_empty_django_form_is_refused_when_fields_are_required():
    form = build(all_types(required=True))(QueryDict(""))
    assert set(form.errors) == {f"f_{name}" for name in FIELD_TYPES}


@pytest.mark.parametrize("value", ["x", "nan", "1e400"])
def test_django_form_refuses_invalid_numbers(value):
    assert not build([field("number")])(QueryDict(f"x={value}")).is_valid()


def test_django_form_has_labels_help_and_widgets():
    fields = all_types(label="Label", help="Help")
    form = build(fields)()
    assert all(item.label == "Label" for item in form.fields.values())
    assert all(item.help_text.startswith("Help") for item in form.fields.values())
    widgets = {name: form.fields[f"f_{name}"].widget for name in FIELD_TYPES}
    assert isinstance(widgets["long_text"], django_forms.Textarea)
    assert isinstance(widgets["multiple_choice"], django_forms.CheckboxSelectMultiple)
    assert isinstance(widgets["choice"], django_forms.Select)
    html = str(form)
    for kind in ("date", "datetime-local", "number", "email", "url", "checkbox", "file"):
        assert f'type="{kind}"' in html
    assert "Bee" in html


def test_field_without_a_label_is_labelled_by_its_name():
    assert build([{"name": "risk_level"}])().fields["risk_level"].label == "Risk level"


@pytest.mark.parametrize("name", ["clean", "data", "media", "prefix", "_errors", "__init__"])
def test_field_may_have_any_valid_name(name):
    fields = [{"name": name}]
    assert (problems(fields)) == []
    form = build(fields)({name: "x"})
    assert form.is_valid()
    assert to_json(form.cleaned_data) == {name: "x"}
