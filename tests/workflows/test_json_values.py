"""Canonical JSON and checksums."""

from __future__ import annotations

import json

import pytest

from workflows.db import json_values

# Canonical JSON


def test_canonical_json_ignores_order_and_spaces():
    assert json_values.canonical({"b": [1, 2], "a": "é"}) == '{"a":"é","b":[1,2]}'


@pytest.mark.parametrize(
    ("value", "as_jsonb"),
    [
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e23, "100000000000000000000000"),
        (1e308, "1" + "0" * 308),
        (1.2345678901234568e17, "123456789012345680"),
        (1e-7, "0.0000001"),
        (0.1, "0.1"),
        (True, "true"),
        (None, "null"),
    ],
)
def test_canonical_json_survives_a_round_trip_through_jsonb(value, as_jsonb):
    again = json.loads(as_jsonb)
    assert json_values.canonical({"a": [value]}) == json_values.canonical({"a": [again]})
    assert json_values.canonical(
        json.loads(json_values.canonical([value]))
    ) == json_values.canonical([value])


def test_canonical_json_distinguishes_true_from_one():
    assert json_values.canonical([True, 1, 1.0]) == "[true,1,1]"


def test_canonical_json_rejects_nan():
    with pytest.raises(ValueError, match=r"."):
        json_values.canonical(float("nan"))


def test_checksum_covers_all_parts_and_their_order():
    assert json_values.checksum({"a": 1.0}, "x") == json_values.checksum({"a": 1}, "x")
    assert json_values.checksum("ab", "c") != json_values.checksum("a", "bc")
    assert len(json_values.checksum()) == 64


def test_huge_number_is_refused_with_a_readable_message():
    with pytest.raises(
        json_values.InexactNumber, match="A number has more digits than can be stored exactly"
    ):
        json_values.parse_json(f'{{"n": {"9" * 5000}}}')
