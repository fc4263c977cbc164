"""Moments: dates and times in ISO 8601, whatever their offset or spelling.

A date is that day at 00:00. A date or time without an offset is in ``TIME_ZONE``. A local time
that the clock skips is moved ahead by what it skips; of one that comes twice, the first counts.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.formats import date_format

_LIKELY = re.compile(r"[0-9]{4}-[0-9W]")
_EPOCH = datetime(1, 1, 1)
_MIDNIGHT = re.compile(r"(.*[0-9][Tt ])24(:?00(?::?00(?:[.,]0+)?)?)?((?:[Zz]|[+-][0-9:]+)?)")


def parse(text: object) -> datetime | None:
    """Return the moment that a value spells, in its own zone; None where it spells none.

    Digits alone are no moment here: a number in a text, such as a postal code, is none.
    """
    return read(text) if isinstance(text, str) and _LIKELY.match(text) else None


def read(text: str) -> datetime | None:
    """Return the moment that a text spells, in the basic format of ISO 8601 too, or None."""
    text = text.strip()
    # ISO 8601 lets a day end at 24:00.
    late = _MIDNIGHT.fullmatch(text)
    try:
        day: date | None = parse_date(text)
        moment = datetime.combine(day, time()) if day else _read_time(text, late)
    except (OverflowError, ValueError):
        return None
    if moment is None or not timezone.is_naive(moment):
        return moment
    return moment.replace(tzinfo=timezone.get_current_timezone())


def _read_time(text: str, late: re.Match[str] | None) -> datetime | None:
    if late is None:
        return parse_datetime(text)
    start = parse_datetime(f"{late[1]}00{late[2] or ''}{late[3]}")
    return None if start is None else start + timedelta(days=1)


def is_date(text: str) -> bool:
    """Return True when a text spells a date without a time."""
    try:
        return parse_date(text.strip()) is not None
    except ValueError:
        return False


def order(moment: datetime) -> timedelta:
    """Return what moments are compared by. It exists for all of them, in years 0 and 10000 too."""
    return moment.replace(tzinfo=None) - _EPOCH - (moment.utcoffset() or timedelta(0))


def is_in_calendar(moment: datetime) -> bool:
    """Return True for a moment that UTC has a year from 1 to 9999 for."""
    return timedelta(0) <= order(moment) <= datetime.max - _EPOCH


def in_utc(moment: datetime) -> datetime:
    """Return a moment in UTC; beyond the calendar, as far as it goes."""
    if timezone.is_naive(moment):
        moment = moment.replace(tzinfo=timezone.get_current_timezone())
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # No database can hand out a time whose year is 0 or 10000.
        return (datetime.max if moment.year > 1 else datetime.min).replace(tzinfo=UTC)


def local(moment: datetime) -> datetime:
    """Return a moment in ``TIME_ZONE``; beyond the calendar there, as it is."""
    try:
        return timezone.localtime(moment)
    except OverflowError:
        return moment


def shown(moment: datetime) -> str:
    """Return a moment for people: in the one format of dates, in ``TIME_ZONE``, with its name."""
    return date_format(local(moment), "DATETIME_FORMAT")


def normalized(text: str) -> str:
    """Return a moment in the spelling that is stored: UTC with an offset; dates stay dates."""
    moment = parse(text)
    if moment is None:
        return text
    return text.strip() if is_date(text) else in_utc(moment).isoformat()


def resolution(text: str) -> str:
    """Say how a local time is understood that does not exist or exists twice; else be empty."""
    moment = read(text)
    zone = timezone.get_current_timezone()
    if moment is None or moment.tzinfo is not zone:
        return ""
    naive, earlier = moment.replace(tzinfo=None), moment.replace(fold=0)
    later = earlier.replace(fold=1)
    if earlier.utcoffset() == later.utcoffset():
        return ""
    taken = timezone.localtime(in_utc(earlier), zone)
    local_time = f"{naive:%Y-%m-%d %H:%M}"
    if taken.replace(tzinfo=None) != naive:
        return f"{local_time} does not exist in {zone}: taken as {taken:%H:%M %Z}."
    return f"{local_time} comes twice in {zone}: taken as the first, {taken:%H:%M %Z}."
