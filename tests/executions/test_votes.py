"""Votes count accounts, and are recounted when the voters change."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command

from executions import services
from executions.models import PeopleChange, Status, Vote
from executions.task_queries import waiting_for
from tests.executions.assignees import (
    create_member,
    current_status,
    is_flagged,
    start_approval,
    vote,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("invariants"),
    pytest.mark.both_databases,
]


class TestVotes:
    def test_account_votes_once_when_renamed(self) -> None:
        ann = create_member("ann", "board")
        create_member("bob", "board")
        execution = start_approval(groups=["board"], needed=2)
        vote(execution, ann)
        ann.username = "ann.lee"
        ann.save()
        namesake = create_member("ann", "board")
        assert waiting_for(namesake).exists() and not waiting_for(ann).exists()
        assert vote(execution, ann).status == Status.WAITING
        assert Vote.objects.count() == 1
        assert vote(execution, namesake).status == Status.COMPLETED

    def test_namesake_of_deleted_voter_may_vote(self) -> None:
        ann = create_member("ann", "board")
        create_member("bob", "board")
        execution = start_approval(groups=["board"], needed=2)
        vote(execution, ann)
        ann.delete()
        namesake = create_member("ann", "board")
        assert waiting_for(namesake).exists()
        assert vote(execution, namesake).status == Status.WAITING

    @pytest.mark.parametrize(
        "leave",
        [
            lambda who: User.objects.filter(pk=who.pk).update(is_active=False),
            lambda who: who.groups.clear(),
            lambda who: who.delete(),
            lambda who: who.user_permissions.clear(),
        ],
        ids=["deactivated", "leaves the group", "deleted", "loses the permission"],
    )
    def test_votes_are_recounted_when_voter_leaves(self, leave: Any) -> None:
        ada, bob, eve = (create_member(name, "board") for name in ("ada", "bob", "eve"))
        every, two = (
            start_approval(groups=["board"], needed="all"),
            start_approval(groups=["board"], needed=2),
        )
        for who in (ada, bob):
            vote(every, who)
        vote(two, ada, approves=False)
        leave(eve)
        call_command("run_due", verbosity=0)
        assert (current_status(every), current_status(two)) == (Status.COMPLETED, Status.FAILED)
        assert not PeopleChange.objects.exists()

    def test_votes_are_recounted_when_permission_is_removed(self) -> None:
        ada, chief = create_member("ada"), User.objects.create_superuser("chief")
        eve = create_member("eve", "clerks", may_submit=False)
        clerks = eve.groups.get()
        clerks.permissions.add(Permission.objects.get(codename="submit_execution"))
        execution = start_approval(users=["ada", "eve", "chief"], needed="all")
        vote(execution, ada)
        User.objects.filter(pk=chief.pk).update(is_superuser=False)
        assert services.recount_votes() == 0
        clerks.permissions.clear()
        assert services.recount_votes() == 1
        assert current_status(execution) == Status.COMPLETED

    def test_approval_does_not_wait_for_members_without_permission(self) -> None:
        ada = create_member("ada", "board")
        create_member("observer", "board", may_submit=False)
        execution = start_approval(groups=["board"], needed="all")
        assert vote(execution, ada).status == Status.COMPLETED

    def test_approval_waits_when_all_voters_have_left(self) -> None:
        ada = create_member("ada", "board")
        execution = start_approval(groups=["board"], needed="all")
        eve = create_member("eve", "board")
        vote(execution, ada)
        User.objects.filter(pk__in=[ada.pk, eve.pk]).update(is_active=False)
        assert services.recount_votes() == 0
        assert current_status(execution) == Status.WAITING and is_flagged(execution)

    def test_recount_reads_no_votes_when_no_account_has_changed(
        self, django_assert_num_queries: Any
    ) -> None:
        create_member("ada", "board")
        start_approval(groups=["board"], needed="all")
        services.recount_votes()
        with django_assert_num_queries(1):
            services.recount_votes()
