"""Rules: their meaning and their problems."""

from __future__ import annotations

from typing import Any

import pytest

from executions.engine.rules import OPS, combination_problems, holds, problems

MISSING: list[Any] = [None, "", "  ", "\n", []]


def compare(op: str, value: Any, **fields: Any) -> bool:
    rule = {"field": "x", "op": op, "value": value}
    assert list(problems(rule)) == []
    return holds(rule, fields)


@pytest.mark.parametrize(
    ("op", "value", "field", "expected"),
    [
        ("eq", 3, 3, True),
        ("eq", 3, 3.0, True),
        ("eq", 3, "3", False),
        ("eq", 1, True, False),
        ("eq", True, True, True),
        ("eq", [1], [True], False),
        ("eq", {"a": [1.0]}, {"a": [1]}, True),
        ("eq", None, None, True),
        ("eq", None, 0, False),
        ("ne", 3, 4, True),
        ("ne", 3, 3.0, False),
        ("ne", None, "x", True),
        ("ne", None, None, False),
        ("ne", 3, "3", True),
        ("gt", 3, 4, True),
        ("gt", 3, 3, False),
        ("gte", 3, 3.0, True),
        ("lt", 3, 2.5, True),
        ("lte", 3, 4, False),
        ("gt", 3, "4", False),
        ("lt", "3", 2, False),
        ("gte", 0, True, False),
        ("gt", "2025-01-31", "2025-02-01", True),
        ("lt", "2025-01-31", "2024-12-31", True),
        ("in", ["a", "b"], "b", True),
        ("in", ["a", "b"], "c", False),
        ("in", [1], True, False),
        ("in", [None], None, True),
        ("not_in", ["a"], "b", True),
        ("not_in", ["a"], "a", False),
        ("contains", "ell", "hello", True),
        ("contains", "x", "hello", False),
        ("contains", 3, "3", False),
        ("contains", "a", ["a", "b"], True),
        ("contains", "ab", ["a", "b"], False),
        ("contains", 1, [True], False),
        ("contains", "a", {"a": 1}, False),
        ("not_contains", "x", "hello", True),
        ("not_contains", "a", ["a"], False),
        ("not_contains", "c", ["a"], True),
        ("not_contains", "c", 3, False),
        ("not_contains", 3, "c", False),
        ("starts_with", "he", "hello", True),
        ("starts_with", "lo", "hello", False),
        ("starts_with", "1", 12, False),
        ("ends_with", "lo", "hello", True),
        ("ends_with", "he", "hello", False),
        ("ends_with", "", "x", True),
    ],
)
def test_comparison_holds(op, value, field, expected):
    assert compare(op, value, x=field) is expected


@pytest.mark.parametrize("op", [op for op in OPS if op not in ("exists", "missing")])
def test_comparison_is_false_when_the_field_is_missing(op):
    value: Any = ["a"] if op in ("in", "not_in") else "a"
    assert compare(op, value, y=1) is False


def test_comparison_never_raises():
    values: list[Any] = [None, True, 3, 1.5, 10**400, "a", ["a"], {"a": 1}]
    for op in OPS:
        for left in values:
            for right in values:
                rule = {"field": "x", "op": op, "value": right}
                assert holds(rule, {"x": left}) in (True, False)


@pytest.mark.parametrize("fields", [{}, *({"x": value} for value in MISSING)])
def test_null_blank_and_absent_count_as_missing(fields):
    exists, missing = ({"field": "x", "op": op} for op in ("exists", "missing"))
    assert list(problems(exists)) == list(problems(missing)) == []
    assert not holds(exists, fields) and holds(missing, fields)
    for literal in MISSING:
        assert compare("eq", literal, **fields)
        assert not compare("ne", literal, **fields)
        assert compare("in", ["a", literal], **fields)
        assert not compare("not_in", ["a", literal], **fields)
    for op in ("ne", "gt", "lte", "contains", "not_contains", "starts_with"):
        assert not compare(op, "a", **fields)
    assert not compare("in", ["a"], **fields)
    assert not compare("not_in", ["a"], **fields)


@pytest.mark.parametrize("value", [0, False, {}, "0", [None], "\u200b"])
def test_zero_false_and_empty_object_are_values(value):
    assert holds({"field": "x", "op": "exists"}, {"x": value})
    assert compare("ne", None, x=value)
    assert compare("not_in", [None], x=value)
    assert not compare("eq", "", x=value)


