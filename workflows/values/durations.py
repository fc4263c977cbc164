"""Lengths of time: ISO 8601 durations, numbers of seconds, and words such as "3 days".

Years, months, weeks and days follow the calendar in ``TIME_ZONE``: a month after January 31 is the
last day of February, and a day later it is the same time of day, whatever the clock was changed by.
Hours and less are exact.
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
# No calendar holds more: what is beyond is as far as any of them goes.
_MOST_DATES, _MOST_TIMES = 10**6, 10**10


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time: months and days of the calendar, and an exact rest."""

    months: int = 0
    days: int = 0
    rest: timedelta = timedelta(0)

    def about(self) -> timedelta:
        """Return how long it is with years of 365.25 days, to compare it with a limit."""
        return timedelta(days=self.months * 365.25 / 12 + self.days) + self.rest

    def before(self, moment: datetime) -> datetime:
        """Return the moment that lies this far back from another, as ``after`` does."""
        return Duration(-self.months, -self.days, -self.rest).after(moment)

    def after(self, moment: datetime) -> datetime:
        """Return the moment that lies this far from another, in UTC; negative lengths go back.

        Beyond the calendar, as far as it goes.
        """
        try:
            if self.months or self.days:
                zone = timezone.get_current_timezone()
                wall = moment.astimezone(zone).replace(tzinfo=None)
                wall += relativedelta(months=self.months, days=self.days)
                moment = moments.in_utc(wall)
            return moment.astimezone(UTC) + self.rest
        except (OverflowError, ValueError):
            ahead = self.about() > timedelta(0)
            return (datetime.max if ahead else datetime.min).replace(tzinfo=UTC)


def parse(value: object) -> Duration | None:
    """Return the length that ``P1Y2M``, ``P2W``, ``-P3DT4H`` or a number of seconds spells.

    None where it spells none. Years and months are whole numbers.
    """
    if isinstance(value, str):
        return _parsed(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        return None
    try:
        return Duration(rest=timedelta(seconds=value))
    except OverflowError:
        return Duration(rest=timedelta.max if value > 0 else timedelta.min)


def _parsed(text: str) -> Duration | None:
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


def from_words(text: str) -> str:
    """Return the ISO 8601 duration that words such as "3 days" or "1 year, 2 months" mean.

    A text that is none is returned as it is.
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
