"""The trigger type ``schedule``: by a cron expression, or at intervals after a date field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cronsim import CronSim
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from executions.engine import recurrence
from executions.engine.trigger_types import (
    RULE_DEFS,
    RULE_PROPERTY,
    RuleTrigger,
    unknown_keys,
)
from workflows.db.json_values import json_type, quoted
from workflows.trigger_types import register
from workflows.values import durations

# The parser names only the part.
_PARTS = {
    "Bad minute": gettext_lazy("The minute must be from 0 to 59."),
    "Bad hour": gettext_lazy("The hour must be from 0 to 23."),
    "Bad day-of-month": gettext_lazy("The day of the month must exist in one of the months."),
    "Bad month": gettext_lazy("The month must be from 1 to 12, or JAN to DEC."),
    "Bad day-of-week": gettext_lazy("The day of the week must be from 0 to 7, or SUN to SAT."),
    "Wrong number of fields": gettext_lazy(
        "It needs five fields: minute, hour, day, month, day of the week."
    ),
}


class Schedule(RuleTrigger):
    """The clock starts the workflow, for each entity of its context for which the rule holds."""

    name = "schedule"
    schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "cron": {
                "title": "Cron expression",
                "description": "Five fields: minute, hour, day of the month, month, day of the"
                " week. Leave it empty for an interval.",
                "type": "string",
                "examples": ["0 9 1 */3 *"],
            },
            "every": {
                "title": "Every",
                "description": "The interval after the date in a field.",
                "type": "string",
                "format": "duration",
            },
            "from_field": {
                "title": "Date field",
                "description": "The field with the date at which the intervals begin.",
                "type": "string",
                "format": "field-name",
            },
            "rule": RULE_PROPERTY,
        },
        "$defs": RULE_DEFS,
    }

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check the times and the rule."""
        yield from unknown_keys(data, ("cron", "every", "from_field", "rule"))
        if "cron" in data:
            for name in ("every", "from_field"):
                if name in data:
                    yield (
                        f"/{name}",
                        _("'{name}' cannot be combined with 'cron'.").format(name=name),
                    )
            yield from self._cron_problems(data["cron"])
        elif "every" in data or "from_field" in data:
            yield from self._interval_problems(data)
        else:
            yield "", _("A schedule needs 'cron', or 'every' with 'from_field'.")
        yield from super().problems(data)

    def _cron_problems(self, cron: object) -> Iterator[tuple[str, str]]:
        if not isinstance(cron, str):
            yield (
                "/cron",
                _("'cron' must be text such as \"0 9 1 */3 *\", not {type}.").format(
                    type=json_type(cron)
                ),
            )
        elif problem := recurrence.find_cron_problem(cron):
            reason = str(_PARTS.get(problem, problem))
            detail = _("The cron expression {cron} is invalid. {reason}")
            yield "/cron", detail.format(cron=quoted(cron), reason=reason)

    def _interval_problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for name in ("every", "from_field"):
            if name not in data:
                yield (
                    "",
                    _("'every' and 'from_field' belong together: '{name}' is missing.").format(
                        name=name
                    ),
                )
        field = data.get("from_field")
        if "from_field" in data and (not isinstance(field, str) or not field.strip()):
            yield "/from_field", _("'from_field' must be the name of a date field.")
        if "every" not in data:
            return
        every = recurrence.parse_interval(data["every"])
        if every is None:
            yield "/every", _('\'every\' must be a duration such as "P1Y" or "3 months".')
        elif every.about() < recurrence.SHORTEST:
            yield "/every", _("'every' must be at least one minute.")

    def normalize(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the settings with plain spaces, ISO durations, and moments in UTC."""
        found = dict(super().normalize(data))
        if "cron" in found:
            found["cron"] = " ".join(found["cron"].split())
        else:
            found["every"] = durations.parse_words(found["every"]).strip()
        return found

    def describe(self, data: Mapping[str, Any]) -> str:
        """Describe the trigger in a sentence."""
        zone = timezone.get_default_timezone_name()
        if "cron" in data:
            text = (
                _(
                    "Started by the schedule “{cron}” ({words}, {zone}) for each entity of the type"
                    " for which its rule holds."
                )
                if "rule" in data
                else _(
                    "Started by the schedule “{cron}” ({words}, {zone}) for each entity of the"
                    " type."
                )
            )
            words = CronSim(data["cron"], timezone.now()).explain()
            text = text.format(cron=data["cron"], words=words, zone=zone)
        else:
            text = (
                _(
                    "Started for each entity every {every} after its “{field}” ({zone}), if its"
                    " rule holds then."
                )
                if "rule" in data
                else _("Started for each entity every {every} after its “{field}” ({zone}).")
            )
            text = text.format(every=data["every"], field=data["from_field"], zone=zone)
        return text + " " + _("Entities with a live execution of this workflow are left out.")


SCHEDULE = Schedule()
register(SCHEDULE)