@pytest.mark.parametrize(
    ("op", "literal", "value"),
    [
        ("eq", "2026-12-31T17:00:00Z", "2026-12-31T17:00:00+00:00"),
        ("eq", "2026-12-31T17:00Z", "2026-12-31T19:00+02:00"),
        ("eq", "2026-12-31 17:00:00.000Z", "2026-12-31T17:00:00+00:00"),
        ("eq", "2026-12-31", "2026-12-31T00:00:00Z"),
        ("in", ["2026-12-31T18:00+01:00"], "2026-12-31T17:00Z"),
        ("contains", "2026-12-31T18:00+01:00", ["2026-12-31T17:00Z"]),
        ("gte", "2026-12-31T17:00:00Z", "2026-12-31T17:00:00+00:00"),
        ("gt", "2026-12-31T18:00:00+02:00", "2026-12-31T16:30:00Z"),
        ("lt", "2026-12-31T23:30:00-05:00", "2027-01-01T02:00:00Z"),
        ("gt", "2026-12-31", "2026-12-31T00:00:01Z"),
        ("lt", "2027-01-01", "2026-12-31T23:59:59Z"),
        ("lt", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"),
        ("gt", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"),
    ],
)
def test_moments_are_compared_in_any_spelling(op, literal, value):
    assert compare(op, literal, x=value)


def test_date_begins_at_midnight_in_the_configured_time_zone(settings):
    settings.TIME_ZONE = "America/New_York"
    assert compare("eq", "2026-07-01", x="2026-07-01T04:00:00Z")
    assert compare("lt", "2026-07-01", x="2026-07-01T03:59:59Z")


def test_ambiguous_local_time_is_the_first_occurrence(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    assert compare("eq", "2026-10-25T02:30", x="2026-10-25T00:30:00Z")
    assert compare("eq", "2026-03-29T02:30", x="2026-03-29T01:30:00Z")


@pytest.mark.parametrize(("value", "literal"), [("20261231", "2026-12-31"), ("x1", "x2")])
def test_other_texts_are_compared_as_texts(value, literal):
    assert not compare("eq", literal, x=value)
    assert holds({"field": "x", "op": "lt", "value": "b"}, {"x": "a"}), "a stored rule"


@pytest.mark.parametrize("value", ["soon", "01/02/2026", "31.12.2026", "2026-13-01", "z"])
def test_text_has_no_order_with_a_moment(value):
    for op in ("lt", "lte", "gt", "gte"):
        assert not compare(op, "2026-12-31", x=value)
        assert not compare(op, "2026-12-31T17:00Z", x=value)
    assert compare("ne", "2026-12-31", x=value)


def test_rules_are_combined_by_all_any_and_not():
    yes, no = {"field": "x", "op": "exists"}, {"field": "x", "op": "missing"}
    fields = {"x": 1}
    assert holds({"all": [yes, yes]}, fields) and not holds({"all": [yes, no]}, fields)
    assert holds({"any": [no, yes]}, fields) and not holds({"any": [no, no]}, fields)
    assert holds({"not": no}, fields) and not holds({"not": yes}, fields)
    assert holds({"not": {"all": [yes, {"any": [no]}]}}, fields)


def test_not_holds_when_the_field_is_missing():
    assert holds({"not": {"field": "x", "op": "eq", "value": 1}}, {})


def test_empty_all_and_any_are_refused():
    assert holds({"all": []}, {}) is True
    assert holds({"any": []}, {}) is False
    assert [pointer for pointer, _ in problems({"all": []})] == ["/all"]
    assert [pointer for pointer, _ in problems({"any": []})] == ["/any"]


@pytest.mark.parametrize(
    ("rule", "pointers"),
    [
        (None, [""]),
        ([], [""]),
        ("x > 3", [""]),
        ({}, ["", ""]),
        ({"all": {}}, ["/all"]),
        ({"any": "x"}, ["/any"]),
        ({"not": []}, ["/not"]),
        ({"not": {"field": "x", "op": "exists"}, "any": [{"not": 3}]}, ["/any/0/not"]),
        (
            {"not": {"field": "x", "op": "exists"}, "any": [{"field": "x", "op": "exists"}]},
            ["/not"],
        ),
        ({"all": [{"field": "x", "op": "exists"}], "field": "x"}, ["/field"]),
        ({"field": "x", "op": "exists", "fielt": 1}, ["/fielt"]),
        ({"field": "", "op": "exists"}, ["/field"]),
        ({"field": 3, "op": "exists"}, ["/field"]),
        ({"op": "exists"}, [""]),
        ({"field": "x"}, [""]),
        ({"field": "x", "op": "like", "value": 1}, ["/op"]),
        ({"field": "x", "op": ["eq"], "value": 1}, ["/op"]),
        ({"field": "x", "op": "eq"}, [""]),
        ({"field": "x", "op": "exists", "value": 1}, ["/value"]),
        ({"field": "x", "op": "in", "value": "abc"}, ["/value"]),
        ({"field": "x", "op": "not_in", "value": []}, ["/value"]),
        ({"field": "x", "op": "gt", "value": True}, ["/value"]),
        ({"field": "x", "op": "lte", "value": None}, ["/value"]),
        ({"field": "x", "op": "starts_with", "value": 1}, ["/value"]),
        ({"field": "x", "op": "ends_with", "value": None}, ["/value"]),
        ({"all": [{"any": [{"field": "x", "op": "?"}]}, 3]}, ["/all/0/any/0/op", "/all/1"]),
    ],
)
def test_invalid_rule_is_reported_with_a_pointer(rule, pointers):
    found = list(problems(rule))
    assert [pointer for pointer, _ in found] == pointers
    assert all(sentence.endswith(".") for _, sentence in found)


def test_pointers_start_with_the_given_pointer():
    assert [pointer for pointer, _ in problems({"not": 3}, "/a/b")] == ["/a/b/not"]


def nested(depth: int) -> Any:
    rule: Any = {"field": "x", "op": "exists"}
    for _ in range(depth - 1):
        rule = {"not": rule}
    return rule


def test_rule_may_be_32_levels_deep():
    assert list(problems(nested(32))) == []
    assert holds(nested(32), {"x": 1}) is False


@pytest.mark.parametrize("depth", [33, 50_000])
def test_rule_is_refused_when_it_is_too_deep(depth):
    ((pointer, sentence),) = problems(nested(depth))
    assert pointer == "/not" * 32
    assert "32 levels" in sentence


def test_rule_is_refused_when_it_matches_the_schema_but_is_too_deep():
    ((pointer, sentence),) = combination_problems(nested(33))
    assert pointer == "/not" * 32
    assert "32 levels" in sentence


def test_unknown_op_is_reported_with_the_known_ones():
    ((_, sentence),) = problems({"field": "x", "op": "like", "value": 1})
    assert "'like'" in sentence and "starts_with" in sentence
