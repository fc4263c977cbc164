"""Places that a change must not forget: each test names the missing one.

``docs/explanation/changing.md`` lists the places by kind of change.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils.functional import Promise
from knox.models import AuthToken

from executions import services
from executions.api.execution_filters import ExecutionFilter
from executions.models import (
    BulkKind,
    BulkOperation,
    Execution,
    Finding,
    InventoryModel,
    OutgoingDelivery,
    Secret,
    Subscription,
)
from executions.services import bulk
from executions.webhooks import subscriptions
from tests.bypass import CASES
from tests.codes import below, every_code
from tests.executions.receivers import create_webhook
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    InventoryModelFactory,
    RecordTypeFactory,
    UserFactory,
    WorkflowFactory,
    form,
    line,
    save_line,
)
from tests.openapi import schema
from tests.people import create_samples
from tests.workflows.admin.staff import statements
from workflows import editing
from workflows.graph import node_types
from workflows.models import (
    AuditEntry,
    FindingType,
    PendingChange,
    RecordType,
    SavedFilter,
    Version,
    Workflow,
)
from workflows.refusals import Refusal
from workflows_project.auth import login_limits
from workflows_project.models import FailedLogins

STATIC = Path(project.BASE_DIR) / "workflows" / "static" / "workflows"


def test_every_node_type_has_an_icon() -> None:
    icons = re.findall(r'<symbol id="(\w+)"', (STATIC / "icons.svg").read_text())
    assert set(node_types()) - set(icons) == set(), f"Add a symbol to {STATIC / 'icons.svg'}."


def test_every_node_type_has_a_test() -> None:
    """A test has a node of this type."""
    texts = [path.read_text() for path in Path(__file__).parent.rglob("*.py")]
    untested = {
        name
        for name in node_types()
        if not any(f'"type": "{name}"' in text or f'enter("{name}"' in text for text in texts)
    }
    assert untested == set()


OTHER_REFUSALS = {
    # Operations on executions, and what they are given
    *("invalid_form", "not_submittable", "not_awaited", "not_startable", "entity_type_mismatch"),
    *("not_open", "not_assigned", "not_a_root", "no_incident", "no_such_handle"),
    *("too_many_selected", "invalid_draft", "reason_required", "not_skippable", "not_postponable"),
    *("not_in_future", "not_reassignable", "claimed", "not_claimed", "not_claimable"),
    *("invalid_comment", "not_author", "excluded_voter", "move_refused", "several_workflows"),
    *("invalid_upload", "file_too_large", "file_missing", "storage_unavailable"),
    # Values that are not valid in themselves
    *("invalid_fields", "invalid_value"),
    *("invalid_webhook", "webhook_url_refused", "webhook_disabled"),
    *("no_secrets_key", "invalid_graph", "invalid_state", "invalid_trigger", "no_such_type"),
    *("same_type", "name_in_use", "name_unseen", "unknown_secret", "incompatible_entity_types"),
    # The state on which an edit is based
    *("stale", "stale_version", "stale_token", "invalid_token", "settled", "draining", "gone"),
    # Rows with tests of their own, and errors of the database
    *("in_use", "written_once", "log_kept", "use_the_service", "not_unique", "database_refused"),
}
"""The codes of refusals that do not protect the rows of a live execution from an edit."""


def test_every_refusal_is_tried_through_all_interfaces() -> None:
    tried: set[type[Refusal]] = set()
    for case in CASES:
        refusals = case.refusal if isinstance(case.refusal, tuple) else (case.refusal,)
        tried.update(refusals)
    every_code()
    missing = {
        refusal.code
        for refusal in below(Refusal)
        if refusal not in tried and refusal.code not in OTHER_REFUSALS
    }
    assert missing == set(), "Add a case to tests/bypass, or the code to OTHER_REFUSALS."


def test_every_refusal_has_a_test() -> None:
    """A test names its code or class, or quotes its message."""
    tests = Path(__file__).parent
    texts = [path.read_text() for path in tests.rglob("*.py") if path != Path(__file__)]
    every_code()
    untested = {
        refusal.code
        for refusal in below(Refusal)
        if not any(
            f'"{refusal.code}"' in text
            or str(refusal.message).rstrip(".") in text
            or re.search(rf"\b{refusal.__name__}\b", text)
            for text in texts
        )
    }
    assert untested == set()


def start_execution() -> Execution:
    workflow = WorkflowFactory()
    save_line(workflow, form())
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    return services.start(workflow, finding, by=UserFactory())


def put_change_on_hold() -> None:
    execution = start_execution()
    editing.change_entity_context(
        [execution.workflow],
        entity_name_type=FindingTypeFactory(),
        when="drained",
        by=UserFactory(),
    )


def save_version() -> None:
    editing.save_graph(WorkflowFactory(), line(form()), based_on=1, by=UserFactory())


def new_webhook(**fields: Any) -> Subscription:
    url = f"https://hooks.example/{Subscription.objects.count()}"
    return create_webhook(url, **fields)[0]


def create_failed_logins() -> None:
    login_limits.count_failure(f"account{FailedLogins.objects.count()}", None)


def create_saved_filter() -> None:
    SavedFilter.objects.create(
        user=UserFactory(),
        list="executions.execution",
        name=f"Filter {SavedFilter.objects.count()}",
        shared=True,
    )


ROWS: dict[Any, Callable[[], object]] = {
    AuditEntry: WorkflowFactory,
    AuthToken: lambda: AuthToken.objects.create(user=UserFactory()),
    BulkOperation: lambda: bulk.create_operation(
        BulkKind.CANCEL, Execution.objects.all(), by=UserFactory()
    ),
    Execution: start_execution,
    FailedLogins: create_failed_logins,
    Finding: lambda: FindingFactory(inventory_model=InventoryModelFactory()),
    FindingType: lambda: WorkflowFactory(entity_name_type=FindingTypeFactory()),
    Group: lambda: Group.objects.create(name=f"Group {Group.objects.count()}"),
    InventoryModel: lambda: InventoryModelFactory(primary_record_type=RecordTypeFactory()),
    OutgoingDelivery: lambda: subscriptions.send_test_event(new_webhook()),
    PendingChange: put_change_on_hold,
    RecordType: RecordTypeFactory,
    SavedFilter: create_saved_filter,
    Secret: lambda: Secret.objects.create(name=f"key{Secret.objects.count()}"),
    Subscription: lambda: new_webhook(workflow=WorkflowFactory()),
    User: UserFactory,
    Version: save_version,
    Workflow: start_execution,
}
"""For each list of the admin, a function that adds a row with related rows of its own."""


def test_every_list_of_the_admin_has_a_function_that_adds_rows() -> None:
    assert set(admin.site._registry) == set(ROWS)


@pytest.mark.django_db
def test_functions_that_add_rows_name_an_account(settings: Any) -> None:
    """A column that reads an account takes no statement for a row without one."""
    create_samples(settings, is_staff=True)
    empty = []
    for model, add_row in ROWS.items():
        add_row()
        row = model._base_manager.order_by("-pk")[0]
        keys = [field for field in model._meta.concrete_fields if field.related_model is User]
        empty += [
            f"{model.__name__}.{key.name}" for key in keys if getattr(row, key.attname) is None
        ]
    assert empty == []


def columns_of_lists() -> list[tuple[str, Any]]:
    """Return the methods of our lists that are columns, each with the name of its list."""
    return [
        (f"{type(options).__name__}.{name}", getattr(options, name))
        for options in admin.site._registry.values()
        for name in map(str, options.list_display)
        if type(options).__module__.split(".")[0] in ("workflows", "executions")
        and hasattr(options, name)
    ]


def test_every_column_of_an_admin_list_has_a_translatable_heading() -> None:
    missing = [
        name
        for name, column in columns_of_lists()
        if not isinstance(getattr(column, "short_description", ""), Promise)
    ]
    assert missing == [], 'Add @admin.display(description=_("…")).'


@pytest.mark.django_db
def test_admin_list_takes_no_statement_per_row(settings: Any, subtests: pytest.Subtests) -> None:
    samples = create_samples(settings, is_staff=True)
    client = Client()
    client.force_login(samples.users["superuser"])
    for model, add_row in ROWS.items():
        options = model._meta
        url = reverse(f"admin:{options.app_label}_{options.model_name}_changelist")
        with subtests.test(model.__name__):
            for _ in range(2):
                add_row()
            few = statements(partial(client.get, url))
            for _ in range(6):
                add_row()
            # A second page may take one more, to count the rows.
            assert statements(partial(client.get, url)) <= few + 1, (
                "Add list_select_related or an annotation."
            )


def test_every_filter_of_executions_has_a_test() -> None:
    """A test requests a list with it; the tests of plans do not look at the rows."""
    tests = Path(__file__).parent
    files = [*(tests / "executions").rglob("*.py"), tests / "test_lists.py"]
    files.append(tests / "test_filter_operators.py")
    text = "".join(path.read_text() for path in files)
    untested = {
        name
        for name in ExecutionFilter.base_filters
        if not re.search(rf'\b{name}=|"{name}":', text)
    }
    assert untested == set(), "Add a test to tests/executions/api/."


def test_every_operation_of_the_api_has_a_description() -> None:
    missing = {
        operation["operationId"]
        for methods in schema()["paths"].values()
        for operation in methods.values()
        if not operation.get("description")
    }
    assert missing == set(), "Add descriptions to workflows_project/api/schema_descriptions.py."
