"""Users of each role, and one object of each type that they may act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from knox.models import AuthToken

from executions import services as running
from executions.models import (
    BulkKind,
    BulkOperation,
    Comment,
    Execution,
    Finding,
    FormFile,
    InventoryModel,
    OutgoingDelivery,
    Secret,
    Subscription,
)
from executions.services import bulk
from executions.webhooks import subscriptions
from tests.executions.receivers import create_webhook
from tests.executions.test_decisions import approval_graph
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    InventoryModelFactory,
    RecordTypeFactory,
    UserFactory,
    WorkflowFactory,
    call,
    form,
    save_line,
    user_in,
)
from workflows import editing
from workflows.models import (
    AuditEntry,
    FindingType,
    PendingChange,
    RecordType,
    SavedFilter,
    Workflow,
)
from workflows_project.auth import login_limits
from workflows_project.auth.roles import ROLES
from workflows_project.models import FailedLogins

ANONYMOUS, NOBODY, SUPERUSER = "anonymous", "nobody", "superuser"
EVERYBODY = (ANONYMOUS, NOBODY, *ROLES, SUPERUSER)
"""The actors: anonymous, without a role, one of each role, and a superuser."""

READERS = {*ROLES, SUPERUSER}
ADMINISTRATORS = {"administrator", SUPERUSER}
PARTICIPANTS = {"participant", *ADMINISTRATORS}
DESIGNERS = {"designer", *ADMINISTRATORS}
OPERATORS = {"operator", *ADMINISTRATORS}
COMMENTERS = {*PARTICIPANTS, *OPERATORS}
KNOWN = {NOBODY, *READERS}
NONE: set[str] = set()


@dataclass
class Samples:
    """One object of each type, so that each action can be performed once."""

    kind: FindingType
    unused_kind: FindingType
    unused_record_type: RecordType
    finding: Finding
    unused_finding: Finding
    unused_model: InventoryModel
    workflow: Workflow
    unused_workflow: Workflow
    at_a_form: Execution
    asleep: Execution
    in_an_incident: Execution
    at_a_vote: Execution
    comment: Comment
    file: FormFile
    pending: PendingChange
    entry: AuditEntry
    secret: Secret
    webhook: Subscription
    delivery: OutgoingDelivery
    saved: SavedFilter
    bulk: BulkOperation
    failed_logins: FailedLogins
    tokens: dict[str, AuthToken]
    users: dict[str, Any]


def create_samples(settings: Any, **fields: Any) -> Samples:
    """Create the objects; ``fields`` are the fields of the actors."""
    settings.HTTP_REQUEST_HOSTS = ["hooks.example"]
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    users = {role: user_in(role, username=role, **fields) for role in ROLES}
    users[NOBODY] = UserFactory(username=NOBODY, **fields)
    users[SUPERUSER] = get_user_model().objects.create_superuser(SUPERUSER)
    kind = FindingTypeFactory()

    def on(*nodes: dict[str, Any]) -> Workflow:
        workflow = WorkflowFactory(entity_name_type=kind)
        if nodes:
            save_line(workflow, *nodes)
        return workflow

    finding = FindingFactory(entity_name_type=kind)
    workflow, voting = on(form()), on()
    editing.save_graph(voting, approval_graph(users=sorted(users)), based_on=1)
    broken = running.start(on(call(on(form()))), finding)
    running.cancel(broken.children.get())
    draining = WorkflowFactory(entity_name_type=kind)
    save_line(draining, form())
    running.start(draining, finding)
    unused_kind = FindingTypeFactory()
    pending = editing.change_entity_context(
        [draining], entity_name_type=FindingTypeFactory(), when="drained"
    ).pending
    assert pending is not None
    secret = Secret.objects.create(name="key")
    webhook = create_webhook("https://hooks.example/events")[0]
    login_limits.count_failure("guest", None)
    entry = AuditEntry.objects.first()
    assert entry is not None
    at_a_form = running.start(workflow, finding)
    return Samples(
        kind=kind,
        unused_kind=unused_kind,
        unused_record_type=RecordTypeFactory(),
        finding=finding,
        unused_finding=FindingFactory(),
        unused_model=InventoryModelFactory(),
        workflow=workflow,
        unused_workflow=WorkflowFactory(),
        at_a_form=at_a_form,
        asleep=running.start(
            on({"id": "nap", "type": "wait", "data": {"interval": "P1D"}}), finding
        ),
        in_an_incident=broken,
        at_a_vote=running.start(voting, finding),
        comment=running.comment(at_a_form, text="t", by=users[SUPERUSER]),
        file=create_file(at_a_form, users["participant"]),
        pending=pending,
        entry=entry,
        failed_logins=FailedLogins.objects.get(),
        secret=secret,
        webhook=webhook,
        delivery=subscriptions.send_test_event(webhook),
        bulk=bulk.create_operation(BulkKind.CANCEL, Execution.objects.all()),
        saved=SavedFilter.objects.create(
            user=users[SUPERUSER], list="executions.execution", name="Live", shared=True
        ),
        tokens={who: AuthToken.objects.create(user=user)[0] for who, user in users.items()},
        users=users,
    )


def create_file(execution: Execution, user: Any) -> FormFile:
    """Create a submitted file of an execution, with its content in the storage."""
    return FormFile.objects.create(
        execution=execution,
        step="s",
        field="report",
        name="report.pdf",
        size=1,
        sha256=sha256(b"x").hexdigest(),
        key=default_storage.save("sample", ContentFile(b"x")),
        uploaded_by=user,
        uploaded_at=timezone.now(),
        attached_at=timezone.now(),
    )


@contextmanager
def roll_back() -> Iterator[None]:
    """Roll back all changes of the block."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def views(patterns: Any = None, space: str = "") -> Iterator[tuple[str, str | None, Any]]:
    """Yield each view that has a URL, with its namespace and its name."""
    for row in get_resolver(settings.ROOT_URLCONF).url_patterns if patterns is None else patterns:
        if isinstance(row, URLResolver):
            yield from views(row.url_patterns, row.namespace or space)
        elif isinstance(row, URLPattern):
            yield space, row.name, row.callback
