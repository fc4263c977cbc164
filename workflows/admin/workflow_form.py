"""The form of a workflow, with the settings of its trigger as inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from workflows.admin.base.forms import READ, GuardedForm
from workflows.admin.graph_editor.data_form import DataForm
from workflows.admin.graph_editor.node_offers import find_offers
from workflows.admin.graph_editor.offers import NO_OFFERS, Offers
from workflows.admin.row_forms import PartsInput, RowForm
from workflows.models import Workflow
from workflows.trigger_types import TriggerType, get_trigger_types

TRIGGER, TRIGGER_DATA = "trigger", "trigger_data"


class TriggerSettings(PartsInput):
    """The settings of each trigger, as inputs; a stylesheet shows those of the chosen one.

    It submits JSON. JSON that is sent under the name of the field itself is accepted as well, and
    JSON that the inputs cannot hold is shown as text.
    """

    template_name = "workflows/admin/trigger_settings.html"

    def __init__(self, workflow: Workflow, user: Any) -> None:
        super().__init__()
        self.workflow, self.user = workflow, user

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """Return True if the page had none of the inputs."""
        return name not in data and not any(key.startswith(f"{name}-") for key in data)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the JSON of the submitted settings of the chosen trigger."""
        self.posted = data
        if name in data:
            return data[name]
        chosen = data.get(TRIGGER, self.workflow.trigger)
        trigger_type = get_trigger_types().get(chosen)
        if trigger_type is None or self.value_omitted_from_data(data, files, name):
            return "{}"
        was = _rendered(data)
        before = was[TRIGGER_DATA] if was.get(TRIGGER) == chosen else {}
        found = _form(name, trigger_type).read(data, before)
        self.malformed = found.malformed
        if found.malformed:
            # The field refuses this text, because it is not JSON.
            return " ".join(found.malformed.values())
        return json.dumps(found.value, ensure_ascii=False)

    def has_inputs(self, name: str) -> bool:
        """Return True if the inputs were submitted, and no JSON text for all of them."""
        return self.posted is not None and name not in self.posted

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Return the parts of the form of each trigger."""
        context = super().get_context(name, value, attrs)
        stored = _parse(value)
        types = [one for one in get_trigger_types().values() if one.schema["properties"]]
        whole = {"anyOf": [one.schema for one in types]}
        offers = find_offers(self.workflow, whole, self.user)
        is_text = stored is None and (self.posted is None or name in self.posted)
        context |= {
            "text": value if is_text else None,
            "suggestions": offers.suggestions,
            "settings": [
                {"name": one.name, "parts": self._build_parts(name, one, offers, stored or {})}
                for one in types
            ],
        }
        return context

    def _build_parts(
        self, name: str, trigger_type: TriggerType, offers: Offers, stored: Mapping[str, Any]
    ) -> Any:
        form = _form(name, trigger_type, offers)
        chosen = (self.posted or {}).get(TRIGGER, self.workflow.trigger) == trigger_type.name
        if self.has_inputs(name):
            return form.rebuild_parts(self.posted or {}, self.problems if chosen else ())
        return form.build_parts(stored if chosen else {})


def _form(name: str, trigger_type: TriggerType, offers: Offers = NO_OFFERS) -> DataForm:
    return DataForm(trigger_type.schema, offers, f"{name}-{trigger_type.name}")


def _rendered(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values with which the page was rendered."""
    found = _parse(data.get(READ))
    return found if found and isinstance(found.get(TRIGGER_DATA), dict) else {}


def _parse(text: Any) -> dict[str, Any] | None:
    """Return the object of a JSON text, or None."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, TypeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class WorkflowForm(RowForm, GuardedForm):
    """The settings of a workflow."""

    user: ClassVar[Any] = None
    """The user, whose permissions decide which names are offered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if TRIGGER_DATA in self.fields:
            field = self.fields[TRIGGER_DATA]
            field.widget, field.help_text = TriggerSettings(self.instance, self.user), ""
