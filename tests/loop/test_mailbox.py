"""Calls carried from any thread to one."""

from __future__ import annotations

import threading

import pytest
import shiboken6
from PySide6.QtCore import QCoreApplication

from qhttpserver_py._loop.mailbox import Mailbox

from ..support.rawclient import reported, settle, spin

pytestmark = pytest.mark.usefixtures("qapp")


def test_calls_run_in_order_in_the_mailbox_thread() -> None:
    mailbox, ran = Mailbox(), []
    for number in range(10):
        mailbox.post(lambda number=number: ran.append((number, threading.get_ident())))
    assert ran == []
    assert spin(lambda: len(ran) == 10)
    assert ran == [(number, threading.get_ident()) for number in range(10)]


def test_many_threads_lose_nothing() -> None:
    mailbox, ran = Mailbox(), []

    def work(name: int) -> None:
        for number in range(2000):
            mailbox.post(lambda: ran.append((name, number)))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    assert spin(lambda: len(ran) == 8000, 30)
    for thread in threads:
        thread.join(10)


def test_a_call_that_posts_waits_for_its_own_turn() -> None:
    mailbox, ran = Mailbox(), []

    def again() -> None:
        ran.append(1)
        if len(ran) < 5:
            mailbox.post(again)

    mailbox.post(again)
    QCoreApplication.processEvents()
    assert spin(lambda: len(ran) == 5)


@pytest.mark.parametrize("count", [1, 3])
def test_calls_that_post_again_and_again_leave_the_event_loop_its_turns(count: int) -> None:
    mailbox, turns = Mailbox(), [0]

    def again() -> None:
        turns[-1] += 1
        mailbox.post(again)

    for _ in range(count):
        mailbox.post(again)
    for _ in range(20):
        QCoreApplication.processEvents()
        turns.append(0)
    assert max(turns) <= 2 * count
    mailbox.post(mailbox.deleteLater)
    settle()


def test_a_nested_event_loop_inside_a_call_runs_those_behind_it() -> None:
    mailbox, ran = Mailbox(), []
    mailbox.post(lambda: ran.append(spin(lambda: "behind" in ran)))
    mailbox.post(lambda: ran.append("behind"))
    assert spin(lambda: len(ran) == 2)
    assert ran == ["behind", True]


def test_calls_behind_one_that_raises_are_made() -> None:
    mailbox, ran = Mailbox(), []
    with reported():
        mailbox.post(lambda: 1 / 0)
        mailbox.post(lambda: ran.append(1))
        assert spin(lambda: ran)


def test_posting_to_a_deleted_mailbox_is_a_no_op() -> None:
    mailbox = Mailbox()
    shiboken6.delete(mailbox)
    mailbox.post(lambda: 1 / 0)
    QCoreApplication.processEvents()
