"""The ways in through the faces: the API, the admin, and lists that edit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from executions.models import Finding, InventoryModel
from tests.doors.house import House
from tests.doors.sites import EDITABLE
from tests.doors.ways import Behind, Edit, Way
from workflows.models import FindingType, RecordType, Workflow

ROUTES: dict[Any, str] = {
    Workflow: "workflows",
    FindingType: "finding-types",
    RecordType: "record-types",
    Finding: "findings",
    InventoryModel: "inventory-models",
}
NAMES: dict[Any, Mapping[str, str]] = {
    Workflow: {"primary_record_type": "primary_record_type_id"},
    InventoryModel: {"primary_record_type": "record_type"},
}
"""What the API calls a field, where that is not its name."""

ABSENT: dict[Any, set[str]] = {
    Finding: {"entity_name", "primary_record_type"},
    InventoryModel: {"entity_name", "entity_name_type"},
}
"""The fields that a face does not show at all."""


def _shown(edit: Edit) -> bool:
    return edit.model in ROUTES and not ABSENT.get(edit.model, set()) & set(edit.values)


def _body(edit: Edit) -> dict[str, Any]:
    names = NAMES.get(edit.model, {})
    return {
        names.get(name, name): getattr(value, "cuid", value) for name, value in edit.values.items()
    }


def _route(edit: Edit) -> str:
    return f"/api/v1/{ROUTES[edit.model]}/{edit.row.cuid}/"


def _patch(house: House, edit: Edit) -> Any:
    return house.api.patch(_route(edit), _body(edit))


def _put(house: House, edit: Edit) -> Any:
    url = _route(edit)
    return house.api.put(url, {**house.api.get(url).json(), **_body(edit)})


def _delete(house: House, edit: Edit) -> Any:
    return house.api.delete(_route(edit))


API_WRITES = [
    Way("patch", _patch, Behind.API, _shown),
    Way("put", _put, Behind.API, _shown),
]
API_DELETIONS = [Way("api_delete", _delete, Behind.API)]


def _page(edit: Edit, site: str = "admin", pk: bool = True) -> str:
    options = edit.model._meta
    start = f"/{site}/{options.app_label}/{options.model_name}/"
    return f"{start}{edit.row.pk}/" if pk else start


def _typed(row: Any, names: Any, prefix: str = "") -> dict[str, str]:
    """What stands in the inputs of a form for this row."""
    found = {}
    for name in names:
        value = getattr(row, row._meta.get_field(name).attname)
        if isinstance(value, dict):
            value = json.dumps(value)
        found[prefix + name] = "" if value is None else str(value)
    return found


OWN_FORMS: dict[Any, tuple[str, ...]] = {
    Workflow: (
        *("title", "description", "state", "trigger", "trigger_data"),
        *("entity_name", "entity_name_type", "primary_record_type"),
    ),
    Finding: ("title", "entity_name_type", "inventory_model", "fields"),
    InventoryModel: ("title", "primary_record_type", "fields"),
}


def _has_own_form(edit: Edit) -> bool:
    return set(edit.values) <= set(OWN_FORMS.get(edit.model, ()))


def _change_form(house: House, edit: Edit) -> Any:
    typed = _typed(edit.changed, OWN_FORMS[edit.model])
    return house.staff.post(f"{_page(edit)}change/", typed, follow=True)


def _is_editable(edit: Edit) -> bool:
    return bool(edit.values) and set(edit.values) <= set(EDITABLE.get(edit.model, ()))


def _stock_form(house: House, edit: Edit) -> Any:
    typed = _typed(edit.changed, EDITABLE[edit.model])
    return house.staff.post(f"{_page(edit, 'stock')}change/", typed, follow=True)


def _list(site: str) -> Callable[[House, Edit], Any]:
    def save_the_list(house: House, edit: Edit) -> Any:
        typed = _typed(edit.changed, EDITABLE[edit.model], "form-0-")
        numbers = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1"}
        sent = {**typed, **numbers, "form-0-id": str(edit.row.pk), "_save": "Save"}
        # One row on the page, as one form was sent.
        url = f"{_page(edit, site, pk=False)}?id={edit.row.pk}"
        return house.staff.post(url, sent, follow=True)

    return save_the_list


ADMIN_WRITES = [
    Way("change_form", _change_form, Behind.PAGE, _has_own_form),
    Way("stock_change_form", _stock_form, Behind.PAGE, _is_editable),
    Way("list_editable", _list("ours"), Behind.PAGE, _is_editable),
    Way("stock_list_editable", _list("stock"), Behind.PAGE, _is_editable),
]
STOCK_ADMIN = [way for way in ADMIN_WRITES if way.name != "change_form"]


def _delete_page(house: House, edit: Edit) -> Any:
    return house.staff.post(f"{_page(edit)}delete/", {"post": "yes"}, follow=True)


def action(name: str, **more: str) -> Callable[[House, Edit], Any]:
    """An action of the admin's list on this row."""

    def act(house: House, edit: Edit) -> Any:
        sent = {"action": name, "_selected_action": [edit.row.pk], **more}
        return house.staff.post(_page(edit, pk=False), sent, follow=True)

    return act


ADMIN_DELETIONS = [
    Way("delete_page", _delete_page, Behind.PAGE),
    Way("delete_selected", action("delete_selected", post="yes"), Behind.PAGE),
]


def _walled(page: str) -> Callable[[House, Edit], Any]:
    return lambda house, edit: house.staff.post(f"{_page(edit)}{page}/", {"post": "yes"})


WALLED = [
    Way("change_form", _walled("change"), Behind.WALL),
    Way("delete_page", _walled("delete"), Behind.WALL),
]
"""The admin of what is written once: nobody has the permission."""


def walled_api(route: Callable[[Edit], str]) -> list[Way]:
    """The methods that the API does not have for what is written once."""

    def way(method: str) -> Way:
        return Way(
            method,
            lambda house, edit: getattr(house.api, method)(f"/api/v1/{route(edit)}", {}),
            Behind.WALL,
        )

    return [way("put"), way("patch"), way("delete")]
