"""Open steps that nobody can do are flagged as unassigned."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client as Browser
from django.urls import reverse

from executions import services
from tests.executions.assignees import (
    create_member,
    is_flagged,
    start,
    start_approval,
    start_unassigned,
    start_with_assignees,
)
from tests.factories import (
    WorkflowFactory,
    form,
    save_line,
    user_in,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("invariants"),
    pytest.mark.both_databases,
]


class TestUnassigned:
    @pytest.mark.parametrize(
        "leave",
        [
            lambda ada: User.objects.filter(pk=ada.pk).update(is_active=False),
            lambda ada: ada.groups.clear(),
            lambda ada: Group.objects.get(name="risk").user_set.remove(ada),
            lambda ada: ada.user_permissions.clear(),
        ],
        ids=["deactivated", "leaves the group", "removed from the group", "loses the permission"],
    )
    def test_step_is_unassigned_when_last_candidate_leaves(self, leave: Any) -> None:
        ada, grace = create_member("ada", "risk"), create_member("grace", "risk")
        execution = start_with_assignees(groups=["risk"])
        leave(grace)
        assert not is_flagged(execution)
        leave(ada)
        assert is_flagged(execution)
        create_member("new", "risk")
        assert not is_flagged(execution)

    def test_permission_of_group_counts(self) -> None:
        ada = create_member("ada", "risk", may_submit=False)
        execution = start_with_assignees(groups=["risk"])
        assert is_flagged(execution)
        permission = Permission.objects.get(codename="submit_execution")
        ada.groups.get().permissions.add(permission)
        assert not is_flagged(execution)

    def test_approval_is_unassigned_when_too_few_can_vote(self) -> None:
        ada = create_member("ada", "board")
        create_member("bob", "board")
        execution = start_approval(groups=["board"], needed=2)
        assert not is_flagged(execution)
        User.objects.filter(pk=ada.pk).update(is_active=False)
        assert is_flagged(execution)
        create_member("eve")
        services.reassign(execution, users=["bob", "eve"], node="vote", why="Ada has left")
        assert not is_flagged(execution)

    def test_account_counts_once_when_assigned_twice(self) -> None:
        create_member("ada", "board", "risk")
        assigned_twice = start_approval(groups=["board"], users=["ada"], needed=2)
        in_two_groups = start_approval(groups=["board", "risk"], needed=2)
        assert is_flagged(assigned_twice) and is_flagged(in_two_groups)
        create_member("bob", "board")
        assert not is_flagged(assigned_twice) and not is_flagged(in_two_groups)

    def test_step_without_assignees_is_not_unassigned(self) -> None:
        workflow = WorkflowFactory()
        save_line(workflow, form())
        assert not is_flagged(start(workflow))

    def test_admin_home_page_and_list_show_unassigned_steps(self) -> None:
        execution = start_unassigned()
        browser = Browser()
        browser.force_login(user_in("operator", is_staff=True))
        assert f"/execution/{execution.pk}/change/#step-" in str(
            browser.get(reverse("admin:index")).content
        )
        listed = browser.get(
            reverse("admin:executions_execution_changelist"), {"unassigned": "yes"}
        )
        assert execution.cuid in listed.content.decode()
        page = browser.get(reverse("admin:executions_execution_change", args=[execution.pk]))
        assert "Unassigned" in page.content.decode()
