"""Durations: ISO 8601, numbers of seconds, and words such as "3 days".

Years, months, weeks and days follow the calendar in ``TIME_ZONE``: a month after January 31 is the
last day of February, and a day later is the same time of day, even across a clock change. Hours,
minutes and seconds are exact.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dateutil.relativedelta import relativedelta
from django.utils import timezone

from workflows.values import moments

_ISO = re.compile(
    r"(?P<sign>[-+]?)P"
    r"(?:(?P<years>[0-9]+)Y)?(?:(?P<months>[0-9]+)M)?"
    r"(?:(?P<weeks>[0-9]+(?:[.,][0-9]+)?)W)?(?:(?P<days>[0-9]+(?:[.,][0-9]+)?)D)?"
    r"(?:T(?:(?P<hours>[0-9]+(?:[.,][0-9]+)?)H)?(?:(?P<minutes>[0-9]+(?:[.,][0-9]+)?)M)?"
    r"(?:(?P<seconds>[0-9]+(?:[.,][0-9]+)?)S)?)?"
)
_DATES, _TIMES = ("years", "months", "weeks", "days"), ("hours", "minutes", "seconds")
_UNITS = {"year": "Y", "month": "M", "week": "W", "day": "D", "hour": "H", "minute": "M"}
_UNITS |= {"second": "S"}
_WORDS = re.compile(
    rf"([0-9]+)\s*({'|'.join(_UNITS)})s?\b(?:\s*(?:,\s*and|,|and)\s*|\s*)", re.IGNORECASE
)
# Larger numbers exceed every calendar; they are capped.
_MOST_DATES, _MOST_TIMES = 10**6, 10**10


@dataclass(frozen=True, slots=True)
class Duration:
    """Calendar months and days, and an exact rest."""

    months: int = 0
    days: int = 0
    rest: timedelta = timedelta(0)

    def about(self) -> timedelta:
        """Return the approximate length, with years of 365.25 days, to compare it with a limit."""
        return timedelta(days=self.months * 365.25 / 12 + self.days) + self.rest

    def before(self, moment: datetime) -> datetime:
        """Return the moment that is this duration before another; see ``after``."""
        return Duration(-self.months, -self.days, -self.rest).after(moment)

    def after(self, moment: datetime) -> datetime:
        """Return the moment that is this duration after another, in UTC.

        Negative durations go back. The result is capped to the years 1 to 9999.
        """
        try:
            if self.months or self.days:
                zone = timezone.get_current_timezone()
                wall = moment.astimezone(zone).replace(tzinfo=None)
                wall += relativedelta(months=self.months, days=self.days)
                moment = moments.to_utc(wall)
            return moment.astimezone(UTC) + self.rest
        except (OverflowError, ValueError):
            is_ahead = self.about() > timedelta(0)
            return (datetime.max if is_ahead else datetime.min).replace(tzinfo=UTC)


def parse(value: object) -> Duration | None:
    """Return the duration of a text such as ``P1Y2M`` or ``-P3DT4H``, or of a number of seconds.

    Return None for other values. Years and months must be whole numbers.
    """
    if isinstance(value, str):
        return _parse_iso(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        return None
    try:
        return Duration(rest=timedelta(seconds=value))
    except OverflowError:
        return Duration(rest=timedelta.max if value > 0 else timedelta.min)


def _parse_iso(text: str) -> Duration | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    parts = {
        name: min(float((found[name] or "0").replace(",", ".")), most)
        for names, most in ((_DATES, _MOST_DATES), (_TIMES, _MOST_TIMES))
        for name in names
    }
    sign = -1 if found["sign"] == "-" else 1
    months = int(parts["years"] * 12 + parts["months"])
    whole, part = divmod(parts["weeks"] * 7 + parts["days"], 1)
    rest = timedelta(
        days=part, hours=parts["hours"], minutes=parts["minutes"], seconds=parts["seconds"]
    )
    return Duration(sign * months, sign * int(whole), sign * rest)


def parse_words(text: str) -> str:
    """Return the ISO 8601 duration of words such as "3 days" or "1 year, 2 months".

    Return other texts unchanged.
    """
    rest, parts, place = text.strip(), dict[str, str](), 0
    while found := _WORDS.match(rest, place):
        unit = found[2].lower()
        if unit in parts:
            return text
        parts[unit], place = found[1], found.end()
    if not parts or place < len(rest):
        return text
    dates = [parts[unit] + _UNITS[unit] for unit in list(_UNITS)[:4] if unit in parts]
    times = [parts[unit] + _UNITS[unit] for unit in list(_UNITS)[4:] if unit in parts]
    return f"P{''.join(dates)}{'T' if times else ''}{''.join(times)}"
