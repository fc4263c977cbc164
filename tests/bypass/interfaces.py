"""The paths through the API and the admin, including editable lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from executions.models import Finding, InventoryModel
from tests.bypass.edit_paths import Defense, Edit, EditPath
from tests.bypass.live_data import LiveData
from tests.bypass.sites import EDITABLE
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
"""The names of fields in the API, if they differ."""

ABSENT: dict[Any, set[str]] = {
    Finding: {"entity_name", "primary_record_type"},
    InventoryModel: {"entity_name", "entity_name_type"},
}
"""The fields that the API of a proxy does not have."""


def _has_api_field(edit: Edit) -> bool:
    return edit.model in ROUTES and not ABSENT.get(edit.model, set()) & set(edit.values)


def _body(edit: Edit) -> dict[str, Any]:
    names = NAMES.get(edit.model, {})
    return {
        names.get(name, name): getattr(value, "cuid", value) for name, value in edit.values.items()
    }


def _route(edit: Edit) -> str:
    return f"/api/v1/{ROUTES[edit.model]}/{edit.row.cuid}/"


def _patch(data: LiveData, edit: Edit) -> Any:
    return data.api.patch(_route(edit), _body(edit))


def _put(data: LiveData, edit: Edit) -> Any:
    url = _route(edit)
    return data.api.put(url, {**data.api.get(url).json(), **_body(edit)})


def _delete(data: LiveData, edit: Edit) -> Any:
    return data.api.delete(_route(edit))


API_WRITES = [
    EditPath("patch", _patch, Defense.API, _has_api_field),
    EditPath("put", _put, Defense.API, _has_api_field),
]
API_DELETIONS = [EditPath("api_delete", _delete, Defense.API)]


def _page(edit: Edit, site: str = "admin", pk: bool = True) -> str:
    options = edit.model._meta
    start = f"/{site}/{options.app_label}/{options.model_name}/"
    return f"{start}{edit.row.pk}/" if pk else start


def _typed(row: Any, names: Any, prefix: str = "") -> dict[str, str]:
    """Return the form data for this row."""
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


def _change_form(data: LiveData, edit: Edit) -> Any:
    typed = _typed(edit.changed, OWN_FORMS[edit.model])
    return data.staff.post(f"{_page(edit)}change/", typed, follow=True)


def _is_editable(edit: Edit) -> bool:
    return bool(edit.values) and set(edit.values) <= set(EDITABLE.get(edit.model, ()))


def _stock_form(data: LiveData, edit: Edit) -> Any:
    typed = _typed(edit.changed, EDITABLE[edit.model])
    return data.staff.post(f"{_page(edit, 'stock')}change/", typed, follow=True)


def _list(site: str) -> Callable[[LiveData, Edit], Any]:
    def save_the_list(data: LiveData, edit: Edit) -> Any:
        typed = _typed(edit.changed, EDITABLE[edit.model], "form-0-")
        numbers = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1"}
        sent = {**typed, **numbers, "form-0-id": str(edit.row.pk), "_save": "Save"}
        # The list shows one row, because one form is sent.
        url = f"{_page(edit, site, pk=False)}?id={edit.row.pk}"
        return data.staff.post(url, sent, follow=True)

    return save_the_list


ADMIN_WRITES = [
    EditPath("change_form", _change_form, Defense.PAGE, _has_own_form),
    EditPath("stock_change_form", _stock_form, Defense.PAGE, _is_editable),
    EditPath("list_editable", _list("product"), Defense.PAGE, _is_editable),
    EditPath("stock_list_editable", _list("stock"), Defense.PAGE, _is_editable),
]
STOCK_ADMIN = [path for path in ADMIN_WRITES if path.name != "change_form"]


def _delete_page(data: LiveData, edit: Edit) -> Any:
    return data.staff.post(f"{_page(edit)}delete/", {"post": "yes"}, follow=True)


def action(name: str, **more: str) -> Callable[[LiveData, Edit], Any]:
    """Return a function that runs an action of the admin's list on the row."""

    def act(data: LiveData, edit: Edit) -> Any:
        sent = {"action": name, "_selected_action": [edit.row.pk], **more}
        return data.staff.post(_page(edit, pk=False), sent, follow=True)

    return act


ADMIN_DELETIONS = [
    EditPath("delete_page", _delete_page, Defense.PAGE),
    EditPath("delete_selected", action("delete_selected", post="yes"), Defense.PAGE),
]


def _closed_page(page: str) -> Callable[[LiveData, Edit], Any]:
    return lambda data, edit: data.staff.post(f"{_page(edit)}{page}/", {"post": "yes"})


CLOSED_PATHS = [
    EditPath("change_form", _closed_page("change"), Defense.NO_ACCESS),
    EditPath("delete_page", _closed_page("delete"), Defense.NO_ACCESS),
]
"""The admin pages of write-once rows, for which nobody has the permission."""


def closed_api_paths(route: Callable[[Edit], str]) -> list[EditPath]:
    """Return the methods that the API does not allow for write-once rows."""

    def path(method: str) -> EditPath:
        return EditPath(
            method,
            lambda data, edit: getattr(data.api, method)(f"/api/v1/{route(edit)}", {}),
            Defense.NO_ACCESS,
        )

    return [path("put"), path("patch"), path("delete")]
