"""Moments: dates and times in ISO 8601, with any offset and in any format of the standard.

A date means that day at 00:00. A date or time without an offset is in ``TIME_ZONE``. A local time
that a clock change skips is moved ahead by the skipped time; if it occurs twice, the first counts.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext as _

_LIKELY = re.compile(r"[0-9]{4}-[0-9W]")
_EPOCH = datetime(1, 1, 1)
_MIDNIGHT = re.compile(r"(.*[0-9][Tt ])24(:?00(?::?00(?:[.,]0+)?)?)?((?:[Zz]|[+-][0-9:]+)?)")


def parse(text: object) -> datetime | None:
    """Return the moment of a text that starts like a date, with its own offset, or None.

    Text of digits alone, such as a postal code, is not a moment here.
    """
    return read(text) if isinstance(text, str) and _LIKELY.match(text) else None


def read(text: str) -> datetime | None:
    """Return the moment of a text, also in the basic format of ISO 8601, or None."""
    text = text.strip()
    # ISO 8601 allows 24:00 as the end of a day.
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
    """Return True if a text is a date without a time."""
    try:
        return parse_date(text.strip()) is not None
    except ValueError:
        return False


def sort_key(moment: datetime) -> timedelta:
    """Return a key to compare moments by; it exists even for UTC years 0 and 10000."""
    return moment.replace(tzinfo=None) - _EPOCH - (moment.utcoffset() or timedelta(0))


def is_in_calendar(moment: datetime) -> bool:
    """Return True if the moment's year in UTC is from 1 to 9999."""
    return timedelta(0) <= sort_key(moment) <= datetime.max - _EPOCH


def to_utc(moment: datetime) -> datetime:
    """Return a moment in UTC, capped to the years 1 to 9999."""
    if timezone.is_naive(moment):
        moment = moment.replace(tzinfo=timezone.get_current_timezone())
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # No database can return a time whose year is 0 or 10000.
        return (datetime.max if moment.year > 1 else datetime.min).replace(tzinfo=UTC)


def to_local(moment: datetime) -> datetime:
    """Return a moment in ``TIME_ZONE``, or unchanged if its year there is not from 1 to 9999."""
    try:
        return timezone.localtime(moment)
    except OverflowError:
        return moment


def format_moment(moment: datetime) -> str:
    """Return a moment in the project's date format, in ``TIME_ZONE``, with the zone's name."""
    return date_format(to_local(moment), "DATETIME_FORMAT")


def normalize(text: str) -> str:
    """Return the stored form of a moment: UTC with an offset; dates stay dates."""
    moment = parse(text)
    if moment is None:
        return text
    return text.strip() if is_date(text) else to_utc(moment).isoformat()


def explain_resolution(text: str) -> str:
    """Explain how a local time that does not exist or occurs twice was resolved, or return ""."""
    moment = read(text)
    zone = timezone.get_current_timezone()
    if moment is None or moment.tzinfo is not zone:
        return ""
    naive, earlier = moment.replace(tzinfo=None), moment.replace(fold=0)
    later = earlier.replace(fold=1)
    if earlier.utcoffset() == later.utcoffset():
        return ""
    used = timezone.localtime(to_utc(earlier), zone)
    values = {
        "time": f"{naive:%Y-%m-%d %H:%M}",
        "zone": str(zone),
        "used": f"{used:%H:%M %Z}",
    }
    if used.replace(tzinfo=None) != naive:
        return _("%(time)s does not exist in %(zone)s. %(used)s is used.") % values
    return _("%(time)s occurs twice in %(zone)s. The first one, %(used)s, is used.") % values
