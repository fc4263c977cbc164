"""Processes with people from other engines, drawn again (see ``test_peer_models.py``)."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail

from executions import guards, services
from executions.models import Status
from executions.worker import queue
from tests.executions.engine.gateway_scripts import source_of
from tests.executions.engine.peer_models import FIRST, Peers, calling, setting, when
from tests.executions.engine.server import Server
from tests.factories import accounts, voter

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

MAIL = {"type": "notify", "data": {"to": ["risk@example.com"], "subject": "Done"}}


@pytest.fixture
def peers() -> Peers:
    return Peers()


def deciding(*handles: str, **data: Any) -> dict[str, Any]:
    """Return a form with a button for each handle."""
    actions = [{"handle": handle, "label": handle.capitalize()} for handle in handles]
    return {"type": "user_action", "data": {"fields": [], "actions": actions, **data}}


@pytest.mark.parametrize(("answer", "mails"), [(True, 1), (False, 0)])
def test_message_that_is_sent_when_it_is_approved(peers: Peers, answer: bool, mails: int) -> None:
    graph = source_of("start>text>approve>ask ask.yes>send>end ask.default>end", send=MAIL)
    run = peers.start(graph).submit("text").submit("approve", answer=answer)
    queue.serve_due()
    assert (run.status, len(mail.outbox)) == (Status.COMPLETED, mails)


SHIPMENT = (
    "start>fork_1>carrier|package carrier>normal normal.yes>insurance>fork_2 normal.default>quotes "
    "fork_2>needed|label needed.yes>extra>join_2 needed.default>join_2 label>join_2 join_2>join_1 "
    "quotes>join_1 package>join_1 join_1>move>end"
)


def test_shipment_with_insurance_beside_packaging(peers: Peers) -> None:
    graph = source_of(
        SHIPMENT,
        normal=when("answer", "eq", True),
        needed=when("answer", "eq", True),
    )
    insured = peers.start(graph)
    assert insured.offered == "carrier package"
    assert insured.submit("carrier", answer=True).offered == "insurance package"
    assert insured.submit("insurance", answer=True).offered == "extra label package"
    assert insured.submit("label", "package", "extra").offered == "move"
    quoted = peers.start(graph).submit("carrier").submit("package")
    assert quoted.offered == "quotes"
    assert quoted.submit("quotes", "move").status == Status.COMPLETED


def test_blood_test_with_optional_analyses(peers: Peers) -> None:
    """Differs: there is one start; its fields say which sample it was."""
    graph = source_of(
        "start>analysis>fork>hormones|tumor|join hormones.yes>hormone_tests>join "
        "hormones.default>join tumor.yes>tumor_test>join tumor.default>join join>report>end",
        hormones=when("hormones", "eq", True),
        tumor=when("tumor", "eq", True),
    )
    both = peers.start(graph, hormones=True, tumor=True).submit("analysis")
    assert both.offered == "hormone_tests tumor_test"
    assert both.submit("tumor_test", "hormone_tests").offered == "report"
    assert peers.start(graph).submit("analysis").offered == "report"


@pytest.mark.parametrize("number", [0, 1, 3])
def test_decision_of_each_of_a_number_of_people(peers: Peers, number: int) -> None:
    """Differs: the start has a list of people or questions, not only their number."""
    callee = peers.save(source_of("start>decide>end"))
    loop = {"items": {"field": "people"}, "as": "person"}
    call = calling(callee, for_each=loop)
    people = [f"person {place}" for place in range(number)]
    run = peers.start(source_of("start>call>last>end", call=call), people=people)
    assert run.offered == " ".join(["decide"] * number or ["last"])
    run.submit(*["decide"] * number)
    assert run.offered == "last"


def test_item_that_is_added_to_a_running_call_has_no_graph(peers: Peers) -> None:
    """The items are fixed when the step is entered; a loop that forks takes further ones."""
    callee = peers.save(source_of("start>pack>end"))
    loop = {"items": {"field": "items"}, "as": "item"}
    run = peers.start(
        source_of("start>call>last>end", call=calling(callee, for_each=loop)), items=["a"]
    )
    run.root.entity.refresh_from_db()
    run.root.entity.fields = {"items": ["a", "b"]}
    run.root.entity.save()
    assert run.submit("pack").offered == "last"
    adding = source_of("start>more>ask ask.yes>fork>pack>end fork>more ask.default>end")
    other = peers.start(adding).submit("more", answer=True).submit("more", answer=True)
    assert other.offered == "more pack pack"


def test_first_of_two_tasks_cancels_the_other(peers: Peers) -> None:
    run = peers.start(source_of("start>fork>case_1|case_2>join>end", join=FIRST))
    assert run.submit("case_2").status == Status.COMPLETED
    assert run.offered == ""


def test_subprocess_for_each_item(peers: Peers) -> None:
    callee = peers.save(source_of("start>check>end"))
    loop = {"items": ["a", "b"], "as": "item"}
    run = peers.start(source_of("start>call>last>end", call=calling(callee, for_each=loop)))
    assert run.submit("check").offered == "check"
    assert run.submit("check").offered == "last"


def test_invoice_with_clarification(peers: Peers) -> None:
    """Differs: the approver is one of a group that a condition chooses, not a name in a field."""
    accounts(groups=["accounting", "management"])

    def approving(group: str) -> dict[str, Any]:
        return deciding("approve", "clarify", assignees={"groups": [group]}, deadline="P7D")

    graph = source_of(
        "start>dear dear.yes>managers dear.default>accountants managers.approve>prepare "
        "accountants.approve>prepare managers.clarify>review accountants.clarify>review "
        "review.again>dear review.stop>end_1 prepare>archive>end_2",
        dear=when("amount", "gt", 1000),
        managers=approving("management"),
        accountants=approving("accounting"),
        review=deciding("again", "stop"),
        archive=setting(archived=True),
    )
    run = peers.start(graph, amount=5000)
    assert run.offered == "managers"
    assert run.submit("managers.clarify").offered == "review"
    assert run.submit("review.again").offered == "managers"
    assert run.submit("managers.approve").offered == "prepare"
    assert run.submit("prepare").status == Status.COMPLETED
    assert run.fields["archived"] is True
    stopped = peers.start(graph).submit("accountants.clarify").submit("review.stop")
    assert (stopped.status, stopped.fields) == (Status.COMPLETED, {})


def test_order_that_is_approved_or_rejected_by_mail(peers: Peers) -> None:
    graph = source_of(
        "start>persist>approve approve.yes>prepare>end_1 approve.no>reject>end_2",
        persist=setting(stored=True),
        approve=deciding("yes", "no"),
        reject=MAIL,
    )
    assert peers.start(graph).submit("approve.yes").offered == "prepare"
    rejected = peers.start(graph).submit("approve.no")
    queue.serve_due()
    assert (rejected.status, len(mail.outbox)) == (Status.COMPLETED, 1)


def test_announcement_that_is_corrected_until_it_is_approved(peers: Peers) -> None:
    """Differs: the requester and the editor are not found by data."""
    publication = peers.save(
        source_of(
            "start>fork>web|if_a|if_b web>join if_a.yes>a>join if_a.default>join if_b.yes>b>join "
            "if_b.default>join join>end",
            web=setting(web=True),
            if_a=when("$a", "eq", True),
            a=setting(posted_a=True),
            if_b=when("$b", "eq", True),
            b=setting(posted_b=True),
        )
    )
    call = calling(publication, input={name: {"field": name} for name in "ab"})
    run = peers.start(
        source_of(
            "start>edit>review review.ok>publish>call>send>end review.not_ok>correct>review",
            review=deciding("ok", "not_ok"),
            call=call,
            send=MAIL,
        ),
        a=True,
    )
    run.submit("edit", "review.not_ok", "correct", "review.ok", "publish")
    queue.serve_due()
    assert run.status == Status.COMPLETED
    assert run.fields == {"answer": False, "a": True, "web": True, "posted_a": True}


def test_service_that_answers_later(peers: Peers, server: Server, secret: str) -> None:
    """The request returns at once; its answer comes to a webhook with a deadline."""
    graph = source_of(
        "start>send>answer>end answer.timeout>late>end",
        send={"type": "http_request", "data": {"method": "POST", "url": server.url()}},
        answer={"type": "webhook", "data": {"secret": "HOOK", "deadline": "P1D"}},
    )
    run = peers.start(graph)
    queue.serve_due()
    assert [step.node_id for step in run.open_steps] == ["answer"]
    assert run.pass_time("answer").offered == "late"


def test_four_eyes_after_a_form(peers: Peers) -> None:
    ada, bob = voter("ada"), voter("bob")
    approval = {"users": ["ada", "bob"], "exclude": ["submitter"]}
    run = peers.start(
        source_of(
            "start>claim>approve approve.approved>end_1 approve.rejected>end_2",
            approve={"type": "approval", "data": approval},
        )
    )
    services.submit(run.root, node="claim", data={"answer": True}, by=ada)
    with pytest.raises(guards.ExcludedVoter):
        services.vote(run.root, approves=True, by=ada)
    services.vote(run.root, approves=True, by=bob)
    assert run.status == Status.COMPLETED
