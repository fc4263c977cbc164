"""Value sources: what they read, what they compute, and what a save refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from executions.engine import rules, value_sources
from executions.engine.value_sources import InvalidValue, evaluate

NOW = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
VALUES: dict[str, Any] = {
    "severity": 3,
    "due": "2026-01-31",
    "owner": "ann",
    "$amount": 1500,
    "$owners": ["ann", "bob"],
    "$at": "2026-01-31T10:00:00+00:00",
}


@pytest.fixture(autouse=True)
def _zone(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (3, 3),
        ({"any": "object"}, {"any": "object"}),
        ({"field": "severity"}, 3),
        ({"variable": "amount"}, 1500),
        ({"field": "amount"}, None),
        ({"variable": "severity"}, None),
        ({"now": True}, "2026-11-30T23:30:00+00:00"),
        ({"today": True}, "2026-12-01"),
        ({"add": [{"field": "severity"}, 2]}, 5),
        ({"add": [{"variable": "amount"}, {"field": "severity"}]}, 1503),
        ({"add": [0.5, 1]}, 1.5),
        ({"add": [0.1, 0.2]}, 0.3),
        ({"add": [{"field": "due"}, "P1M"]}, "2026-02-28"),
        ({"add": [{"field": "due"}, "-P1D"]}, "2026-01-30"),
        ({"add": [{"today": True}, "P30D"]}, "2026-12-31"),
        ({"add": [{"field": "due"}, "PT12H"]}, "2026-01-31T11:00:00+00:00"),
        ({"add": [{"variable": "at"}, "P1D"]}, "2026-02-01T10:00:00+00:00"),
        ({"add": [{"field": "missing"}, "P1D"]}, None),
        ({"add": [1, {"variable": "missing"}]}, None),
        ({"add": [{"add": [1, 2]}, 3]}, 6),
        ({"count": {"variable": "owners"}}, 2),
        ({"count": ["a"]}, 1),
        ({"count": {"variable": "missing"}}, 0),
        ({"text": "{{owner}} owes {{$amount}}, {{none}}"}, "ann owes 1500, "),
    ],
)
def test_source_has_the_value(source: Any, expected: Any) -> None:
    assert evaluate(source, VALUES, NOW) == expected


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"add": [{"field": "due"}, 3]}, "'2026-01-31' and 3 cannot be added"),
        ({"add": [{"field": "owner"}, "P1D"]}, "'ann' and 'P1D' cannot be added"),
        ({"add": [{"variable": "owners"}, 1]}, "a list and 1 cannot be added"),
        ({"add": [True, 1]}, "true and 1 cannot be added"),
        ({"add": [2**53, 1]}, "more digits"),
        ({"add": [1.7e308, 1.7e308]}, "finite"),
        ({"count": {"field": "owner"}}, "Only a list can be counted, not 'ann'."),
        ({"text": "{{x}}{{x}}"}, "more than 100000 characters"),
    ],
)
def test_source_is_refused_when_it_has_no_value(source: Any, text: str) -> None:
    with pytest.raises(InvalidValue, match=text) as refused:
        evaluate(source, VALUES | {"x": "x" * 60_000}, NOW)
    assert refused.value.code == "invalid_value"


@pytest.mark.parametrize(
    ("source", "pointers"),
    [
        (None, []),
        ("text", []),
        ({"color": "red"}, []),
        ([{"field": 3}], []),
        ({"field": "a"}, []),
        ({"field": "$a"}, ["/field"]),
        ({"field": 3}, ["/field"]),
        ({"field": "not a name"}, ["/field"]),
        ({"variable": "$a"}, ["/variable"]),
        ({"field": "a", "default": 3}, ["/default"]),
        ({"field": "a", "variable": "b"}, ["/variable"]),
        ({"now": False}, ["/now"]),
        ({"today": "yes"}, ["/today"]),
        ({"text": 3}, ["/text"]),
        ({"text": "{{a b}}"}, ["/text"]),
        ({"text": "{{secret:key}}"}, ["/text"]),
        ({"count": 3}, ["/count"]),
        ({"count": {"field": 3}}, ["/count/field"]),
        ({"add": [1]}, ["/add"]),
        ({"add": {"field": "a"}}, ["/add"]),
        ({"add": ["soon", "P1D"]}, ["/add/0"]),
        ({"add": ["2026-01-01", "a day"]}, ["/add/1"]),
        ({"add": ["2026-01-01", True]}, ["/add/1"]),
        ({"add": [{"field": 1}, {"add": [1, None]}]}, ["/add/0/field", "/add/1/add/1"]),
    ],
)
def test_problems_of_a_source_name_their_place(source: Any, pointers: list[str]) -> None:
    found = list(value_sources.problems(source))
    assert [pointer for pointer, _ in found] == pointers
    assert all(detail.endswith(".") for _, detail in found)


def test_text_is_refused_before_all_values_are_filled_in() -> None:
    filled: list[str] = []

    class Values(dict[str, Any]):
        def get(self, name: str, default: Any = None) -> Any:
            filled.append(name)
            return "x" * 60_000

    with pytest.raises(InvalidValue):
        evaluate({"text": "{{a}}" * 1_000}, Values(), NOW)
    assert len(filled) == 2


def test_names_of_a_source_are_those_that_it_reads() -> None:
    source = {"add": [{"count": {"variable": "a"}}, {"text": "{{b}} {{$c}}"}]}
    assert list(value_sources.names(source)) == ["$a", "$c", "b"]
    assert list(value_sources.names({"field": "x", "other": 1})) == []


# Rules


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"field": "$amount", "op": "gt", "value": 1000}, True),
        ({"field": "$amount", "op": "gt", "value": {"field": "severity"}}, True),
        ({"field": "severity", "op": "gte", "value": {"variable": "amount"}}, False),
        ({"field": "owner", "op": "in", "value": {"variable": "owners"}}, True),
        ({"field": "due", "op": "lt", "value": {"now": True}}, True),
        ({"field": "due", "op": "lt", "value": {"add": [{"now": True}, "-P1Y"]}}, False),
        ({"field": "due", "op": "eq", "value": {"text": "2026-01-30T23:00:00{{z}}Z"}}, True),
        ({"field": "severity", "op": "eq", "value": {"field": "none"}}, False),
        ({"field": "severity", "op": "ne", "value": {"field": "none"}}, True),
        ({"field": "none", "op": "eq", "value": {"variable": "none"}}, True),
        ({"field": "none", "op": "ne", "value": {"field": "severity"}}, False),
        ({"field": "severity", "op": "eq", "value": {"count": {"field": "owner"}}}, False),
        ({"not": {"field": "severity", "op": "eq", "value": {"add": ["x", "y"]}}}, True),
        ({"field": "severity", "op": "eq", "value": {"color": "red"}}, False),
    ],
)
def test_rule_compares_with_a_source(rule: Any, expected: bool) -> None:
    assert rules.holds(rule, VALUES, NOW) is expected


def test_rule_names_the_fields_of_its_sources() -> None:
    rule = {"any": [{"field": "a", "op": "eq", "value": {"variable": "b"}}]}
    assert list(rules.names(rule)) == ["a", "$b"]
