"""Moments and durations: parsing, comparison, arithmetic, normal form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from workflows.values import moments
from workflows.values.durations import parse, parse_words


def moved(text: object, start: str) -> str:
    duration = parse(text)
    assert duration is not None
    return duration.after(datetime.fromisoformat(start)).isoformat()


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("P2W", "2026-01-31T10:00:00+00:00", "2026-02-14T10:00:00+00:00"),
        ("P1M", "2026-01-31T10:00:00+00:00", "2026-02-28T10:00:00+00:00"),
        ("P1M", "2028-01-31T10:00:00+00:00", "2028-02-29T10:00:00+00:00"),
        ("P1Y", "2028-02-29T10:00:00+00:00", "2029-02-28T10:00:00+00:00"),
        ("-P1M", "2026-03-31T10:00:00+00:00", "2026-02-28T10:00:00+00:00"),
        ("P1Y2M3W4DT5H6M7S", "2026-01-01T00:00:00+00:00", "2027-03-26T05:06:07+00:00"),
        ("P0.5W", "2026-01-01T00:00:00+00:00", "2026-01-04T12:00:00+00:00"),
        ("P1,5D", "2026-01-01T00:00:00+00:00", "2026-01-02T12:00:00+00:00"),
        (90, "2026-01-01T00:00:00+00:00", "2026-01-01T00:01:30+00:00"),
        ("P9999Y", "2026-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00"),
        ("-P9999Y", "2026-01-01T00:00:00+00:00", "0001-01-01T00:00:00+00:00"),
        ("PT99999999999999999H", "2026-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00"),
        (1e300, "2026-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00"),
    ],
)
def test_duration_follows_the_calendar_and_is_clamped(text, start, expected):
    assert moved(text, start) == expected


def test_days_keep_the_time_of_day_across_a_clock_change(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    assert moved("P1D", "2026-03-28T11:00:00+00:00") == "2026-03-29T10:00:00+00:00"
    assert moved("PT24H", "2026-03-28T11:00:00+00:00") == "2026-03-29T11:00:00+00:00"
    assert moved("P1M", "2026-01-31T23:30:00+00:00") == "2026-02-28T23:30:00+00:00"


@pytest.mark.parametrize(
    "text", ["", "3", "P1.5Y", "P1.5M", "P1D2W", "P1H", "PT1D", "p1d", "P-1D", "P1Y1Y", "3 days"]
)
def test_parse_returns_none_for_an_invalid_duration(text):
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3 days", "P3D"),
        ("1 Day", "P1D"),
        ("2weeks", "P2W"),
        ("1 year, 2 months and 3 days", "P1Y2M3D"),
        ("1 month 12 hours", "P1MT12H"),
        ("90 minutes, and 5 seconds", "PT90M5S"),
        ("3 days 2 days", "3 days 2 days"),
        ("three days", "three days"),
        ("3 fortnights", "3 fortnights"),
        ("P3D", "P3D"),
        ("3600", "3600"),
    ],
)
def test_words_are_parsed_as_a_duration(text, expected):
    assert parse_words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-31T17:00:00Z", "2026-12-31T17:00:00+00:00"),
        ("2026-12-31T18:00+01:00", "2026-12-31T17:00:00+00:00"),
        ("2026-12-31 17:00", "2026-12-31T17:00:00+00:00"),
        ("2026-12-31", "2026-12-31"),
        ("2026-12-31T24:00Z", "2027-01-01T00:00:00+00:00"),
        ("2026-12-31T24:00:00.000+01:00", "2026-12-31T23:00:00+00:00"),
        ("2026-12-31 24:00", "2027-01-01T00:00:00+00:00"),
        ("2026-12-31T24:01Z", "2026-12-31T24:01Z"),
        ("2026-02-30T24:00Z", "2026-02-30T24:00Z"),
        ("9999-12-31T24:00Z", "9999-12-31T24:00Z"),
        ("today", "today"),
        ("2026-02-30", "2026-02-30"),
        ("20261231", "20261231"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+00:00"),
    ],
)
def test_normalize_writes_moments_in_utc_and_keeps_dates(text, expected):
    assert moments.normalize(text) == expected


def test_skipped_or_repeated_local_time_is_resolved_and_explained(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    skipped, twice, plain = "2026-03-29T02:30", "2026-10-25T02:30", "2026-07-01T02:30"
    assert moments.normalize(skipped) == "2026-03-29T01:30:00+00:00"
    assert moments.explain_resolution(skipped) == (
        "2026-03-29 02:30 does not exist in Europe/Berlin. 03:30 CEST is used."
    )
    assert moments.normalize(twice) == "2026-10-25T00:30:00+00:00"
    assert moments.explain_resolution(twice) == (
        "2026-10-25 02:30 occurs twice in Europe/Berlin. The first one, 02:30 CEST, is used."
    )
    assert moments.explain_resolution(plain) == ""
    assert moments.explain_resolution(f"{skipped}+01:00") == ""


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/New_York"])
@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31T23:59:59.999999", "9999-12-31"])
def test_ends_of_the_calendar_work_in_every_zone(settings, zone, text):
    settings.TIME_ZONE = zone
    moment: Any = moments.parse(text)
    assert moments.to_utc(moment).tzinfo is UTC
    assert moments.sort_key(moment) == moments.sort_key(moment)
