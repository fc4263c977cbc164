"""Models of other engines, drawn again: each offers the same forms in the same order.

``docs/explanation/peer-models.md`` lists them, and says which differ. ``test_gateway_models.py``
has the models of parallel and inclusive gateways.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import Client

from executions.models import Execution, Status
from executions.webhooks.incoming import signature
from tests.executions.engine.gateway_scripts import source_of
from tests.executions.engine.peer_models import (
    FIRST,
    TERMINATE,
    Peers,
    Run,
    calling,
    setting,
    waiting,
    when,
)
from tests.factories import accounts

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

MESSAGE = {"type": "webhook", "data": {"secret": "HOOK", "save_to": "message"}}


@pytest.fixture
def peers() -> Peers:
    return Peers()


def send(run: Run, node: str, secret: str) -> None:
    """Send a message to a webhook step."""
    cuid = next(step.cuid for step in run.open_steps if step.node_id == node)
    at = str(int(time.time()))
    signed = signature(secret, cuid, at, b'"hello"')
    headers = {"X-Holdfast-Timestamp": at, "X-Holdfast-Signature": signed}
    answer = Client().post(f"/hooks/{cuid}/", b'"hello"', "application/json", headers=headers)
    assert answer.status_code == 200


# Approvals and subprocesses


def test_approvals_of_which_the_first_wins_then_parallel_ones(peers: Peers) -> None:
    first = peers.save(
        source_of(
            "start>fork>supervisor|manager supervisor>end_1 manager>end_2",
            end_1=TERMINATE,
            end_2=TERMINATE,
        )
    )
    several = peers.save(source_of("start>fork>operator|director operator>chief>end director>end"))
    run = peers.start(
        source_of(
            "start>first>won>fork>one|two>join>both>several>done>end",
            first=calling(first),
            several=calling(several),
        )
    )
    assert run.offered == "manager supervisor"
    assert run.submit("manager").offered == "won"
    assert run.submit("won").offered == "one two"
    assert run.submit("two").offered == "one"
    assert run.submit("one", "both").offered == "director operator"
    assert run.submit("director", "operator").offered == "chief"
    assert run.submit("chief").offered == "done"
    assert run.submit("done").status == Status.COMPLETED


def test_nested_subprocesses(peers: Peers) -> None:
    third = peers.save(source_of("start>three>end"))
    second = peers.save(source_of("start>two>call>end", call=calling(third)))
    run = peers.start(source_of("start>one>call>end", call=calling(second)))
    for name in ("one", "two", "three"):
        assert run.offered == name
        run.submit(name)
    assert run.status == Status.COMPLETED


def test_data_passed_to_a_subprocess_and_back(peers: Peers) -> None:
    callee = peers.save(
        source_of("start>double>end", double=setting(_out={"add": [{"variable": "x"}, 1]}))
    )
    call = calling(callee, input={"x": {"variable": "x"}}, output={"y": "out"})
    run = peers.start(source_of("start>pre>call>a>end", pre=setting(_x=2), call=call))
    assert run.root.variables == {"x": 2, "y": 3}


@pytest.mark.parametrize(
    ("quantity", "offered"), [(-1, "too_few"), (0, "nothing"), (3, "print"), (None, "cancelled")]
)
def test_transaction_with_errors_and_a_cancel_event(
    peers: Peers, quantity: int | None, offered: str
) -> None:
    def fail(message: str) -> dict[str, Any]:
        return {"type": "fail", "data": {"message": message}}

    collect = peers.save(
        source_of(
            "start>is_given is_given.yes>cancel is_given.default>below below.yes>few "
            "below.default>zero zero.yes>none zero.default>end",
            is_given=when("quantity", "eq", None),
            below=when("quantity", "lt", 0),
            zero=when("quantity", "eq", 0),
            cancel=fail("Cancelled."),
            few=fail("Too few."),
            none=fail("None."),
        )
    )
    run = peers.start(
        source_of(
            "start>call>print>end call.failed>cause>is_few is_few.yes>too_few>end "
            "is_few.default>is_none is_none.yes>nothing>end is_none.default>cancelled>end",
            call=calling(collect),
            cause=setting(_cause={"text": "{{$error}}"}),
            is_few=when("$cause", "contains", "Too few."),
            is_none=when("$cause", "contains", "None."),
        ),
        quantity=quantity,
    )
    assert run.offered == offered


def test_escalation_of_a_subprocess_ends_it(peers: Peers) -> None:
    """Only the interrupting one: the child fails, and the caller leaves by ``failed``."""
    escalate = {"type": "fail", "data": {"message": "Escalated."}}
    callee = peers.save(
        source_of(
            "start>ask ask.yes>escalate ask.default>work>end",
            escalate=escalate,
        )
    )
    graph = source_of("start>call>normal>end call.failed>escalated>end", call=calling(callee))
    assert peers.start(graph, answer=True).offered == "escalated"
    assert peers.start(graph).offered == "work"


# Timers


def test_deadline_of_a_subprocess_that_asks_again_and_again(peers: Peers) -> None:
    there_yet = peers.save(source_of("start>question>ask ask.yes>end ask.default>question"))
    graph = source_of(
        "start>ready>drive>stop>end drive.timeout>fed_up>stop",
        drive=calling(there_yet, deadline="PT5H"),
    )
    run = peers.start(graph).submit("ready")
    for _ in range(3):
        assert run.offered == "question"
        run.submit("question")
    assert run.pass_time("drive").offered == "fed_up"
    assert run.submit("fed_up").offered == "stop"
    arrived = peers.start(graph).submit("ready").submit("question", answer=True)
    assert arrived.offered == "stop"


def beside(peers: Peers, timer: str, **own: dict[str, Any]) -> Run:
    """Start a form, and beside it what ``timer`` draws; the end of the form ends both."""
    work = source_of(f"start>fork>say>done {timer}", done=TERMINATE, sleep=waiting("P1D"), **own)
    return peers.start(source_of("start>call>after>end", call=calling(peers.save(work))))


def test_timer_that_does_not_interrupt_its_task(peers: Peers) -> None:
    run = beside(peers, "fork>sleep>called>end", called=setting(timer_called=True))
    assert run.offered == "say"
    assert run.pass_time("sleep").offered == "say"
    assert run.fields["timer_called"] is True
    assert run.submit("say").offered == "after"
    assert beside(peers, "fork>sleep>end").submit("say").offered == "after"


def test_timer_that_repeats_beside_its_task(peers: Peers) -> None:
    more = {"add": [{"variable": "cups"}, 1]}
    run = beside(
        peers,
        "fork>first>sleep>refill>enough enough.yes>end enough.default>sleep",
        first=setting(_cups=0),
        refill=setting(_cups=more, cups=more),
        enough=when("$cups", "gte", 3),
    )
    for number in (1, 2):
        run.pass_time("sleep")
        assert run.fields["cups"] == number
    assert run.submit("say").offered == "after"
    assert len(run.open_steps) == 1


def test_wait_until_a_computed_date(peers: Peers) -> None:
    run = peers.start(
        source_of(
            "start>later>sleep>a>end",
            later=setting(due={"add": [{"now": True}, "P1D"]}),
            sleep={"type": "wait", "data": {"at_field": "due"}},
        )
    )
    assert run.offered == ""
    assert run.pass_time("sleep").offered == "a"


def test_form_that_opens_late_and_must_be_done_too(peers: Peers) -> None:
    """Differs: the join waits for the timer, also if the work is done before."""
    run = peers.start(
        source_of(
            "start>fork>work>done>join>end fork>sleep>is_done is_done.yes>join "
            "is_done.default>reason>join",
            sleep=waiting("P1D"),
            done=setting(_done=True),
            is_done=when("$done", "eq", True),
        )
    )
    assert run.pass_time("sleep").offered == "reason work"
    assert run.submit("work").offered == "reason"
    assert run.submit("reason").status == Status.COMPLETED


# Messages, signals and conditions


def test_first_of_two_messages_and_a_timer(peers: Peers, secret: str) -> None:
    graph = source_of(
        "start>fork>one|two|sleep one>was_one>join two>was_two>join sleep>was_late>join "
        "join>is_one is_one.yes>a>end is_one.default>is_two is_two.yes>b>end is_two.default>c>end",
        one=MESSAGE,
        two=MESSAGE,
        sleep=waiting("P1D"),
        was_one=setting(_event="one"),
        was_two=setting(_event="two"),
        was_late=setting(_event="late"),
        join=FIRST,
        is_one=when("$event", "eq", "one"),
        is_two=when("$event", "eq", "two"),
    )
    by_message, by_timer = peers.start(graph), peers.start(graph)
    send(by_message, "two", secret)
    assert by_message.offered == "b"
    assert by_timer.pass_time("sleep").offered == "c"
    assert len(by_timer.open_steps) == 1


def test_message_that_interrupts_a_form(peers: Peers, secret: str) -> None:
    graph = source_of(
        "start>fork>long>join fork>message>was>join join>is_message is_message.yes>acknowledge>end "
        "is_message.default>end",
        message=MESSAGE,
        was=setting(_interrupted=True),
        join=FIRST,
        is_message=when("$interrupted", "eq", True),
    )
    interrupted = peers.start(graph)
    send(interrupted, "message", secret)
    assert interrupted.offered == "acknowledge"
    assert peers.start(graph).submit("long").status == Status.COMPLETED


def test_message_that_opens_another_form(peers: Peers, secret: str) -> None:
    """Differs: an open webhook does not end with the work, so an operator skips it."""
    graph = source_of("start>fork>work>end fork>message>acknowledge>end", message=MESSAGE)
    run = peers.start(graph)
    send(run, "message", secret)
    assert run.offered == "acknowledge work"
    other = peers.start(graph).submit("work")
    assert other.status == Status.WAITING
    assert other.skip("message").offered == "acknowledge"


def test_message_in_a_loop(peers: Peers, secret: str) -> None:
    graph = source_of("start>message>manual>ask ask.yes>message ask.default>end", message=MESSAGE)
    run = peers.start(graph)
    send(run, "message", secret)
    run.submit("manual", answer=True)
    send(run, "message", secret)
    assert run.submit("manual").status == Status.COMPLETED


def test_wait_for_a_condition(peers: Peers) -> None:
    """Differs: the condition is checked after each interval, not when the data change."""
    run = peers.start(
        source_of(
            "start>fork>a>mark>join>end fork>b>is_done is_done.yes>join is_done.default>sleep "
            "sleep>is_done",
            mark=setting(_a_done=True),
            is_done=when("$a_done", "eq", True),
            sleep=waiting("PT1M"),
        )
    )
    assert run.submit("b").pass_time("sleep").offered == "a"
    assert run.submit("a").status == Status.WAITING
    assert run.pass_time("sleep").status == Status.COMPLETED


def test_signals_between_executions_have_no_graph(peers: Peers, secret: str) -> None:
    """A webhook is addressed to one step: no event reaches several executions."""
    graph = source_of("start>message>a>end", message=MESSAGE)
    one, other = peers.start(graph), peers.start(graph)
    send(one, "message", secret)
    assert (one.offered, other.offered) == ("a", "")


# Choices and loops


def test_exclusive_choice_without_a_default_fails(peers: Peers) -> None:
    graph = source_of(
        "start>more more.yes>a>end more.default>less less.yes>b>end less.default>bad",
        more=when("x", "gt", 1),
        less=when("x", "lt", 1),
        bad={"type": "fail", "data": {"message": "No condition holds."}},
    )
    assert peers.start(graph, x=2).offered == "a"
    assert peers.start(graph, x=1).status == Status.FAILED


@pytest.mark.parametrize(
    ("given", "result"),
    [
        ({"u": 1, "v": 2, "w": 0}, {"u": 3, "v": 2, "w": 0}),
        ({"u": 0, "v": 2, "w": 0}, {"u": 0, "v": 3, "w": 0}),
        ({"u": 1, "v": 2, "w": 3}, {"u": 3, "v": 2, "w": 5}),
    ],
)
def test_inclusive_choice_with_a_default(
    peers: Peers, given: dict[str, int], result: dict[str, int]
) -> None:
    def plus(name: str) -> dict[str, Any]:
        return setting(**{name: {"add": [{"field": name}, {"field": "v"}]}})

    neither = {"all": [{"field": name, "op": "lte", "value": 0} for name in "uw"]}
    run = peers.start(
        source_of(
            "start>set>fork>if_u|if_w|if_not if_u.yes>plus_u>join if_u.default>join "
            "if_w.yes>plus_w>join if_w.default>join if_not.yes>plus_v>join if_not.default>join "
            "join>last>end",
            set=setting(**given),
            if_u=when("u", "gt", 0),
            if_w=when("w", "gt", 0),
            if_not={
                "type": "condition",
                "data": {"branches": [{"handle": "yes", "rule": neither}]},
            },
            plus_u=plus("u"),
            plus_w=plus("w"),
            plus_v=setting(v={"add": [{"field": "v"}, 1]}),
        )
    )
    assert run.offered == "last"
    assert run.fields == result


def test_loop_that_counts(peers: Peers) -> None:
    run = peers.start(
        source_of(
            "start>zero>plus>more more.yes>task>plus more.default>last>end",
            zero=setting(_x=0),
            plus=setting(_x={"add": [{"variable": "x"}, 1]}),
            more=when("$x", "lt", 3),
        )
    )
    for _ in range(2):
        assert run.offered == "task"
        run.submit("task")
    assert run.offered == "last"


def test_script_has_no_graph(peers: Peers) -> None:
    """Values are sums, counts, dates and texts: the rest is computed by another system."""
    run = peers.start(
        source_of("start>computed>a>end", computed=setting(x={"multiply": [2, 3]})),
    )
    assert run.fields == {"x": {"multiply": [2, 3]}}


# Several instances


@pytest.mark.parametrize(("limit", "offered"), [(None, "task task task"), (1, "task")])
def test_instance_for_each_item(peers: Peers, limit: int | None, offered: str) -> None:
    callee = peers.save(
        source_of(
            "start>task>keep>end",
            keep=setting(_out={"text": "{{$item}}!"}),
        )
    )
    loop = {"items": {"field": "items"}, "as": "item", "collect": "results"}
    call = calling(
        callee, output={"out": "out"}, for_each=loop | ({"limit": limit} if limit else {})
    )
    run = peers.start(source_of("start>call>last>end", call=call), items=["a", "b", "c"])
    assert run.offered == offered
    for _ in range(3):
        run.submit("task")
    assert run.offered == "last"
    assert Execution.objects.get(pk=run.root.pk).variables["results"] == [
        {"out": "a!"},
        {"out": "b!"},
        {"out": "c!"},
    ]


def test_action_that_can_be_cancelled_at_any_time(peers: Peers) -> None:
    """Review, start time, work; meanwhile a form cancels it, and a notice when it is overdue."""
    work = peers.save(source_of("start>begin>complete>ask ask.yes>end ask.default>complete"))
    graph = source_of(
        "start>review>ask ask.yes>fork ask.default>end fork>begins>work>end_1 "
        "fork>cancel>informed>end_2 fork>ends>overdue>end",
        begins=waiting("P1D"),
        ends=waiting("P2D"),
        work=calling(work),
        informed=setting(notified="cancelled"),
        overdue=setting(notified="overdue"),
        end_1=TERMINATE,
        end_2=TERMINATE,
    )
    run = peers.start(graph).submit("review", answer=True)
    assert run.offered == "cancel"
    assert run.pass_time("begins").offered == "begin cancel"
    assert run.submit("begin").pass_time("ends").offered == "cancel complete"
    assert run.fields["notified"] == "overdue"
    assert run.submit("complete").offered == "cancel complete"
    assert run.submit("complete", answer=True).status == Status.COMPLETED
    cancelled = peers.start(graph).submit("review", answer=True).pass_time("begins")
    assert cancelled.submit("cancel").status == Status.COMPLETED
    assert cancelled.offered == ""


def test_lanes_are_assignees_of_each_form(peers: Peers) -> None:
    def of(group: str) -> dict[str, Any]:
        return {"type": "user_action", "data": {"assignees": {"groups": [group]}}}

    graph = source_of(
        "start>request>ask ask.yes>clarify>build>end ask.default>build", build=of("B")
    )
    accounts(groups=["B"])
    run = peers.start(graph, answer=True).submit("request", answer=True).submit("clarify")
    assert run.offered == "build"
    assert run.open_steps[0].assignees
