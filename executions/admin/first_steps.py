"""The checklist on the home page of an installation without executions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils.translation import gettext

from executions.admin.work_banner import current_status
from executions.engine.nodes.assignees import eligible_users
from executions.models import START, Execution
from workflows.admin.base.formatting import BACK, admin_url
from workflows.admin.examples import may_load_examples
from workflows.models import FindingType, RecordType, Version, Workflow


@dataclass(frozen=True, slots=True)
class FirstStep:
    """A step of the checklist.

    Attributes:
        url: where to take the step; empty if the user may not.
    """

    title: str
    note: str
    is_done: bool
    url: str = ""


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """The checklist, and the URL of the examples, which take the first three steps at once."""

    steps: list[FirstStep]
    examples_url: str


def first_steps(user: Any, home: str) -> FirstSteps | None:
    """Return the checklist, for users who set up an installation.

    Args:
        home: the path of the home page, to which the pages that add a record return.

    Returns:
        The checklist; None if an execution exists, or if the user sets up nothing.
    """
    if not (user.has_perm("workflows.add_workflow") or user.has_perm("auth.add_user")):
        return None
    if Execution.objects.exists():
        return None
    may, back = user.has_perm, {BACK: home}
    workflow = Workflow.objects.order_by("-pk").first()
    active = Workflow.objects.filter(state=Workflow.State.ACTIVE).order_by("pk").first()
    # A new workflow has a start and an end only.
    drafted = Version.objects.filter(
        source__nodes__2__isnull=False, workflow__state=Workflow.State.ACTIVE
    )
    steps = [
        FirstStep(
            gettext("Create a finding type"),
            gettext("Each workflow works on findings of one type, or on models of a record type."),
            FindingType.objects.exists() or RecordType.objects.exists(),
            admin_url(FindingType, "add", **back) if may("workflows.add_findingtype") else "",
        ),
        FirstStep(
            gettext("Create a workflow"),
            gettext("Choose its title, its type and what starts it."),
            workflow is not None,
            admin_url(Workflow, "add", **back) if may("workflows.add_workflow") else "",
        ),
        FirstStep(
            gettext("Edit its graph and activate it"),
            gettext("The graph says what happens in which order. Only active workflows start."),
            drafted.exists(),
            admin_url(Workflow, "edit", workflow.pk)
            if workflow and may("workflows.add_version")
            else "",
        ),
        FirstStep(
            gettext("Add people"),
            gettext("Create users and put them into groups, such as participant and operator."),
            eligible_users().filter(is_superuser=False).exists(),
            admin_url(get_user_model(), "add") if may("auth.add_user") else "",
        ),
        FirstStep(
            gettext("Run a worker"),
            gettext("Waits, deadlines, mails and calls need one: manage.py work"),
            not current_status().is_worker_missing,
            docs_page("how-to/workers"),
        ),
        FirstStep(
            gettext("Start the first execution"),
            gettext("Choose what the workflow works on. This checklist then disappears."),
            False,
            admin_url(Execution, "start", active.pk) if active and may(START) else "",
        ),
    ]
    url = admin_url(Workflow, "examples") if may_load_examples(user) else ""
    return FirstSteps(steps, url)


def docs_page(page: str) -> str:
    """Return the URL of a page of the documentation; empty without the setting ``DOCS_URL``."""
    return f"{settings.DOCS_URL.rstrip('/')}/{page}.html" if settings.DOCS_URL else ""
